"""What the translated template is held to. `check` returns what is wrong, each fault with the name of what has it."""

import json
import re

import sources
from translated import PSEUDO, dotted, read, references, texts

OURS = "StickyConnect"
FLOW = ("start_call", "end_call")
BATCHES = ("contact_records", "redelivery")

# What has to ring for each function: namespace, metric, and for a metric that is by handler the handler.
FAULTS = [
    (OURS, name, None)
    for name in (
        "needs_operator", "key_read_failed", "unusable_settings", "unusable_parameters", "table_read_failed",
        "table_write_failed", "cache_void_failed",
    )
]
ALARM_SET = {
    "IdentifyFunction": [
        ("AWS/Lambda", "Errors", None),
        ("AWS/Lambda", "Throttles", None),
        ("AWS/Lambda", "Duration", None),
        (OURS, "unavailable", "start_call"),
        (OURS, "circuit_open", "start_call"),
        *((OURS, "api_ms", handler) for handler in FLOW),
        (OURS, "failed", "end_call"),
        *FAULTS,
    ],
    "SaveFunction": [
        ("AWS/Lambda", "Errors", None),
        ("AWS/Lambda", "Throttles", None),
        (OURS, "remaining_ms", "end_call"),
        (OURS, "unavailable", "start_call"),
        (OURS, "circuit_open", "end_call"),
        *((OURS, "api_ms", handler) for handler in FLOW),
        *((OURS, "failed", handler) for handler in ("end_call", *BATCHES)),
        *FAULTS,
        (OURS, "text_not_saved", None),
        (OURS, "unreadable_records", None),
    ],
}

# What reads the table and writes to it.
USE_OF_THE_TABLE = {"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem"}

# Where a wildcard stays, and why, is said in the template beside each.
WILDCARDS = {
    ("xray:PutTraceSegments", "*"),
    ("xray:PutTelemetryRecords", "*"),
    ("cloudwatch:DescribeAlarms", "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"),
}

# The property that would fix a resource's name; None where a resource has none of its own in the account.
NAMED_BY = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeDeploy::Application": "ApplicationName",
    "AWS::CodeDeploy::DeploymentGroup": "DeploymentGroupName",
    "AWS::Connect::ContactFlow": "Name",
    "AWS::Connect::IntegrationAssociation": None,
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Alias": None,
    "AWS::Lambda::EventInvokeConfig": None,
    "AWS::Lambda::EventSourceMapping": None,
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::Permission": None,
    "AWS::Lambda::Version": None,
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SNS::Subscription": None,
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}

# These have to go through the alias, which a deploy moves.
INVOKERS = (
    "AWS::Connect::ContactFlow",
    "AWS::Connect::IntegrationAssociation",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
)


def check(translated):
    """All faults of a translated template, as texts."""
    checks = (
        parameters,
        variables,
        references_that_resolve,
        no_circle,
        functions,
        queues,
        table,
        event_sources,
        policies,
        names,
        arns,
        aliases,
        deployments,
        alarms,
        metrics,
        dashboard,
    )
    return [fault for one in checks for fault in one(translated)]


def parameters(translated):
    """Every parameter is described, asked for in one group, and used."""
    source = translated.source
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    sections = ("Conditions", "Globals", "Resources", "Outputs")
    used = {name for section in sections for name in references(source.get(section, {}))}
    for name, declared in source["Parameters"].items():
        if not declared.get("Description"):
            yield f"parameter {name}: has no description"
        if grouped.count(name) != 1:
            yield f"parameter {name}: is in {grouped.count(name)} groups"
        if name not in used:
            yield f"parameter {name}: is not used"
    for name in grouped:
        if name not in source["Parameters"]:
            yield f"parameter {name}: is in a group and does not exist"


