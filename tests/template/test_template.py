"""The template keeps what operators rely on, and whoever breaks it is told where.

    .tools/venv/bin/python -m unittest discover -s tests/template
"""

import itertools
import re
import sys
import tomllib
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from alarms import breaches, states  # noqa: E402
import check as the_check  # noqa: E402
from check import USE_OF_THE_TABLE, WILDCARDS, check  # noqa: E402
from settings import LEAST, MOST, OTHER, settings_that_do_not_arrive, version  # noqa: E402
from translated import Translated, read, template  # noqa: E402

FUNCTIONS = ("IdentifyFunction", "SaveFunction")

# What can be switched on and off by itself; each with what it needs.
SWITCHES = [
    {"CacheTtlSeconds": "0"},
    {"ConnectInstanceArn": MOST["ConnectInstanceArn"]},
    {"ContactRecordsStreamArn": MOST["ContactRecordsStreamArn"]},
    {name: MOST[name] for name in ("ConnectInstanceArn", "QueueArn")},
    {"AlarmTopicArn": OTHER["AlarmTopicArn"]},
    {"AlarmEmail": MOST["AlarmEmail"]},
    {"DeploymentType": "AllAtOnce"},
]


SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"

# For parameters whose values are easily mistaken: values that they take, and values that they refuse.
VALUES = [
    ("ApiKeySecretArn",
     [SECRET + name for name in ("key-AbCdEf", "sticky/calls/prod_key-Ab12Ef", "a-b-c-AbCdEf")]
     + ["arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:key-AbCdEf"],
     ["", "key-AbCdEf"] + [SECRET + name for name in (
         "", "key", "key-AbCdE", "key-AbCdEf7", "-AbCdEf", "key-AbC_Ef", "key-AbCdEf:api_key::", "key AbCdEf")]),
    # The host ends before the customer's id.
    ("CrmUrl",
     ["", *("https://" + rest for rest in (
         "crm.example.com/", "crm.example.com/customers/", "crm:8443/?id=", "crm.example.com/#/people/",
         "crm.example.com/@me/a%20b"))],
     ["http://crm.example.com/", *("https://" + rest for rest in (
         "crm.example.com", "crm.example.com:8443", "", "/customers/", "crm.example.com?id=", "crm.example.com#",
         "crm.example.com:/customers/", "me@crm.example.com/", "crm.example.com/a b"))]),
]


def ours(name, dimension="stack"):
    return "StickyConnect", name, dimension


def in_queue(name):
    return "AWS/SQS", "ApproximateNumberOfMessagesVisible", f"<{name}.QueueName>"


# Each way of failing in silence: what was measured in one period, and the alarms that fire.
SILENT = [
    ({ours("unavailable", "start_call"): [1] * 3 + [0] * 57}, ["LookupsUnansweredAlarm"]),
    ({ours("unavailable", "start_call"): [1] * 3 + [0] * 3}, ["LookupsUnansweredAlarm", "MostLookupsFailAlarm"]),
    ({ours("needs_operator"): [1]}, ["NeedsOperatorAlarm"]),
    ({ours("not_kept"): [1]}, ["SummariesNotKeptAlarm"]),
    ({ours("degraded"): [1] * 3}, ["DegradedAlarm"]),
    ({ours("circuit_open"): [1]}, ["ApiAlarm"]),
    ({ours("api_ms"): [20] * 9 + [1600]}, ["ApiAlarm"]),
    ({ours("answer_ms"): [20] * 9 + [2750]}, ["SlowAnswersAlarm"]),
    ({ours("outbox_wait_s"): [1800]}, ["OutboxStalledAlarm"]),
    ({in_queue("Outbox"): [1] * 15}, ["OutboxStalledAlarm"]),
    *(({in_queue(name): [1]}, ["DeadLettersAlarm"]) for name in ("DeadLetters", "FailedInvocations", "FailedRecords")),
    ({("AWS/Lambda", "IteratorAge", "<SaveFunction>"): [900_000]}, ["StreamBehindAlarm"]),
    ({("AWS/Kinesis", "IncomingRecords", "records"): [1]}, ["StreamBehindAlarm"]),
    *(({("AWS/Lambda", metric, f"<{function}>"): [1]}, ["FunctionsFailAlarm"])
      for metric in ("Errors", "Throttles") for function in FUNCTIONS),
    *(({("AWS/Connect", "ContactFlowErrors", f"stack {flow}"): [3], ours("unavailable", "start_call"): [0] * 3},
       ["FlowErrorsAlarm"]) for flow in ("inbound", "queue", "disconnect", "agent guide", "wrap-up")),
    # A quarter of an hour in which all is well, although one of a hundred things went wrong.
    ({
        ours("unavailable", "start_call"): [1] * 2 + [0] * 3, ours("degraded"): [1] * 2, ours("api_ms"): [1500],
        ours("answer_ms"): [2500], ours("outbox_wait_s"): [900], in_queue("Outbox"): [5, 0], in_queue("DeadLetters"): [0],
        ("AWS/Lambda", "IteratorAge", "<SaveFunction>"): [5_000], ("AWS/Kinesis", "IncomingRecords", "records"): [3],
        ours("received", "contact_records"): [3], ("AWS/Lambda", "Errors", "<SaveFunction>"): [0],
        ("AWS/Connect", "ContactFlowErrors", "stack inbound"): [4],
    }, []),
    ({}, []),
]


