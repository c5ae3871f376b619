"""The template keeps what operators rely on, and a broken rule is reported by name.

    .tools/venv/bin/python -m unittest discover -s tests/template
"""

import functools
import itertools
import re
import sys
import tomllib
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import check as the_check  # noqa: E402
from check import USE_OF_THE_TABLE, VOCABULARY, WILDCARDS, check  # noqa: E402
from metric_math import breaches, states  # noqa: E402
from settings import LEAST, MOST, OTHER, settings_that_do_not_arrive, version  # noqa: E402
from translated import Translated, read, template  # noqa: E402

FUNCTIONS = ("IdentifyFunction", "SaveFunction")

# What can be switched on and off by itself; each with what it needs.
SWITCHES = [
    {"CacheTtlSeconds": "0"}, {"DeploymentType": "AllAtOnce"}, {"AlarmTopicArn": OTHER["AlarmTopicArn"]},
    *({name: MOST[name]} for name in ("ConnectInstanceArn", "ContactRecordsStreamArn", "AlarmEmail")),
    {name: MOST[name] for name in ("ConnectInstanceArn", "QueueArn", "HoursArn")},
    {name: MOST[name] for name in ("ContactRecordsStreamArn", "ContactLensStreamArn")},
    {name: MOST["ContactRecordsStreamArn"] for name in ("ContactRecordsStreamArn", "ContactLensStreamArn")},
]

# For parameters whose values are easily mistaken: how they begin, how they may go on, and how they may not.
VALUES = [
    ("ApiKeySecretArn", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:",
     ["key-AbCdEf", "sticky/calls/prod_key-Ab12Ef", "a-b-c-AbCdEf"],
     ["", "key", "key-AbCdE", "key-AbCdEf7", "-AbCdEf", "key-AbC_Ef", "key-AbCdEf:api_key::", "key AbCdEf"]),
    ("ApiKeySecretArn", "", ["arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:k-AbCdEf"], ["", "key"]),
    # The host ends before the customer's id.
    ("CrmUrl", "https://", ["crm.com/", "crm.com/people/", "crm:8443/?id=", "crm.com/#/people/", "crm.com/@me/a%20b"],
     ["", "crm.com", "crm.com:84", "/id/", "crm.com?id=", "crm.com#", "crm.com:/a/", "me@crm.com/", "crm.com/a b"]),
    ("CrmUrl", "", [""], ["http://crm.com/"]),
]


def ours(name, dimension="stack"):
    return "StickyConnect", name, dimension


def in_queue(name):
    return "AWS/SQS", "ApproximateNumberOfMessagesVisible", f"<{name}.QueueName>"


LOOKUPS, RECORDS = ours("unavailable", "start_call"), ("AWS/Kinesis", "IncomingRecords", "records")
ANALYSIS = ("AWS/Kinesis", "IncomingRecords", "analysis")
RECEIVED, SUMMARIES = (ours(name, "contact_records") for name in ("received", "received_summaries"))