def variables(translated):
    """The template sets the variables that the code reads, with the code's defaults."""
    read_by_code = sources.variables()
    defaults = sources.defaults()
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        given = function["Properties"]["Environment"]["Variables"]
        for variable in sorted(set(given) - read_by_code):
            yield f"{name}: sets {variable}, which the code does not read"
        for variable in sorted(read_by_code - set(given)):
            yield f"{name}: does not set {variable}, which the code reads"
    for variable, value in translated.source["Globals"]["Function"]["Environment"]["Variables"].items():
        parameter = value.get("Ref") if isinstance(value, dict) else None
        default = translated.source["Parameters"].get(parameter, {}).get("Default")
        if variable in defaults and default is not None and str(default) != defaults[variable]:
            yield f"parameter {parameter}: has the default {default}, where the code has {defaults[variable]}"


def references_that_resolve(translated):
    """Nothing refers to what does not exist, or not under these parameters."""
    known = {*translated.parameters, *translated.resources, *PSEUDO}
    entries = {**translated.resources, **{f"output {name}": output for name, output in translated.outputs.items()}}
    for name, entry in entries.items():
        for reference in dict.fromkeys(references(entry)):
            if reference not in known:
                yield f"{name}: refers to {reference}, which does not exist with these parameters"


def no_circle(translated):
    """No resource waits for itself."""
    needs = {
        name: {*references(resource), *as_list(resource.get("DependsOn"))} & set(translated.resources)
        for name, resource in translated.resources.items()
    }
    while ready := [name for name, needed in needs.items() if not needed]:
        for name in ready:
            del needs[name]
        for needed in needs.values():
            needed.difference_update(ready)
    if needs:
        yield f"{', '.join(sorted(needs))}: need each other"


def functions(translated):
    """Each function has its alarms, its log with an end, and a place for what it could not be asked."""
    watched = {(metric, function) for alarm in translated.of_type("AWS::CloudWatch::Alarm").values()
               for metric, function in watched_by(alarm["Properties"])}
    invoke_configs = translated.of_type("AWS::Lambda::EventInvokeConfig").values()
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        if name not in ALARM_SET:
            yield f"{name}: no alarms are named for it"
        for namespace, metric, handler in ALARM_SET.get(name, []):
            if ((namespace, metric, handler), name) not in watched:
                yield f"{name}: no alarm watches {' '.join(filter(None, (namespace, metric, handler)))}"
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        if not translated.properties(group).get("RetentionInDays"):
            yield f"{name}: its log has no retention"
        configs = [config["Properties"] for config in invoke_configs if name in references(config)]
        if not any("OnFailure" in config["DestinationConfig"] and config["Qualifier"] == "live" for config in configs):
            yield f"{name}: what Lambda gives up of its alias is lost"