def at(path, value=None):
    """A change of the source: what stands at a path becomes a value, or goes."""

    def change(source):
        *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in way:
            source = source[key]
        if value is None:
            del source[last]
        else:
            source[last] = value

    return change


def of(name, path, value=None):
    return at(f"Resources/{name}/Properties/{path}", value)


def on_the_dashboard(old, new):
    def change(source):
        body = source["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        assert old in body[0], old
        body[0] = body[0].replace(old, new, 1)

    return change


def of_both(fault):
    return [f"{function}{fault}" for function in FUNCTIONS]


ENVIRONMENT = "Globals/Function/Environment/Variables"
PREFERENCE = "Globals/Function/DeploymentPreference"
POLICY = "Policies/0/PolicyDocument/Statement"
SAVE = {"Fn::GetAtt": ["SaveFunction", "Arn"]}
CANARY = "CodeDeployDefault.LambdaCanary10Percent10Minutes"
GONE = {
    "DeletionPolicy": "is deleted with the stack, and what is in it",
    "UpdateReplacePolicy": "is deleted where an update replaces it, and what is in it",
}

# Each changes one thing, and exactly this is found.
BREAKS = [
    (at("Parameters/Colour", {"Type": "String", "Default": "blue"}),
     [f"parameter Colour: {fault}" for fault in ("has no description", "is in 0 groups", "is not used")]),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_COLOUR", "blue"), of_both(": sets STICKY_CALLS_COLOUR, which it should not")),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_RECORDS"), of_both(": does not set STICKY_CALLS_RECORDS, which the code reads")),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_GUARD", "on"), of_both(": sets STICKY_CALLS_GUARD, which it should not")),
    (at("Parameters/TimeoutMs/Default", 2400), ["parameter TimeoutMs: has the default 2400, where the code has 2500"]),
    (of("SaveLogGroup", "RetentionInDays"), ["SaveFunction: its log has no retention"]),
    (at("Globals/Function/EventInvokeConfig"), of_both(": asynchronous invocations that fail are lost")),
    (of("Outbox", "SqsManagedSseEnabled"), ["Outbox: is not encrypted"]),
    *((at(f"Resources/{queue}/{policy}"), [f"{queue}: {fault}"])
      for queue in ("Outbox", "DeadLetters", "FailedInvocations", "FailedRecords") for policy, fault in GONE.items()),
    (of("DeadLettersAlarm", "Metrics/0/MetricStat/Metric/MetricName", "NumberOfMessagesSent"),
     ["DeadLetters: no alarm tells of what ends up here"]),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_TABLE", ""), of_both(": has no table")),
    # Both roles have the same statement.
    *((of("SaveRole", f"{POLICY}/2/Action/{number}"),
       [f"{role}: does not allow dynamodb:{action} on Table" for role in ("IdentifyRole", "SaveRole")])
      for number, action in enumerate(("BatchGetItem", "BatchWriteItem", "PutItem"))),
    (of("Table", "KeySchema/0/AttributeName", "caller"), ["Table: has another key than id"]),
    (of("Table", "TimeToLiveSpecification"), ["Table: does not expire by expires_at"]),
    (of("OutboxSubscription", "FunctionResponseTypes"), ["OutboxSubscription: a batch is retried as a whole"]),
    (of("Outbox", "RedrivePolicy"), ["OutboxSubscription: what can't be delivered is retried without end"]),
    *((of("ContactRecordsSubscription", key), [f"ContactRecordsSubscription: {fault}"]) for key, fault in (
        ("BisectBatchOnFunctionError", "does not isolate a record that fails"),
        ("MaximumRetryAttempts", "a record that fails stops its shard"),
        ("DestinationConfig", "tells nobody of records that it does not retry any more"),
    )),
    (of("SaveRole", f"{POLICY}/0/Resource", "*"),
     [f"SaveRole: allows logs:{action} on *" for action in ("CreateLogStream", "PutLogEvents")]),
    (of("IdentifyRole", f"{POLICY}/0/Action", "logs:*"), ["IdentifyRole: allows logs:* on IdentifyLogGroup.Arn"]),
    (of("SaveRole", f"{POLICY}/0/NotAction", "logs:DeleteLogGroup"), ["SaveRole: allows everything but something"]),
    (of("DeploymentRole", f"{POLICY}/1/Action", "cloudwatch:DeleteAlarms"),
     [f"DeploymentRole: allows cloudwatch:DeleteAlarms on {target}" for _, target in WILDCARDS]),
    (at(f"{PREFERENCE}/Role"), ["CodeDeployServiceRole: has ManagedPolicyArns, which are not ours"]),
    (of("SaveFunction", "Role"), [
        *(f"SaveFunctionRole: does not allow {action} on Table" for action in sorted(USE_OF_THE_TABLE)),
        "SaveFunctionRole: has ManagedPolicyArns, which are not ours", "SaveFunction: has no role of ours",
    ]),
    *((of(name, key, "sticky"), [f"{name}: has a fixed name"]) for name, key in (
        ("Outbox", "QueueName"), ("Table", "TableName"), ("SaveRole", "RoleName"), ("Dashboard", "DashboardName"),
        ("IdentifyFunction", "FunctionName"), ("SaveLogGroup", "LogGroupName"), ("DeadLettersAlarm", "AlarmName"),
        ("InboundFlow", "Name"),
    )),
    (at("Resources/Key", {"Type": "AWS::KMS::Key", "Properties": {}}),
     ["Key: is a AWS::KMS::Key, of which this check does not know what names it"]),
    (of("DeploymentRole", f"{POLICY}/0/Resource", "arn:aws:lambda:eu-central-1:123456789012:function:f"),
     ["DeploymentRole: has an ARN of the partition aws alone"]),
    *((of(name, path, SAVE), [f"{name}: goes past the alias of SaveFunction"]) for name, path in (
        ("OutboxSubscription", "FunctionName"), ("ContactRecordsSubscription", "FunctionName"),
        ("WrapUpFlow", "Content/Fn::Sub/1/SaveFunctionArn"),
    )),
    *((of(name, path, SAVE),
       [f"{name}: goes past the alias of SaveFunction", f"SaveFunction: no AWS::{kind} is for its alias"])
      for name, path, kind in (("SavePermission", "FunctionName", "Lambda::Permission"),
                               ("SaveAssociation", "IntegrationArn", "Connect::IntegrationAssociation"))),
    (at("Outputs/SaveFunctionArn/Value", SAVE), ["output SaveFunctionArn: goes past the alias of SaveFunction"]),
    (at(f"{PREFERENCE}/Alarms/Fn::If/1/3"),
     of_both("DeploymentGroup: is taken back by other alarms than docs/operations.md says")),
    (at(f"{PREFERENCE}/Type", "AllAtOnce"), of_both(f"DeploymentGroup: does not deploy as {CANARY}")),
    (at(PREFERENCE), of_both("Aliaslive: is moved at once, and by nobody who could take it back")),
    *((of("DeadLettersAlarm", key, value), [f"DeadLettersAlarm: {fault}"]) for key, value, fault in (
        ("AlarmDescription", "See ApiAlarm in docs/operations.md.", "its description does not lead to docs/operations.md"),
        ("AlarmActions", None, "has no AlarmActions"), ("OKActions", [], "has no OKActions"),
        ("TreatMissingData", "breaching", "fires where nothing happens"),
    )),
    *((of("StreamBehindAlarm", f"Metrics/0/{path}", value), [f"StreamBehindAlarm: {fault}" for fault in faults])
      for path, value, faults in (
          ("MetricStat/Period", 60, ["computes with periods of 60 and 900 s"]), ("ReturnData", True, ["returns 2 values"]),
          ("Id", "old", ["computes with age, which is no metric of it", "does not use old"]))),
    (of("NeedsOperatorAlarm", "MetricName", "needs_operater"), [
        "NeedsOperatorAlarm: names the metric needs_operater, which the code does not write",
        "needs_operator: no alarm watches it",
    ]),
    (of("NeedsOperatorAlarm", "Dimensions", [{"Name": "service", "Value": "another"}]),
     ["NeedsOperatorAlarm: looks for needs_operator of another service than the functions write"]),
    (of("NeedsOperatorAlarm", "Dimensions", [{"Name": "FunctionName", "Value": "f"}]),
     ["NeedsOperatorAlarm: looks for needs_operator under FunctionName"]),
    (on_the_dashboard('"received", "service", "${AWS::StackName}", "handler", "redelivery"',
                      '"saved", "service", "${AWS::StackName}", "handler", "redelivery"'),
     ["received: neither alarm nor dashboard shows it of redelivery"]),
    (on_the_dashboard('[".", "deferred", ".", ".", ".", "."],', ""),
     ["deferred: neither alarm nor dashboard shows it of end_call"]),
    (on_the_dashboard('"matched"', '"matchd"'), [
        "Dashboard: names the metric matchd, which the code does not write",
        "matched: neither alarm nor dashboard shows it of start_call",
    ]),
    (of("Dashboard", "DashboardBody/Fn::Sub/1/Degradations", ""), ["Dashboard: does not count by degradation"]),
    (on_the_dashboard('"${DeadLettersAlarm.Arn}",', ""), ["DeadLettersAlarm: is not on the dashboard"]),
]


