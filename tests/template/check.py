"""What the translated template is held to. `check` returns what is wrong, each fault with the name of what has it.

What cfn-lint finds is left to it: references to nothing (E1010, E1019, E1020) or to what a condition leaves out (W1001),
resources that wait for each other (E3004), parameter groups with a parameter that does not exist (W4001).
"""

import json
import re

from translated import dotted, read, references, texts

# What the code says of itself: `UPDATE=1 cargo test --test generated` writes it.
VOCABULARY = json.loads(read("tests/template/vocabulary.json"))
SETTINGS = {setting["name"]: setting["default"] for setting in VOCABULARY["settings"]}

# Name, kind, dimensions, and one of the handlers that write it, or None for a metric that is by service alone.
METRICS = [
    (metric["name"], metric["kind"], tuple(metric["dimensions"]), handler)
    for metric in VOCABULARY["metrics"]
    for handler in (metric["handlers"] if "handler" in metric["dimensions"] else [None])
]

# Settings of the code that the template does not set: nobody needs them in a stack.
NOT_SET = {"STICKY_CALLS_GUARD"}

MOST_LINES, MOST_PARAMETERS, MOST_ALARMS = 1150, 26, 12

# What reads the table and writes to it.
USE_OF_THE_TABLE = {"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem"}

# Where a wildcard stays, and why, is said in the template beside it.
WILDCARDS = {("cloudwatch:DescribeAlarms", "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*")}

