"""What the translated template is held to. `check` returns what is wrong, each fault with the name of what has it.

What cfn-lint finds is left to it: references to nothing (E1010, E1019, E1020) or to what a condition leaves out
(W1001), resources that wait for each other (E3004), parameter groups with what is no parameter (W4001).
"""

import json
import re

from translated import dotted, read, references

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
MOST_LINES, MOST_PARAMETERS, MOST_ALARMS = 1300, 30, 12

# What reads the table and writes to it.
USE_OF_THE_TABLE = {"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem"}

# Where a wildcard stays, and why, is said in the template beside it.
WILDCARDS = {("cloudwatch:DescribeAlarms", "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*")}

# Properties that would fix a physical name. A FunctionName does so in a function alone, and a Name in a flow.
NAMES = {
    "AlarmName", "DashboardName", "DeploymentGroupName", "TableName", "RoleName", "LogGroupName",
    "TopicName", "AWS::SQS::Queue QueueName", "AWS::Lambda::Function FunctionName", "AWS::Connect::ContactFlow Name",
    "AWS::Connect::ContactFlowModule Name",
}

# These have to go through the alias, which a deploy moves.
INVOKERS = {"AWS::Connect::ContactFlow", "AWS::Connect::ContactFlowModule", "AWS::Connect::IntegrationAssociation",
            "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"}


def check(translated):
    """All faults of a translated template, as texts."""
    checks = (size, parameters, variables, functions, queues, table, event_sources, policies, names, arns, aliases,
              deployments, alarms, metrics, coverage)
    return [fault for one in checks for fault in one(translated)]


def those(name, found):
    """The faults that were found of something."""
    return (f"{name}: {fault}" for fault, holds in found.items() if holds)


def size(translated):
    """The template stays one that a person reads."""
    yield from those("template.yaml", {
        "has too many lines": len(read("template.yaml").splitlines()) > MOST_LINES,
        "has too many parameters": len(translated.source["Parameters"]) > MOST_PARAMETERS,
        "has too many alarms": len(translated.of_type("AWS::CloudWatch::Alarm")) > MOST_ALARMS,
    })


def parameters(translated):
    """Every parameter is described, asked for in one group, and used."""
    source = translated.source
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    used = {*references([source[section] for section in ("Conditions", "Globals", "Resources", "Outputs")])}
    for name, declared in source["Parameters"].items():
        yield from those(f"parameter {name}", {
            "has no description": not declared.get("Description"),
            f"is in {grouped.count(name)} groups": grouped.count(name) != 1,
            "is not used": name not in used,
        })


def variables(translated):
    """The template sets the variables that the code reads, with the code's defaults."""
    wanted = set(SETTINGS) - NOT_SET
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        given = set(function["Properties"]["Environment"]["Variables"])
        yield from (f"{name}: sets {variable}, which it should not" for variable in sorted(given - wanted))
        yield from (f"{name}: does not set {variable}, which the code reads" for variable in sorted(wanted - given))
    yield from (f"{variable}: the code does not read it" for variable in sorted(NOT_SET - set(SETTINGS)))
    for variable, value in translated.variables.items():
        parameter = value.get("Ref") if isinstance(value, dict) else None
        default = translated.source["Parameters"].get(parameter, {}).get("Default")
        if default is not None and str(default) != SETTINGS.get(variable, str(default)):
            yield f"parameter {parameter}: has the default {default}, where the code has {SETTINGS[variable]}"


def functions(translated):
    """Each function has a log with an end, and a place for asynchronous invocations that failed."""
    configs = [config["Properties"] for config in translated.of_type("AWS::Lambda::EventInvokeConfig").values()]
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        kept = [config for config in configs if name in references(config) and config["Qualifier"] == "live"]
        yield from those(name, {
            "its log has no retention": not translated.properties(group).get("RetentionInDays"),
            "asynchronous invocations that fail are lost": not any("OnFailure" in str(config) for config in kept),
        })


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
        kept = {key: queue.get(key) for key in ("DeletionPolicy", "UpdateReplacePolicy")}
        yield from those(name, {
            "no alarm tells of it": name in ends - watched,
            "is not encrypted": queue["Properties"].get("SqsManagedSseEnabled") is not True,
            "is received more or less often than the code expects": queue["Properties"].get("RedrivePolicy", {}).get(
                "maxReceiveCount", VOCABULARY["outbox"]["max_receives"]) != VOCABULARY["outbox"]["max_receives"],
            # A stack that could not be created has nothing in its queues.
            "is deleted with the stack": kept["DeletionPolicy"] not in ("Retain", "RetainExceptOnCreate"),
            "is deleted if an update replaces it": kept["UpdateReplacePolicy"] != "Retain",
        })