# Each way of failing in silence: what was measured in one period, and the alarms that fire.
SILENT = [
    ({LOOKUPS: [1] * 3 + [0] * 57}, ["LookupsUnansweredAlarm"]),
    ({LOOKUPS: [1] * 3 + [0] * 3}, ["LookupsUnansweredAlarm", "MostLookupsFailAlarm"]),
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
    ({RECORDS: [1]}, ["StreamBehindAlarm"]),
    ({ANALYSIS: [90]}, ["StreamBehindAlarm"]),
    # One of the two streams is not read.
    ({RECORDS: [1], ANALYSIS: [90], RECEIVED: [2], SUMMARIES: [2]}, ["StreamBehindAlarm"]),
    ({RECORDS: [1], ANALYSIS: [90], RECEIVED: [1]}, ["StreamBehindAlarm"]),
    *(({("AWS/Lambda", metric, f"<{function}>"): [1]}, ["FunctionsFailAlarm"])
      for metric in ("Errors", "Throttles") for function in FUNCTIONS),
    *(({("AWS/Connect", "ContactFlowErrors", f"stack {flow}"): [3], LOOKUPS: [0] * 3}, ["FlowErrorsAlarm"])
      for flow in ("inbound", "disconnect", "wrap-up", "identify", "save")),
    # All is well, although single things went wrong.
    ({LOOKUPS: [1] * 2 + [0] * 3, ours("degraded"): [1] * 2, ours("api_ms"): [1500], ours("answer_ms"): [2500],
      ours("outbox_wait_s"): [900], in_queue("Outbox"): [5, 0], in_queue("DeadLetters"): [0], RECORDS: [3],
      ANALYSIS: [90], RECEIVED: [3, 2], SUMMARIES: [2], ("AWS/Lambda", "IteratorAge", "<SaveFunction>"): [5_000],
      ("AWS/Lambda", "Errors", "<SaveFunction>"): [0], ("AWS/Connect", "ContactFlowErrors", "stack inbound"): [4]}, []),
    ({}, []),
]


def at(path, value=None):
    """A change of the source: what stands at a path becomes a value, or goes."""

    def change(source):
        *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        place = functools.reduce(lambda within, key: within[key], way, source)
        place.pop(last) if value is None else place.__setitem__(last, value)

    return change


def of(name, path, value=None):
    return at(f"Resources/{name}/Properties/{path}", value)