# The property that would fix a resource's name, and the types that have none of their own in the account.
NAMED_BY = {
    "AWS::CloudWatch::Alarm": "AlarmName", "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeDeploy::Application": "ApplicationName", "AWS::CodeDeploy::DeploymentGroup": "DeploymentGroupName",
    "AWS::Connect::ContactFlow": "Name", "AWS::DynamoDB::Table": "TableName", "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName", "AWS::Logs::LogGroup": "LogGroupName", "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}
NAMELESS = {"AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Version", "AWS::SNS::Subscription"}

# These have to go through the alias, which a deploy moves.
INVOKERS = {
    "AWS::Connect::ContactFlow", "AWS::Connect::IntegrationAssociation", "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
}


def check(translated):
    """All faults of a translated template, as texts."""
    checks = (size, parameters, variables, functions, queues, table, event_sources, policies, names, arns, aliases,
              deployments, alarms, metrics, coverage)
    return [fault for one in checks for fault in one(translated)]


def size(translated):
    """The template stays one that a person reads."""
    for what, count, most in (
        ("lines", len(read("template.yaml").splitlines()), MOST_LINES),
        ("parameters", len(translated.source["Parameters"]), MOST_PARAMETERS),
        ("alarms", len(translated.of_type("AWS::CloudWatch::Alarm")), MOST_ALARMS),
    ):
        if count > most:
            yield f"template.yaml: has {count} {what}, and {most} are the most"


def parameters(translated):
    """Every parameter is described, asked for in one group, and used."""
    source = translated.source
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    used = {*references([source[section] for section in ("Conditions", "Globals", "Resources", "Outputs")])}
    for name, declared in source["Parameters"].items():
        if not declared.get("Description"):
            yield f"parameter {name}: has no description"
        if grouped.count(name) != 1:
            yield f"parameter {name}: is in {grouped.count(name)} groups"
        if name not in used:
            yield f"parameter {name}: is not used"


def variables(translated):
    """The template sets the variables that the code reads, with the code's defaults."""
    wanted = set(SETTINGS) - NOT_SET
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        given = set(function["Properties"]["Environment"]["Variables"])
        yield from (f"{name}: sets {variable}, which it should not" for variable in sorted(given - wanted))
        yield from (f"{name}: does not set {variable}, which the code reads" for variable in sorted(wanted - given))
    yield from (f"{variable}: the code does not read it" for variable in sorted(NOT_SET - set(SETTINGS)))
    for variable, value in translated.source["Globals"]["Function"]["Environment"]["Variables"].items():
        parameter = value.get("Ref") if isinstance(value, dict) else None
        default = translated.source["Parameters"].get(parameter, {}).get("Default")
        if default is not None and str(default) != SETTINGS.get(variable, str(default)):
            yield f"parameter {parameter}: has the default {default}, where the code has {SETTINGS[variable]}"


def functions(translated):
    """Each function has a log with an end, and a place for asynchronous invocations that failed."""
    configs = [config["Properties"] for config in translated.of_type("AWS::Lambda::EventInvokeConfig").values()]
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        if not translated.properties(group).get("RetentionInDays"):
            yield f"{name}: its log has no retention"
        if not any(name in references(config) and config["Qualifier"] == "live"
                   and "OnFailure" in config["DestinationConfig"] for config in configs):
            yield f"{name}: asynchronous invocations that fail are lost"


def queues(translated):
    """Where something ends up, an alarm tells of it; what callers said is encrypted, and outlives the stack."""
    declared = translated.of_type("AWS::SQS::Queue")
    sources = translated.of_type("AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig").values()
    ends = {*references([queue["Properties"].get("RedrivePolicy") for queue in declared.values()])}
    ends.update(references([source["Properties"].get("DestinationConfig") for source in sources]))
    watched = {
        next(references(dimensions["QueueName"]))
        for _, metric, dimensions in measured(translated) if metric == "ApproximateNumberOfMessagesVisible"
    }
    for name, queue in declared.items():
        if name in ends - watched:
            yield f"{name}: no alarm tells of what ends up here"
        if queue["Properties"].get("SqsManagedSseEnabled") is not True:
            yield f"{name}: is not encrypted"
        # A stack that could not be created has nothing in its queues.
        if queue.get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
            yield f"{name}: is deleted with the stack, and what is in it"
        if queue.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: is deleted where an update replaces it, and what is in it"


def table(translated):
    """There is a table whatever is switched on, and both functions find it and may use it."""
    tables = translated.of_type("AWS::DynamoDB::Table")
    for name, declared in tables.items():
        given = declared["Properties"]
        if given["KeySchema"] != [{"AttributeName": "id", "KeyType": "HASH"}]:
            yield f"{name}: has another key than id"
        if given.get("TimeToLiveSpecification") != {"AttributeName": "expires_at", "Enabled": True}:
            yield f"{name}: does not expire by expires_at"
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        used = next(references(function["Properties"]["Environment"]["Variables"].get("STICKY_CALLS_TABLE")), None)
        if used not in tables:
            yield f"{name}: has no table"
            continue
        role = next(references(function["Properties"]["Role"]))
        allowed = {action for actions, resources, _ in statements(translated.properties(role))
                   if f"{used}.Arn" in resources for action in actions}
        yield from (f"{role}: does not allow {action} on {used}" for action in sorted(USE_OF_THE_TABLE - allowed))


def event_sources(translated):
    """One bad message or record holds up no other, and none is dropped in silence."""
    for name, mapping in translated.of_type("AWS::Lambda::EventSourceMapping").items():
        given = mapping["Properties"]
        if given.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: a batch is retried as a whole"
        queue = next(references(given["EventSourceArn"]))
        if queue in translated.resources:
            if "RedrivePolicy" not in translated.properties(queue):
                yield f"{name}: what can't be delivered is retried without end"
            continue
        if given.get("BisectBatchOnFunctionError") is not True:
            yield f"{name}: does not isolate a record that fails"
        if given.get("MaximumRetryAttempts", -1) < 0:
            yield f"{name}: a record that fails stops its shard"
        if "OnFailure" not in given.get("DestinationConfig", {}):
            yield f"{name}: tells nobody of records that it does not retry any more"


def policies(translated):
    """A role is made here, and may do what is listed, to what is listed."""
    for name, resource in translated.resources.items():
        given = resource.get("Properties", {})
        for key in given.keys() & {"ManagedPolicyArns", "PermissionsBoundary"}:
            yield f"{name}: has {key}, which are not ours"
        for actions, resources, others in statements(given):
            yield from (f"{name}: allows everything but something" for key in others if key.startswith("Not"))
            for target in resources:
                for action in actions:
                    if "*" in action or ("*" in target and (action, target) not in WILDCARDS):
                        yield f"{name}: allows {action} on {target}"
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        if next(references(function["Properties"]["Role"])) not in translated.source["Resources"]:
            yield f"{name}: has no role of ours"


def names(translated):
    """No physical name is fixed, so that a second stack fits beside the first."""
    for name, resource in translated.resources.items():
        kind = resource["Type"]
        if kind not in {*NAMED_BY, *NAMELESS, *INVOKERS}:
            yield f"{name}: is a {kind}, of which this check does not know what names it"
        given = resource.get("Properties", {}).get(NAMED_BY.get(kind))
        if given is not None and "AWS::StackName" not in references(given):
            yield f"{name}: has a fixed name"


def arns(translated):
    """An ARN that is written out fits every partition."""
    for name, resource in translated.source["Resources"].items():
        for partition in re.findall(r"\barn:(\$\{[^}]*\}|[^:\s\"']*):", " ".join(texts(resource))):
            if partition not in ("${AWS::Partition}", "${Partition}"):
                yield f"{name}: has an ARN of the partition {partition} alone"


def aliases(translated):
    """What invokes a function invokes its alias."""
    invokers = translated.of_type(*INVOKERS)
    for function in translated.of_type("AWS::Lambda::Function"):
        for name, resource in invokers.items():
            if function in references(resource["Properties"]):
                yield f"{name}: goes past the alias of {function}"
        for name, output in translated.outputs.items():
            if function in references(output["Value"]):
                yield f"output {name}: goes past the alias of {function}"
        alias = {"Ref": f"{function}Aliaslive"}
        uses = [resource["Type"] for resource in invokers.values() if alias in resource["Properties"].values()]
        for kind in ("AWS::Connect::IntegrationAssociation", "AWS::Lambda::Permission"):
            if translated.conditions["HasConnectInstance"] and kind not in uses:
                yield f"{function}: no {kind} is for its alias"


def deployments(translated):
    """A deploy moves the alias step by step, and goes back where an alarm fires; all at once, it does not go back."""
    groups = translated.of_type("AWS::CodeDeploy::DeploymentGroup")
    kind = translated.parameters["DeploymentType"]
    marked = re.search(r"<!-- takes a deploy back -->(.*?)<!-- end -->", alarms_section(), flags=re.DOTALL)[1]
    told = re.findall(r"`(\w+Alarm)`", marked) if kind != "AllAtOnce" else []
    for name, alias in translated.of_type("AWS::Lambda::Alias").items():
        if groups.keys().isdisjoint(references(alias.get("UpdatePolicy"))):
            yield f"{name}: is moved at once, and by nobody who could take it back"
    for name, group in groups.items():
        given = group["Properties"]
        if sorted(references(given.get("AlarmConfiguration"))) != sorted(told):
            yield f"{name}: is taken back by other alarms than docs/operations.md says"
        if translated.filled(given["DeploymentConfigName"]) != f"CodeDeployDefault.Lambda{kind}":
            yield f"{name}: does not deploy as CodeDeployDefault.Lambda{kind}"


def alarms(translated):
    """An alarm says what it means, reaches somebody, is on the dashboard, and is one that CloudWatch takes."""
    explained = re.findall(r"^### (\w+Alarm)$", alarms_section(), flags=re.MULTILINE)
    shown = {alarm for widget in widgets(translated) for alarm in widget["properties"].get("alarms", [])}
    for name, alarm in translated.of_type("AWS::CloudWatch::Alarm").items():
        given = alarm["Properties"]
        text = given.get("AlarmDescription", "")
        if f"See {name} in docs/operations.md." not in text or len(text) > 1024:
            yield f"{name}: its description does not lead to docs/operations.md"
        if name not in explained:
            yield f"{name}: docs/operations.md does not explain it"
        if f"<{name}.Arn>" not in shown:
            yield f"{name}: is not on the dashboard"
        yield from (f"{name}: has no {key}" for key in ("AlarmActions", "OKActions") if not given.get(key))
        if given.get("TreatMissingData") not in ("notBreaching", "ignore"):
            yield f"{name}: fires where nothing happens"
        yield from (f"{name}: {fault}" for fault in metric_math(given.get("Metrics", [])))
    for name in explained:
        if name not in translated.source["Resources"]:
            yield f"docs/operations.md: explains {name}, which does not exist"


def metric_math(entries):
    """What CloudWatch would refuse, or never compute."""
    if len(entries) > 10:
        yield f"has {len(entries)} metrics, and CloudWatch takes 10"
    if len(periods := {entry["MetricStat"]["Period"] for entry in entries if "MetricStat" in entry}) > 1:
        yield f"computes with periods of {' and '.join(str(period) for period in sorted(periods))} s"
    ids = {entry["Id"] for entry in entries}
    expressions = " ".join(texts([entry.get("Expression") for entry in entries]))
    used = {*re.findall(r"(?<![$\w{])[a-z]\w*", expressions)}
    yield from (f"computes with {word}, which is no metric of it" for word in sorted(used - ids))
    returned = {entry["Id"] for entry in entries if entry.get("ReturnData", True)}
    if entries and len(returned) != 1:
        yield f"returns {len(returned)} values"
    yield from (f"does not use {unused}" for unused in sorted(ids - used - returned))


def metrics(translated):
    """Alarms and dashboard name metrics that the code writes, with the dimensions that it writes."""
    service = translated.filled(translated.source["Globals"]["Function"]["Environment"]["Variables"]["STICKY_CALLS_SERVICE"])
    for where, metric, dimensions in named(translated):
        known = [(expected, handler) for name, _, expected, handler in METRICS if name == metric]
        handler = dimensions.get("handler")
        if not known:
            yield f"{where}: names the metric {metric}, which the code does not write"
        elif tuple(dimensions) not in [expected for expected, _ in known]:
            yield f"{where}: looks for {metric} under {', '.join(dimensions)}"
        elif (tuple(dimensions), handler) not in known:
            yield f"{where}: looks for {metric} of {handler}, which does not write it"
        elif translated.filled(dimensions["service"]) != service:
            yield f"{where}: looks for {metric} of another service than the functions write"


def coverage(translated):
    """What the code measures is looked at; reasons and degradations by the log, so that a new one changes nothing here."""
    shown = {(metric, dimensions.get("handler")) for _, metric, dimensions in named(translated)}
    watched = {metric for where, metric, _ in named(translated) if where != "Dashboard"}
    for name, kind, _, handler in METRICS:
        if kind == "total" and name not in watched:
            yield f"{name}: no alarm watches it"
        if kind in ("status", "measure") and (name, handler) not in shown:
            yield f"{name}: neither alarm nor dashboard shows it{f' of {handler}' if handler else ''}"
    asked = " ".join(widget["properties"].get("query", "") for widget in widgets(translated))
    for counted in ("reason, handler", "degradation"):
        if f"| stats count(*) as times by {counted} |" not in asked:
            yield f"Dashboard: does not count by {counted}"


def alarms_section():
    """What docs/operations.md says of the alarms."""
    return read("docs/operations.md").partition("\n## Alarms\n")[2].partition("\n## ")[0]


def widgets(translated):
    """What is on the dashboard; fails if its body is no JSON."""
    return json.loads(translated.filled(translated.properties("Dashboard")["DashboardBody"]))["widgets"]


def named(translated):
    """The metrics of ours that alarms and dashboard name: where, name and dimensions."""
    for name, metric, dimensions in measured(translated, VOCABULARY["namespace"]):
        yield name, metric, dimensions
    for widget in widgets(translated):
        above = []
        for entry in widget["properties"].get("metrics", []):
            row = [part for part in entry if isinstance(part, str)]
            above = [above[place] if part == "." else part for place, part in enumerate(row)]
            if above[0] == VOCABULARY["namespace"]:
                yield "Dashboard", above[1], dict(zip(above[2::2], above[3::2]))


def measured(translated, namespace="AWS/SQS"):
    """What alarms measure in a namespace: the alarm, the metric and its dimensions."""
    for name, alarm in translated.of_type("AWS::CloudWatch::Alarm").items():
        given = alarm["Properties"]
        math = [entry["MetricStat"]["Metric"] for entry in given.get("Metrics", []) if "MetricStat" in entry]
        for metric in math or [given]:
            if metric["Namespace"] == namespace:
                yield name, metric["MetricName"], {one["Name"]: one["Value"] for one in metric["Dimensions"]}


def statements(properties):
    """The statements of a role's policies: actions, resources as the template writes them, and the other keys."""
    for policy in properties.get("Policies", []):
        for one in policy["PolicyDocument"]["Statement"]:
            actions, resources = ([one[key]] if not isinstance(one.get(key, []), list) else one.get(key, [])
                                  for key in ("Action", "Resource"))
            yield actions, [written(resource) for resource in resources], one.keys() - {"Action", "Resource"}


def written(value):
    """A reference, or a text with references in it, as the template writes it."""
    if isinstance(value, str):
        return value
    (key, argument), = value.items()
    return dotted(argument) if key == "Fn::GetAtt" else argument