class TheTemplate(unittest.TestCase):
    maxDiff = None

    def test_with_every_option_on_and_off_it_holds_all_that_is_promised(self):
        source = template()
        off = [{**MOST, name: ""} for name in ("ConnectInstanceArn", "ContactRecordsStreamArn", "QueueArn", "AlarmEmail")]
        on = [{**LEAST, **one, **other} for one, other in itertools.combinations_with_replacement(SWITCHES, 2)]
        kinds = [{**MOST, "DeploymentType": kind} for kind in source["Parameters"]["DeploymentType"]["AllowedValues"]]
        for parameters in (LEAST, MOST, *off, *on, *kinds):
            self.assertEqual(check(Translated(source, parameters)), [], parameters)

    def test_whoever_breaks_it_is_told_where(self):
        for change, expected in BREAKS:
            changed = template()
            change(changed)
            self.assertCountEqual(check(Translated(changed, MOST)), expected)

    def test_a_word_of_the_codes_that_the_template_lacks_is_found(self):
        lacks = {
            ("new_total", "total", ("service",), None): "new_total: no alarm watches it",
            ("new_ms", "measure", ("service",), None): "new_ms: neither alarm nor dashboard shows it",
            ("held", "status", ("service", "handler"), "end_call"): "held: neither alarm nor dashboard shows it of end_call",
        }
        translated = Translated(template(), MOST)
        for word, fault in lacks.items():
            with mock.patch.object(the_check, "METRICS", [*the_check.METRICS, word]):
                self.assertEqual(check(translated), [fault])
        for word in (("new_reason", "reason", ("service",), None), ("new_failed", "degradation", ("service",), None)):
            with mock.patch.object(the_check, "METRICS", [*the_check.METRICS, word]):
                self.assertEqual(check(translated), [])

    def test_a_template_that_grows_beyond_what_a_person_reads_is_found(self):
        translated = Translated(template(), MOST)
        for most, what in (("MOST_LINES", "lines"), ("MOST_PARAMETERS", "parameters"), ("MOST_ALARMS", "alarms")):
            with mock.patch.object(the_check, most, 11):
                self.assertRegex(" ".join(check(translated)), f"^template.yaml: has [0-9]+ {what}, and 11 are the most$")

    def test_a_changed_setting_publishes_each_function_that_it_reaches_and_no_other(self):
        for parameters in (LEAST, MOST):
            self.assertEqual(settings_that_do_not_arrive(template(), parameters), [])
        changed = template()
        changed["Globals"]["Function"]["Tracing"]["Fn::Select"][1].remove({"Ref": "TimeoutMs"})
        expected = [f"TimeoutMs: does not reach the alias of {name}" for name in FUNCTIONS]
        self.assertEqual(settings_that_do_not_arrive(changed, LEAST), expected)
        changed = template()
        changed["Globals"]["Function"]["Tracing"]["Fn::Select"][1].append({"Ref": "LogRetentionDays"})
        expected = [f"LogRetentionDays: publishes {name}, which is as it was" for name in FUNCTIONS]
        self.assertEqual(settings_that_do_not_arrive(changed, LEAST), expected)

    def test_changed_code_or_a_changed_property_publishes_both_functions(self):
        changed = template()
        changed["Globals"]["Function"]["MemorySize"] = 512
        before = Translated(template(), MOST)
        for after in (Translated(template(), MOST, code="s3://bucket/other"), Translated(changed, MOST)):
            for function in FUNCTIONS:
                self.assertNotEqual(version(before, function), version(after, function))

    def test_a_parameter_takes_what_is_good_and_nothing_else(self):
        for parameter, good, bad in VALUES:
            # CloudFormation matches the whole value.
            pattern = re.compile(template()["Parameters"][parameter]["AllowedPattern"])
            self.assertEqual([value for value in good if not pattern.fullmatch(value)], [], f"{parameter} refuses")
            self.assertEqual([value for value in bad if pattern.fullmatch(value)], [], f"{parameter} takes")

    def test_contact_flows_can_be_had_without_a_stream_of_contact_records(self):
        self.assertEqual(list(template()["Rules"]), ["FlowsNeedAnInstance", "SomebodyToWrite"])
        self.assertIn("WrapUpFlow", Translated(template(), {**MOST, "ContactRecordsStreamArn": ""}).resources)

    def test_dev_is_what_one_gets_without_naming_an_environment(self):
        environments = tomllib.loads(read("samconfig.toml"))
        self.assertEqual(environments["default"], environments["dev"])