def on_the_dashboard(old, new):
    def change(source):
        body = source["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        assert old in body[0], old
        body[0] = body[0].replace(old, new, 1)

    return change


def both(fault):
    return [f"{function}{fault}" for function in FUNCTIONS]


ENVIRONMENT = "Globals/Function/Environment/Variables"
PREFERENCE = "Globals/Function/DeploymentPreference"
POLICY = "Policies/0/PolicyDocument/Statement"
SAVE = {"Fn::GetAtt": ["SaveFunction", "Arn"]}

# Each changes one thing, and exactly this is found.
BREAKS = [
    (at("Parameters/Colour", {"Type": "String", "Default": "blue"}),
     [f"parameter Colour: {fault}" for fault in ("has no description", "is in 0 groups", "is not used")]),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_GUARD", "on"), both(": sets STICKY_CALLS_GUARD, which it should not")),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_RECORDS"), both(": does not set STICKY_CALLS_RECORDS, which the code reads")),
    (at("Parameters/TimeoutMs/Default", 2400), ["parameter TimeoutMs: has the default 2400, where the code has 2500"]),
    (of("SaveLogGroup", "RetentionInDays"), ["SaveFunction: its log has no retention"]),
    (at("Globals/Function/EventInvokeConfig"), both(": asynchronous invocations that fail are lost")),
    (of("Outbox", "SqsManagedSseEnabled"), ["Outbox: is not encrypted"]),
    *((at(f"Resources/{queue}/{policy}"), [f"{queue}: is deleted {when}"])
      for queue in ("Outbox", "DeadLetters", "FailedInvocations", "FailedRecords")
      for policy, when in (("DeletionPolicy", "with the stack"), ("UpdateReplacePolicy", "if an update replaces it"))),
    (of("DeadLettersAlarm", "Metrics/0/MetricStat/Metric/MetricName", "Sent"), ["DeadLetters: no alarm tells of it"]),
    (at(f"{ENVIRONMENT}/STICKY_CALLS_TABLE", ""), both(": has no table")),
    # Both roles have the same statement.
    *((of("SaveRole", f"{POLICY}/2/Action/{number}"),
       [f"{role}: does not allow {action} on Table" for role in ("IdentifyRole", "SaveRole")])
      for number, action in enumerate(sorted(USE_OF_THE_TABLE))),
    (of("Table", "KeySchema/0/AttributeName", "caller"), ["Table: has another KeySchema than the code"]),
    (of("Table", "TimeToLiveSpecification"), ["Table: has another TimeToLiveSpecification than the code"]),
    (of("Outbox", "RedrivePolicy/maxReceiveCount", 3),
     ["Outbox: is received more or less often than the code expects"]),
    (of("Outbox", "RedrivePolicy"), ["OutboxSubscription: what fails is retried without end"]),
    *((of(f"{name}Subscription", key), [f"{name}Subscription: {fault}"]) for name, key, fault in (
        ("Outbox", "FunctionResponseTypes", "a batch is retried as a whole"),
        ("ContactRecords", "BisectBatchOnFunctionError", "does not isolate a record that fails"),
        ("ContactRecords", "MaximumRetryAttempts", "a record that fails stops its shard"),
        ("ContactRecords", "DestinationConfig", "tells nobody of records that fail"),
        ("ContactLens", "FunctionResponseTypes", "a batch is retried as a whole"),
        ("ContactLens", "MaximumRetryAttempts", "a record that fails stops its shard"))),
    (of("IdentifyRole", f"{POLICY}/3/Resource", "*"), ["IdentifyRole: allows sqs:SendMessage on *"]),
    (of("IdentifyRole", f"{POLICY}/0/Action", "logs:*"), ["IdentifyRole: allows logs:* on IdentifyLogGroup.Arn"]),
    (of("SaveRole", f"{POLICY}/0/NotAction", "logs:DeleteLogGroup"), ["SaveRole: allows everything but something"]),
    (of("DeploymentRole", f"{POLICY}/1/Action", "cloudwatch:DeleteAlarms"),
     [f"DeploymentRole: allows cloudwatch:DeleteAlarms on {target}" for _, target in WILDCARDS]),
    (at(f"{PREFERENCE}/Role"), ["CodeDeployServiceRole: has ManagedPolicyArns, which are not ours"]),
    (of("SaveFunction", "Role"), [
        *(f"SaveFunctionRole: does not allow {action} on Table" for action in USE_OF_THE_TABLE),
        "SaveFunctionRole: has ManagedPolicyArns, which are not ours", "SaveFunction: has no role of ours"]),
    *((of(name, key, "sticky"), [f"{name}: has a fixed name"]) for name, key in (
        ("Outbox", "QueueName"), ("Table", "TableName"), ("SaveRole", "RoleName"), ("ApiAlarm", "AlarmName"),
        ("SaveFunction", "FunctionName"), ("SaveLogGroup", "LogGroupName"), ("QueueFlow", "Name"),
        ("SaveModule", "Name"))),
    (of("DeploymentRole", f"{POLICY}/0/Resource", "arn:aws:s3:::b"), ["DeploymentRole: has an ARN of partition aws"]),
    *((of(name, path, SAVE), [f"{name}: goes past the alias of SaveFunction",
                              *(f"SaveFunction: no AWS::{kind} is for its alias" for kind in kinds)])
      for name, path, kinds in (
          ("OutboxSubscription", "FunctionName", []), ("ContactRecordsSubscription", "FunctionName", []),
          ("ContactLensSubscription", "FunctionName", []),
          ("WrapUpFlow", "Content/Fn::Sub/1/SaveFunctionArn", []),
          ("SaveModule", "Content/Fn::Sub/1/SaveFunctionArn", []),
          ("SavePermission", "FunctionName", ["Lambda::Permission"]),
          ("SaveAssociation", "IntegrationArn", ["Connect::IntegrationAssociation"]))),
    (at("Outputs/SaveFunctionArn/Value", SAVE), ["output SaveFunctionArn: goes past the alias of SaveFunction"]),
    (at(f"{PREFERENCE}/Alarms/Fn::If/1/3"), both("DeploymentGroup: has other alarms than docs/operations.md says")),
    (at(f"{PREFERENCE}/Type", "AllAtOnce"), both("DeploymentGroup: does not deploy as Canary10Percent10Minutes")),
    (at(PREFERENCE), both("Aliaslive: is moved at once, and by nobody who could take it back")),
    *((of("ApiAlarm", key, value), [f"ApiAlarm: {fault}"]) for key, value, fault in (
        ("AlarmDescription", "See A in docs/operations.md.", "its description does not lead to docs/operations.md"),
        ("AlarmActions", None, "reaches nobody"), ("OKActions", [], "reaches nobody"),
        ("TreatMissingData", "breaching", "fires where nothing happens"))),
    (of("StreamBehindAlarm", "Metrics/0/MetricStat/Period", 60), ["StreamBehindAlarm: CloudWatch refuses its metrics"]),
    *((of("NeedsOperatorAlarm", key, value), [f"NeedsOperatorAlarm: {fault}", *more]) for key, value, fault, *more in (
        ("MetricName", "needs", "names needs, which the code does not write", "needs_operator: no alarm watches it"),
        ("Dimensions", [{"Name": "service", "Value": "s"}], "looks for needs_operator of another service"),
        ("Dimensions", [{"Name": "FunctionName", "Value": "f"}], "looks for needs_operator under FunctionName"))),
    (on_the_dashboard('[".", "deferred", ".", ".", ".", "."],', ""), ["deferred of end_call: is shown nowhere"]),
    (on_the_dashboard('"matched"', '"saved"'), ["Dashboard: looks for saved of start_call, which does not write it",
                                                "matched of start_call: is shown nowhere"]),
    (of("Dashboard", "DashboardBody/Fn::Sub/1/Degradations", ""), ["Dashboard: does not count by degradation"]),
    (on_the_dashboard('"${DeadLettersAlarm.Arn}",', ""), ["DeadLettersAlarm: is not on the dashboard"]),
]