def table(translated):
    """There is a table whatever is switched on, and both functions find it and may use it."""
    tables = translated.of_type("AWS::DynamoDB::Table")
    for name, declared in tables.items():
        for key, wanted in (("KeySchema", [{"AttributeName": "id", "KeyType": "HASH"}]),
                            ("TimeToLiveSpecification", {"AttributeName": "expires_at", "Enabled": True})):
            if declared["Properties"].get(key) != wanted:
                yield f"{name}: has another {key} than the code"
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
        given, queue = mapping["Properties"], next(references(mapping["Properties"]["EventSourceArn"]))
        of_a_queue = queue in translated.resources
        yield from those(name, {
            "a batch is retried as a whole": given.get("FunctionResponseTypes") != ["ReportBatchItemFailures"],
            "what fails is retried without end": of_a_queue and "RedrivePolicy" not in translated.properties(queue),
            "does not isolate a record that fails": not of_a_queue and not given.get("BisectBatchOnFunctionError"),
            "a record that fails stops its shard": not of_a_queue and given.get("MaximumRetryAttempts", -1) < 0,
            "tells nobody of records that fail": not of_a_queue and "OnFailure" not in str(given),
        })


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
        for key, value in resource.get("Properties", {}).items():
            if {key, f"{resource['Type']} {key}"} & NAMES and "AWS::StackName" not in references(value):
                yield f"{name}: has a fixed name"


def arns(translated):
    """An ARN that is written out fits every partition."""
    for name, resource in translated.source["Resources"].items():
        for partition in re.findall(r"\barn:(\$\{[^}]*\}|[^:\s\"'\\]*):", json.dumps(resource)):
            if partition not in ("${AWS::Partition}", "${Partition}"):
                yield f"{name}: has an ARN of partition {partition}"


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
    """A deploy moves the alias step by step, and an alarm takes it back; all at once, nothing does."""
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
            yield f"{name}: has other alarms than docs/operations.md says"
        if translated.filled(given["DeploymentConfigName"]) != f"CodeDeployDefault.Lambda{kind}":
            yield f"{name}: does not deploy as {kind}"


def alarms(translated):
    """An alarm says what it means, reaches somebody, is on the dashboard, and is one that CloudWatch takes."""
    explained = re.findall(r"^### (\w+Alarm)$", alarms_section(), flags=re.MULTILINE)
    shown = {alarm for widget in widgets(translated) for alarm in widget["properties"].get("alarms", [])}
    for name, alarm in translated.of_type("AWS::CloudWatch::Alarm").items():
        given = alarm["Properties"]
        text, math = given.get("AlarmDescription", ""), given.get("Metrics", [])
        periods = {entry["MetricStat"]["Period"] for entry in math if "MetricStat" in entry}
        yield from those(name, {
            "its description does not lead to docs/operations.md":
                f"See {name} in docs/operations.md." not in text or len(text) > 1024,
            "docs/operations.md does not explain it": name not in explained,
            "is not on the dashboard": f"<{name}.Arn>" not in shown,
            "reaches nobody": not given.get("AlarmActions") or not given.get("OKActions"),
            "fires where nothing happens": given.get("TreatMissingData") not in ("notBreaching", "ignore"),
            # What is wrong in an expression, the test finds that computes it.
            "CloudWatch refuses its metrics": len(periods) > 1 or len(math) > 10,
        })
    for name in explained:
        if name not in translated.source["Resources"]:
            yield f"docs/operations.md: explains {name}, which does not exist"


def metrics(translated):
    """Alarms and dashboard name metrics that the code writes, with the dimensions that it writes."""
    service = translated.filled(translated.variables["STICKY_CALLS_SERVICE"])
    for where, metric, dimensions in named(translated):
        known = [(expected, handler) for name, _, expected, handler in METRICS if name == metric]
        handler = dimensions.get("handler")
        if not known:
            yield f"{where}: names {metric}, which the code does not write"
        elif tuple(dimensions) not in [expected for expected, _ in known]:
            yield f"{where}: looks for {metric} under {', '.join(dimensions)}"
        elif (tuple(dimensions), handler) not in known:
            yield f"{where}: looks for {metric} of {handler}, which does not write it"
        elif translated.filled(dimensions["service"]) != service:
            yield f"{where}: looks for {metric} of another service"


def coverage(translated):
    """What the code measures is looked at; reasons and degradations in the log, where a new one changes nothing."""
    shown = {(metric, dimensions.get("handler")) for _, metric, dimensions in named(translated)}
    watched = {metric for where, metric, _ in named(translated) if where != "Dashboard"}
    for name, kind, _, handler in METRICS:
        if kind == "total" and name not in watched:
            yield f"{name}: no alarm watches it"
        if kind in ("status", "measure") and (name, handler) not in shown:
            yield f"{name} of {handler or 'the service'}: is shown nowhere"
    asked = " ".join(widget["properties"].get("query", "") for widget in widgets(translated))
    yield from those("Dashboard", {
        f"does not count by {field}": f"| stats count(*) as times by {field} |" not in asked
        for field in ("reason, handler", "degradation")
    })


def alarms_section():
    """What docs/operations.md says of the alarms."""
    return read("docs/operations.md").partition("\n## Alarms\n")[2].partition("\n## ")[0]


def widgets(translated):
    """What is on the dashboard; fails if its body is no JSON."""
    return json.loads(translated.filled(translated.properties("Dashboard")["DashboardBody"]))["widgets"]


def named(translated):
    """The metrics of ours that alarms and dashboard name: where, name and dimensions."""
    yield from measured(translated, VOCABULARY["namespace"])
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
            actions, targets = ([value] if isinstance(value, (str, dict)) else value
                                for value in (one.get("Action", []), one.get("Resource", [])))
            targets = [target if isinstance(target, str) else dotted(*target.values()) for target in targets]
            yield actions, targets, one.keys() - {"Action", "Resource"}