class TheAlarms(unittest.TestCase):
    maxDiff = None

    def test_each_way_of_failing_in_silence_fires_its_alarm_and_no_other(self):
        translated = Translated(template(), MOST)
        alarms = translated.of_type("AWS::CloudWatch::Alarm")
        for measured, expected in SILENT:
            self.assertCountEqual([name for name in alarms if breaches(translated, name, measured)], expected, measured)
        self.assertEqual({name for _, expected in SILENT for name in expected}, set(alarms))

    def test_with_any_timeout_the_alarms_about_time_keep_their_distance_to_it(self):
        for timeout in (1_000, 2_500, 4_500):
            translated = Translated(template(), {**MOST, "TimeoutMs": str(timeout)})
            for alarm, metric, late in (("ApiAlarm", "api_ms", (timeout - 500) * 0.8),
                                        ("SlowAnswersAlarm", "answer_ms", timeout + 250)):
                self.assertTrue(breaches(translated, alarm, {ours(metric): [late]}))
                self.assertFalse(breaches(translated, alarm, {ours(metric): [late - 1]}))

    def test_the_outboxs_alarm_stays_red_until_nothing_waits(self):
        # Minutes between the tries of a message that the API does not take; an hour is the longest delay of a retry.
        waits, slack, delivered = [1, 2, 4, 8, 16, 32, 60, 60, 60], 6, 600
        for deferred in (0, 15):
            tries = [1 + deferred + sum(waits[:number]) + slack * number for number in range(len(waits) + 1)]
            measured = {minute: {ours("outbox_wait_s"): [60 * minute]} for minute in tries if minute < delivered}
            found = states(Translated(template(), MOST), "OutboxStalledAlarm", measured, delivered + 130)
            red = found.index("ALARM")
            self.assertLess(red, 60)
            last = max(measured)
            self.assertEqual(set(found[red:last + 60 + slack]), {"ALARM"})
            self.assertEqual(found[-1], "OK")

    def test_the_outboxs_alarm_stays_red_while_nobody_fetches(self):
        measured = {minute: {in_queue("Outbox"): [1]} for minute in range(10, 500)}
        found = states(Translated(template(), MOST), "OutboxStalledAlarm", measured, 500)
        self.assertLess(found.index("ALARM"), 45)
        self.assertEqual(set(found[45:]), {"ALARM"})

    def test_the_dead_letters_alarm_does_not_turn_ok_when_they_expire(self):
        dead, empty = {in_queue("DeadLetters"): [1]}, {in_queue("DeadLetters"): [0]}
        # Messages for an hour, an empty queue for six, and then a queue that sends no metrics.
        measured = {minute: dead if minute < 70 else empty for minute in range(10, 430)}
        for first in ("OK", "INSUFFICIENT_DATA"):
            found = states(Translated(template(), MOST), "DeadLettersAlarm", measured, 900, first)
            self.assertEqual((set(found[:10]), set(found[10:])), ({first}, {"ALARM"}))
        # Set to OK by an operator, it stays so until the next message.
        found = states(Translated(template(), MOST), "DeadLettersAlarm", {50: dead}, 60, "OK")
        self.assertEqual((set(found[:50]), set(found[50:])), ({"OK"}, {"ALARM"}))


if __name__ == "__main__":
    unittest.main()