class TheTemplate(unittest.TestCase):
    def test_with_every_option_on_and_off_it_holds_all_that_is_promised(self):
        source = template()
        off = [{**MOST, name: ""} for switch in SWITCHES[3:] for name in switch]
        on = [{**LEAST, **one, **other} for one, other in itertools.combinations_with_replacement(SWITCHES, 2)]
        kinds = [{**MOST, "DeploymentType": kind} for kind in source["Parameters"]["DeploymentType"]["AllowedValues"]]
        for parameters in (LEAST, MOST, *off, *on, *kinds):
            self.assertEqual(check(Translated(source, parameters)), [], parameters)

    def test_whoever_breaks_it_is_told_where(self):
        for change, expected in BREAKS:
            changed = template()
            change(changed)
            self.assertCountEqual(check(Translated(changed, MOST)), expected)

    def test_a_word_of_the_code_that_the_template_lacks_is_found(self):
        translated = Translated(template(), MOST)
        for word, *faults in (
            (("more", "total", ("service",), None), "more: no alarm watches it"),
            (("more", "measure", ("service",), None), "more of the service: is shown nowhere"),
            (("more", "status", ("service", "handler"), "end"), "more of end: is shown nowhere"),
            (("more", "reason", ("service",), None),), (("more", "degradation", ("service",), None),),
        ):
            with mock.patch.object(the_check, "METRICS", [*the_check.METRICS, word]):
                self.assertEqual(check(translated), faults)

    def test_a_template_that_grows_beyond_what_a_person_reads_is_found(self):
        for what in ("lines", "parameters", "alarms"):
            with mock.patch.object(the_check, f"MOST_{what.upper()}", 11):
                self.assertEqual(check(Translated(template(), MOST)), [f"template.yaml: has too many {what}"])

    def test_a_changed_setting_publishes_each_function_that_it_reaches_and_no_other(self):
        for parameters in (LEAST, MOST):
            self.assertEqual(list(settings_that_do_not_arrive(template(), parameters)), [])
        for change, name, fault in ((list.remove, "TimeoutMs", "TimeoutMs: does not reach the alias of {}"),
                                    (list.append, "LogRetentionDays", "LogRetentionDays: publishes {} as it was")):
            changed = template()
            change(changed["Globals"]["Function"]["Tracing"]["Fn::Select"][1], {"Ref": name})
            found = list(settings_that_do_not_arrive(changed, LEAST))
            self.assertEqual(found, [fault.format(name) for name in FUNCTIONS])

    def test_changed_code_or_a_changed_property_publishes_both_functions(self):
        changed = template()
        changed["Globals"]["Function"]["MemorySize"] = 512
        before = Translated(template(), MOST)
        for after in (Translated(template(), MOST, code="s3://bucket/other"), Translated(changed, MOST)):
            for function in FUNCTIONS:
                self.assertNotEqual(version(before, function), version(after, function))

    def test_a_parameter_takes_what_is_good_and_nothing_else(self):
        for parameter, start, good, bad in VALUES:
            # CloudFormation matches the whole value.
            pattern = re.compile(template()["Parameters"][parameter]["AllowedPattern"])
            self.assertEqual([end for end in good + bad if pattern.fullmatch(start + end)], good, parameter)

    def test_samconfig_names_parameters_of_the_template_also_in_the_lines_that_are_switched_off(self):
        switched_on = re.sub(r"^( +)# '", r"\1'", read("samconfig.toml"), flags=re.MULTILINE)
        self.assertNotEqual(switched_on, read("samconfig.toml"))
        for environment in tomllib.loads(switched_on).values():
            if isinstance(environment, dict):
                named = [line.split("=")[0] for line in environment["deploy"]["parameters"]["parameter_overrides"]]
                self.assertLessEqual(set(named), set(template()["Parameters"]))
                # What a stack can't do without stands first, to be filled in.
                self.assertEqual(named[:3], ["ApiKeySecretArn", "ConnectInstanceArn", "AlarmEmail"])