def queues(translated):
    """Where something ends up, an alarm tells of it; what callers said is encrypted, and outlives the stack."""
    ends = set()
    for queue in translated.of_type("AWS::SQS::Queue").values():
        ends.update(references(queue["Properties"].get("RedrivePolicy", {}).get("deadLetterTargetArn")))
    for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig"):
        for one in translated.of_type(kind).values():
            ends.update(references(one["Properties"].get("DestinationConfig")))
    watched = {queue for alarm in translated.of_type("AWS::CloudWatch::Alarm").values()
               for (namespace, metric, _), queue in watched_by(alarm["Properties"])
               if (namespace, metric) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")}
    for name, queue in translated.of_type("AWS::SQS::Queue").items():
        if name in ends and name not in watched:
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
        used = function["Properties"]["Environment"]["Variables"].get("STICKY_CALLS_TABLE")
        wanted = next(references(used), None)
        if wanted not in tables:
            yield f"{name}: has no table"
            continue
        role = next(references(function["Properties"].get("Role", {})), None)
        allowed = {
            action
            for statement in statements(translated.properties(role))
            if wanted in references(statement.get("Resource"))
            for action in as_list(statement.get("Action"))
        }
        for action in sorted(USE_OF_THE_TABLE - allowed):
            yield f"{role}: does not allow {action} on {wanted}"


def event_sources(translated):
    """One bad message or record holds up no other, and none is dropped in silence."""
    for name, mapping in translated.of_type("AWS::Lambda::EventSourceMapping").items():
        given = mapping["Properties"]
        if given.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: a batch comes again as a whole"
        queue = next((source for source in references(given["EventSourceArn"]) if source in translated.resources), None)
        if queue:
            if "RedrivePolicy" not in translated.properties(queue):
                yield f"{name}: what can't be delivered comes again without end"
            continue
        if given.get("BisectBatchOnFunctionError") is not True:
            yield f"{name}: does not isolate a record that fails"
        if given.get("MaximumRetryAttempts", -1) < 0:
            yield f"{name}: a record that fails stops its shard"
        if "OnFailure" not in given.get("DestinationConfig", {}):
            yield f"{name}: tells nobody of records that it gives up"


def policies(translated):
    """A role is made here, and may do what is listed, to what is listed."""
    for name, resource in translated.resources.items():
        given = resource.get("Properties", {})
        for key in ("ManagedPolicyArns", "PermissionsBoundary"):
            if key in given:
                yield f"{name}: has {key}, which are not ours"
        for statement in statements(given):
            if "NotAction" in statement or "NotResource" in statement:
                yield f"{name}: allows everything but something"
            actions = as_list(statement.get("Action"))
            for target in (written(entry) for entry in as_list(statement.get("Resource"))):
                for action in actions:
                    if "*" in action or ("*" in target and (action, target) not in WILDCARDS):
                        yield f"{name}: allows {action} on {target}"
    for name, function in translated.of_type("AWS::Lambda::Function").items():
        role = next(references(function["Properties"].get("Role", {})), None)
        if role not in translated.source["Resources"]:
            yield f"{name}: has no role of ours"


def names(translated):
    """No physical name is fixed, so that a second stack fits beside the first."""
    for name, resource in translated.resources.items():
        if resource["Type"] not in NAMED_BY:
            yield f"{name}: is a {resource['Type']}, of which this check does not know what names it"
            continue
        given = resource.get("Properties", {}).get(NAMED_BY[resource["Type"]])
        if given is not None and "AWS::StackName" not in references(given):
            yield f"{name}: has a fixed name"


def arns(translated):
    """An ARN that is written out fits every partition."""
    for name, resource in translated.source["Resources"].items():
        for text in texts(resource):
            for partition in re.findall(r"\barn:(\$\{[^}]*\}|[^:\s\"']*):", text):
                if partition not in ("${AWS::Partition}", "${Partition}"):
                    yield f"{name}: has an ARN of the partition {partition} alone"


def aliases(translated):
    """What invokes a function invokes its alias."""
    functions = set(translated.of_type("AWS::Lambda::Function"))
    for name, resource in translated.of_type(*INVOKERS).items():
        for function in functions & set(references(resource["Properties"])):
            yield f"{name}: goes past the alias of {function}"
    for name, output in translated.outputs.items():
        for function in functions & set(references(output["Value"])):
            yield f"output {name}: goes past the alias of {function}"
    for function in sorted(functions):
        wanted = {"Ref": f"{function}Aliaslive"}
        uses = [
            resource["Type"] for resource in translated.of_type(*INVOKERS).values()
            if wanted in values_of(resource["Properties"])
        ]
        connected = "HasConnectInstance" not in translated.conditions or translated.conditions["HasConnectInstance"]
        for kind in ("AWS::Connect::IntegrationAssociation", "AWS::Lambda::Permission"):
            if connected and kind not in uses:
                yield f"{function}: no {kind} is for its alias"


def deployments(translated):
    """A deploy moves the alias step by step, and goes back where an alarm rings, unless it was told not to."""
    groups = translated.of_type("AWS::CodeDeploy::DeploymentGroup")
    rolls_back = translated.parameters["RollBackOnAlarm"] == "true"
    for name, alias in translated.of_type("AWS::Lambda::Alias").items():
        policy = alias.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
        if policy.get("DeploymentGroupName", {}).get("Ref") not in groups:
            yield f"{name}: is moved at once, and by nobody who could take it back"
    for name, group in groups.items():
        given = group["Properties"]
        listed = [entry["Name"].get("Ref") for entry in given.get("AlarmConfiguration", {}).get("Alarms", [])]
        if rolls_back != bool(listed):
            yield f"{name}: has {len(listed)} alarms"
        if len(listed) > 10:
            yield f"{name}: has {len(listed)} alarms, and CodeDeploy takes 10"
        wanted = f"CodeDeployDefault.Lambda{translated.parameters['DeploymentType']}"
        if translated.filled(given["DeploymentConfigName"]) != wanted:
            yield f"{name}: does not deploy as {wanted}"


def alarms(translated):
    """An alarm says what it means, reaches somebody, and is one that CloudWatch takes."""
    document = read("docs/operations.md")
    section = document.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    explained = re.findall(r"^### (\w+Alarm)$", section, flags=re.MULTILINE)
    for name, alarm in translated.of_type("AWS::CloudWatch::Alarm").items():
        given = alarm["Properties"]
        text = given.get("AlarmDescription", "")
        if f"See {name} in docs/operations.md." not in text or len(text) > 1024:
            yield f"{name}: its description does not lead to docs/operations.md"
        if name not in explained:
            yield f"{name}: docs/operations.md does not explain it"
        for key in ("AlarmActions", "OKActions"):
            if not given.get(key):
                yield f"{name}: has no {key}"
        if given.get("TreatMissingData") != "notBreaching":
            yield f"{name}: rings where nothing happens"
        if "Metrics" in given:
            yield from (f"{name}: {fault}" for fault in metric_math(given["Metrics"]))
    for name in explained:
        if name not in translated.source["Resources"]:
            yield f"docs/operations.md: explains {name}, which does not exist"
    told = re.findall(r"`(\w+Alarm)`", document.partition("The alarms that count are")[2].partition("They\nmeasure")[0])
    for name, group in translated.of_type("AWS::CodeDeploy::DeploymentGroup").items():
        listed = [entry["Name"]["Ref"] for entry in group["Properties"].get("AlarmConfiguration", {}).get("Alarms", [])]
        if listed and sorted(listed) != sorted(told):
            yield f"{name}: goes back for other alarms than docs/operations.md says"


def metric_math(entries):
    if len(entries) > 10:
        yield f"has {len(entries)} metrics, and CloudWatch takes 10"
    periods = {entry["MetricStat"]["Period"] for entry in entries if "MetricStat" in entry}
    if len(periods) > 1:
        yield f"computes with periods of {' and '.join(str(period) for period in sorted(periods))} s"
    ids = {entry["Id"] for entry in entries}
    used = set()
    for entry in entries:
        expression = "".join(texts(entry.get("Expression", "")))
        words = set(re.findall(r"(?<![$\w{])[a-z]\w*", expression))
        used |= words
        for word in sorted(words - ids):
            yield f"computes with {word}, which is no metric of it"
    returned = [entry["Id"] for entry in entries if entry.get("ReturnData", True)]
    if len(returned) != 1:
        yield f"returns {len(returned)} values"
    for unused in sorted(ids - used - set(returned)):
        yield f"does not use {unused}"


def metrics(translated):
    """Alarms and dashboard name metrics that the code writes, with the dimensions that it writes."""
    for name, alarm in translated.of_type("AWS::CloudWatch::Alarm").items():
        for namespace, metric, dimensions in measured_by(alarm["Properties"]):
            if namespace == OURS:
                yield from (f"{name}: {fault}" for fault in of_ours(metric, dimensions))
    for name in translated.of_type("AWS::CloudWatch::Dashboard"):
        try:
            shown = list(drawn(body(translated, name)))
        except ValueError:
            # Said below, once.
            continue
        faults = [f"{name}: {fault}" for metric, dimensions in shown for fault in of_ours(metric, dimensions)]
        yield from dict.fromkeys(faults)


def of_ours(metric, dimensions):
    """A metric without the dimensions that the code writes it with is another one, which never has a value."""
    by_handler, by_function = sources.metrics_by_handler(), sources.metrics_by_function()
    handler = dimensions.get("Handler")
    if metric not in by_function.union(*by_handler.values()):
        yield f"names the metric {metric}, which the code does not write"
    elif set(dimensions) != ({"FunctionName"} if metric in by_function else {"FunctionName", "Handler"}):
        yield f"looks for {metric} under {', '.join(sorted(dimensions))}"
    elif handler and metric not in by_handler.get(handler, ()):
        yield f"looks for {metric} of {handler}, which has none"


def dashboard(translated):
    """The dashboard can be drawn, and shows every alarm."""
    for name in translated.of_type("AWS::CloudWatch::Dashboard"):
        try:
            widgets = body(translated, name)["widgets"]
        except ValueError as error:
            yield f"{name}: its body is no JSON: {error}"
            continue
        taken = {}
        for widget in widgets:
            title = widget["properties"].get("title", widget["type"])
            columns = range(widget["x"], widget["x"] + widget["width"])
            cells = {(x, y) for x in columns for y in range(widget["y"], widget["y"] + widget["height"])}
            for other in sorted({taken[cell] for cell in cells & set(taken)}):
                yield f"{name}: {title} lies over {other}"
            if columns.stop > 24:
                yield f"{name}: {title} is wider than the dashboard"
            taken.update(dict.fromkeys(cells, title))
        shown = {alarm for widget in widgets for alarm in widget["properties"].get("alarms", [])}
        for alarm in translated.of_type("AWS::CloudWatch::Alarm"):
            if f"<{alarm}.Arn>" not in shown:
                yield f"{name}: does not show {alarm}"


def body(translated, name):
    """A dashboard's body."""
    return json.loads(translated.filled(translated.properties(name)["DashboardBody"]))


def drawn(body):
    """The metrics of ours on a dashboard: name and dimensions."""
    for widget in body["widgets"]:
        for entry in widget["properties"].get("metrics", []):
            if isinstance(entry, list):
                namespace, metric, *rest = entry
                pairs = [part for part in rest if isinstance(part, str)]
                if namespace == OURS:
                    yield metric, dict(zip(pairs[::2], pairs[1::2]))
                continue
            found = re.findall(r'(\w+)=(?:"([^"]*)"|\(([^)]*)\))', entry["expression"])
            terms = {key: re.findall(r'"([^"]+)"', many) or [one] for key, one, many in found}
            dimensions = re.search(r"\{\w+,([\w,]+)\}", entry["expression"])[1].split(",")
            for metric in terms.pop("MetricName", []):
                yield metric, {key: terms.get(key, [None])[0] for key in dimensions}


def measured_by(alarm):
    """What an alarm measures: namespace, metric and dimensions."""
    plain = [alarm] if "MetricName" in alarm else []
    math = [entry["MetricStat"]["Metric"] for entry in alarm.get("Metrics", []) if "MetricStat" in entry]
    for metric in plain + math:
        dimensions = {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions", [])}
        yield metric["Namespace"], metric["MetricName"], dimensions


def watched_by(alarm):
    """What an alarm watches: namespace, metric and handler, of which function or queue."""
    for namespace, metric, dimensions in measured_by(alarm):
        owner = next(references(dimensions.get("FunctionName") or dimensions.get("QueueName")), None)
        yield (namespace, metric, dimensions.get("Handler")), owner


def statements(properties):
    """The statements of a role's policies."""
    for policy in properties.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def written(value):
    """A reference, or a text with references in it, as the template writes it."""
    if isinstance(value, str):
        return value
    (key, argument), = value.items()
    return dotted(argument) if key == "Fn::GetAtt" else argument


def values_of(value):
    """A value, and all that is in it."""
    yield value
    if isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from values_of(entry)


def as_list(value):
    """A value that may be one or several, or nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