class TheAlarms(unittest.TestCase):
    most = Translated(template(), MOST)

    def test_each_way_of_failing_in_silence_fires_its_alarm_and_no_other(self):
        alarms = self.most.of_type("AWS::CloudWatch::Alarm")
        for measured, expected in SILENT:
            self.assertCountEqual([name for name in alarms if breaches(self.most, name, measured)], expected, measured)
        self.assertEqual({name for _, expected in SILENT for name in expected}, set(alarms))

    def test_with_any_timeout_the_alarms_about_time_keep_their_distance_to_it(self):
        for timeout in (1_000, 2_500, 4_500):
            translated = Translated(template(), {**MOST, "TimeoutMs": str(timeout)})
            for alarm, metric, late in (("ApiAlarm", "api_ms", (timeout - VOCABULARY["outbox"]["share_ms"]) * 0.8),
                                        ("SlowAnswersAlarm", "answer_ms", timeout + 250)):
                self.assertTrue(breaches(translated, alarm, {ours(metric): [late]}))
                self.assertFalse(breaches(translated, alarm, {ours(metric): [late - 1]}))

    def test_in_a_shared_stream_the_events_of_a_long_call_fire_no_alarm_and_a_stream_that_nobody_reads_does(self):
        shared = Translated(template(), {**MOST, "ContactLensStreamArn": MOST["ContactRecordsStreamArn"]})
        call = {minute: {RECORDS: [30]} for minute in range(55)} | {55: {RECORDS: [2], RECEIVED: [2]}}
        self.assertNotIn("ALARM", states(shared, "StreamBehindAlarm", call, 120))
        # Now and then somebody calls.
        unread = {minute: {RECORDS: [30]} for start in (5, 50, 95) for minute in range(start, start + 10)}
        self.assertIn("ALARM", states(shared, "StreamBehindAlarm", unread, 120))
        # Without Contact Lens half an hour is enough.
        alone = Translated(template(), {**MOST, "ContactLensStreamArn": ""})
        self.assertIn("ALARM", states(alone, "StreamBehindAlarm", {minute: {RECORDS: [1]} for minute in range(31)}, 32))

    def test_the_outboxs_alarm_stays_red_until_nothing_waits(self):
        # Minutes between the tries of a message that the API does not take, an hour at most; and how late one may be.
        longest = VOCABULARY["outbox"]["longest_wait_s"] // 60
        waits, late, delivered = [1, 2, 4, 8, 16, 32, *[longest] * 3], 6, 600
        for deferred in (0, 15):
            tries = [1 + deferred + sum(waits[:number]) + late * number for number in range(len(waits) + 1)]
            measured = {minute: {ours("outbox_wait_s"): [60 * minute]} for minute in tries if minute < delivered}
            found = states(self.most, "OutboxStalledAlarm", measured, delivered + 130)
            self.assertLess(found.index("ALARM"), 60)
            self.assertEqual(set(found[found.index("ALARM"):max(measured) + 60 + late]), {"ALARM"})
            self.assertEqual(found[-1], "OK")
        # And while nobody fetches.
        measured = {minute: {in_queue("Outbox"): [1]} for minute in range(10, 300)}
        found = states(self.most, "OutboxStalledAlarm", measured, 300)
        self.assertLess(found.index("ALARM"), 45)
        self.assertEqual(set(found[45:]), {"ALARM"})

    def test_an_alarm_about_calls_keeps_its_state_while_nobody_calls(self):
        # Calls that go wrong until the evening, and one that does not in the morning.
        evening, morning, end = 30, 600, 661
        for alarm, wrong, well in (
            ("LookupsUnansweredAlarm", {LOOKUPS: [1] * 3}, {LOOKUPS: [0]}),
            ("MostLookupsFailAlarm", {LOOKUPS: [1] * 3}, {LOOKUPS: [0]}),
            ("NeedsOperatorAlarm", {ours("needs_operator"): [1]}, {ours("needs_operator"): [0]}),
            ("ApiAlarm", {ours("circuit_open"): [1]}, {ours("api_ms"): [20]}),
            ("SlowAnswersAlarm", {ours("answer_ms"): [2800]}, {ours("answer_ms"): [20]}),
        ):
            measured = {minute: wrong for minute in range(evening)} | {minute: well for minute in range(morning, end)}
            found = states(self.most, alarm, measured, end)
            self.assertEqual((set(found[evening:morning]), found[-1]), ({"ALARM"}, "OK"), alarm)

    def test_a_night_with_a_failing_call_now_and_then_is_no_proof_that_lookups_are_mended(self):
        for alarm in ("LookupsUnansweredAlarm", "MostLookupsFailAlarm"):
            measured = {minute: {LOOKUPS: [1] * 3} for minute in range(30)}
            measured |= {minute: {LOOKUPS: [1]} for minute in range(100, 600, 70)} | {600: {LOOKUPS: [0] * 9}}
            found = states(self.most, alarm, measured, 661)
            self.assertEqual((set(found[29:600]), found[-1]), ({"ALARM"}, "OK"), alarm)

    def test_the_dead_letters_alarm_does_not_turn_ok_when_they_expire(self):
        # Messages for an hour, an empty queue for six, and then a queue that sends no metrics.
        measured = {minute: {in_queue("DeadLetters"): [int(minute < 70)]} for minute in range(10, 430)}
        for first in ("OK", "INSUFFICIENT_DATA"):
            found = states(self.most, "DeadLettersAlarm", measured, 900, first)
            self.assertEqual((set(found[:10]), set(found[10:])), ({first}, {"ALARM"}))
        # Set to OK by an operator, it stays so until the next message.
        found = states(self.most, "DeadLettersAlarm", {50: {in_queue("DeadLetters"): [1]}}, 60, "OK")
        self.assertEqual((set(found[:50]), set(found[50:])), ({"OK"}, {"ALARM"}))
