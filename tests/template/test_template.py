"""The template keeps what operators rely on, and whoever breaks it is told where.

    .tools/venv/bin/python -m unittest discover -s tests/template
"""

import itertools
import re
import sys
import tomllib
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from check import check  # noqa: E402
from settings import LEAST, MOST, OTHER, settings_that_do_not_arrive, version  # noqa: E402
from translated import Translated, read, template  # noqa: E402

# What can be switched on and off by itself; each with what it needs.
SWITCHES = [
    {"CacheTtlSeconds": "0"},
    {"ConnectInstanceArn": MOST["ConnectInstanceArn"]},
    {"ContactRecordsStreamArn": MOST["ContactRecordsStreamArn"]},
    {name: MOST[name] for name in ("ConnectInstanceArn", "QueueArn")},
    {"AlarmTopicArn": OTHER["AlarmTopicArn"]},
    {"AlarmEmail": MOST["AlarmEmail"]},
    {"RollBackOnAlarm": "false"},
    {"Tracing": "Active"},
]


def faults_after(change, parameters=MOST):
    """What is said of the template after this change to it."""
    changed = template()
    change(changed)
    return check(Translated(changed, parameters))


def faults_after_in(resource, change, parameters=MOST):
    """The same after a change to one resource's properties."""
    return faults_after(lambda source: change(source["Resources"][resource]["Properties"]), parameters)


def without(*keys):
    """A change that takes something away, by the way to it."""

    def change(value):
        for key in keys[:-1]:
            value = value[key]
        del value[keys[-1]]

    return change


def statement_of(properties, action):
    """The statement of a role's that allows this action."""
    entries = properties["Policies"][0]["PolicyDocument"]["Statement"]
    return next(entry for entry in entries if action in str(entry.get("Action")))


class TheTemplate(unittest.TestCase):
    maxDiff = None

    def test_with_the_least_and_with_the_most_it_holds_all_that_is_promised(self):
        for parameters in (LEAST, MOST):
            self.assertEqual(check(Translated(template(), parameters)), [])

    def test_each_option_can_be_switched_on_by_itself_and_off_by_itself(self):
        source = template()
        for switch in SWITCHES:
            self.assertEqual(check(Translated(source, {**LEAST, **switch})), [], f"on: {switch}")
        for one, other in itertools.combinations(SWITCHES, 2):
            self.assertEqual(check(Translated(source, {**LEAST, **one, **other})), [], f"on: {one} and {other}")
        for name in ("ConnectInstanceArn", "ContactRecordsStreamArn", "QueueArn", "AlarmEmail"):
            self.assertEqual(check(Translated(source, {**MOST, name: ""})), [], f"off: {name}")

    def test_a_changed_setting_publishes_each_function_that_it_reaches_and_no_other(self):
        for parameters in (LEAST, MOST):
            self.assertEqual(settings_that_do_not_arrive(template(), parameters), [])

    def test_changed_code_publishes_both_functions(self):
        source = template()
        before, after = Translated(source, MOST), Translated(source, MOST, code="s3://bucket/other")
        for function in ("IdentifyFunction", "SaveFunction"):
            self.assertNotEqual(version(before, function), version(after, function))

    def test_a_changed_property_publishes_the_function(self):
        changed = template()
        changed["Globals"]["Function"]["MemorySize"] = 512
        changed["Resources"]["SaveFunction"]["Properties"]["Timeout"] = 90
        before, after = Translated(template(), MOST), Translated(changed, MOST)
        for function in ("IdentifyFunction", "SaveFunction"):
            self.assertNotEqual(version(before, function), version(after, function))

    def test_each_deployment_type_is_one_that_codedeploy_has(self):
        for kind in template()["Parameters"]["DeploymentType"]["AllowedValues"]:
            self.assertEqual(check(Translated(template(), {**MOST, "DeploymentType": kind})), [])

    def test_an_api_that_uses_up_all_that_a_lookup_or_a_save_has_rings(self):
        def share(timeout_ms, **measured):
            alarm = Translated(template(), {**MOST, "TimeoutMs": str(timeout_ms)}).properties("ApiLatencyAlarm")
            values = {"FILL": lambda value, other: other if value is None else value, "MAX": max}
            for entry in alarm["Metrics"]:
                expression = entry.get("Expression")
                if isinstance(expression, dict):
                    expression = expression["Fn::Sub"].replace("${TimeoutMs}", str(timeout_ms))
                values[entry["Id"]] = eval(expression, values) if expression else measured.get(entry["Id"])
            return values["share"]

        for timeout_ms in (1_000, 2_000, 2_500, 4_500):
            self.assertEqual(share(timeout_ms, identify_start=timeout_ms), 100)
            self.assertEqual(share(timeout_ms, save_end=timeout_ms - 500), 100)
            self.assertEqual(share(timeout_ms), 0)

    def test_a_secret_is_named_with_the_six_characters_that_aws_adds(self):
        secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
        gov = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:key-AbCdEf"
        good = [secret + "key-AbCdEf", secret + "sticky/calls/prod_key-Ab12Ef", secret + "a-b-c-AbCdEf", gov]
        bad = ["", "key-AbCdEf", secret, secret + "key", secret + "key-AbCdE", secret + "key-AbCdEf7", secret + "-AbCdEf"]
        bad += [secret + "key-AbC_Ef", secret + "key-AbCdEf:api_key::", secret + "key AbCdEf"]
        self.assert_takes("ApiKeySecretArn", good, bad)

    def test_a_crm_has_an_address_whose_host_ends_before_the_customers_id(self):
        good = ["", "https://crm.example.com/", "https://crm.example.com/customers/", "https://crm:8443/?id="]
        good += ["https://crm.example.com/#/people/", "https://crm.example.com/@me/a%20b"]
        bad = ["https://crm.example.com", "https://crm.example.com:8443", "https://", "https:///customers/"]
        bad += ["https://crm.example.com?id=", "https://crm.example.com#", "https://crm.example.com:/customers/"]
        bad += ["https://me@crm.example.com/", "http://crm.example.com/", "https://crm.example.com/a b"]
        self.assert_takes("CrmUrl", good, bad)

    def assert_takes(self, parameter, good, bad):
        # CloudFormation matches the whole value.
        pattern = re.compile(template()["Parameters"][parameter]["AllowedPattern"])
        self.assertEqual([value for value in good if not pattern.fullmatch(value)], [], f"{parameter} refuses")
        self.assertEqual([value for value in bad if pattern.fullmatch(value)], [], f"{parameter} takes")

    def test_contact_flows_can_be_had_without_a_stream_of_contact_records(self):
        self.assertEqual(list(template()["Rules"]), ["FlowsNeedAnInstance", "SomebodyToWrite"])
        self.assertIn("WrapUpFlow", Translated(template(), {**MOST, "ContactRecordsStreamArn": ""}).resources)

    def test_no_answers_are_kept_for_0_seconds_and_the_table_is_there_all_the_same(self):
        translated = Translated(template(), {**LEAST, "CacheTtlSeconds": "0"})
        self.assertIn("Table", translated.resources)
        for function in translated.of_type("AWS::Lambda::Function").values():
            variables = translated.filled(function["Properties"]["Environment"]["Variables"])
            names = ("STICKY_CALLS_TABLE", "STICKY_CALLS_CACHE_TTL_SECONDS")
            self.assertEqual([variables[name] for name in names], ["<Table>", "0"])

    def test_dev_is_what_one_gets_without_naming_an_environment(self):
        environments = tomllib.loads(read("samconfig.toml"))
        self.assertEqual(environments["default"], environments["dev"])


class WhoeverBreaksIt(unittest.TestCase):
    """Each of these changes one thing, and exactly that is found."""

    maxDiff = None

    def test_a_setting_that_does_not_reach_the_alias_is_found(self):
        changed = template()
        behind_the_text = changed["Resources"]["IdentifyFunction"]["Properties"]["Description"]["Fn::Select"][1][1]
        behind_the_text["Fn::Join"][1].remove({"Ref": "TimeoutMs"})
        # Both functions have the same list.
        expected = [f"TimeoutMs: does not reach the alias of {name}" for name in ("IdentifyFunction", "SaveFunction")]
        self.assertEqual(settings_that_do_not_arrive(changed, LEAST), expected)

    def test_a_version_without_anything_new_is_found(self):
        changed = template()
        description = changed["Resources"]["SaveFunction"]["Properties"]["Description"]
        description["Fn::Select"][1].append({"Ref": "LogRetentionDays"})
        expected = ["LogRetentionDays: publishes SaveFunction, which is as it was"]
        self.assertEqual(settings_that_do_not_arrive(changed, LEAST), expected)

    def test_a_parameter_that_is_not_described_or_asked_for_or_used_is_found(self):
        def change(source):
            source["Parameters"]["Colour"] = {"Type": "String", "Default": "blue"}

        expected = ["has no description", "is in 0 groups", "is not used"]
        self.assertEqual(faults_after(change), [f"parameter Colour: {fault}" for fault in expected])
        groups = ("Metadata", "AWS::CloudFormation::Interface", "ParameterGroups")

        def rename(source):
            value = source
            for key in groups:
                value = value[key]
            value[0]["Parameters"][1] = "ApiAddress"

        expected = ["parameter ApiUrl: is in 0 groups", "parameter ApiAddress: is in a group and does not exist"]
        self.assertEqual(faults_after(rename), expected)

    def test_a_variable_that_the_code_does_not_read_or_that_is_missing_is_found(self):
        def misspell(source):
            variables = source["Globals"]["Function"]["Environment"]["Variables"]
            variables["STICKY_CALLS_RECORD"] = variables.pop("STICKY_CALLS_RECORDS")

        expected = [
            f"{function}: {fault}"
            for function in ("IdentifyFunction", "SaveFunction")
            for fault in (
                "sets STICKY_CALLS_RECORD, which the code does not read",
                "does not set STICKY_CALLS_RECORDS, which the code reads",
            )
        ]
        self.assertEqual(faults_after(misspell), expected)
        expected = ["IdentifyFunction: does not set STICKY_CALLS_ACTION, which the code reads"]
        self.assertEqual(
            faults_after_in("IdentifyFunction", without("Environment", "Variables", "STICKY_CALLS_ACTION")), expected
        )

    def test_a_default_that_is_not_the_codes_is_found(self):
        def change(source):
            source["Parameters"]["TimeoutMs"]["Default"] = 2400
            source["Parameters"]["Variables"]["Default"] = "name"

        expected = [
            "parameter TimeoutMs: has the default 2400, where the code has 2500",
            "parameter Variables: has the default name, where the code has name,tier,resolution,call_date",
        ]
        self.assertEqual(faults_after(change), expected)

    def test_a_reference_to_what_an_option_leaves_out_is_found(self):
        def change(properties):
            properties["AlarmActions"] = [{"Ref": "AlarmTopic"}]

        with_a_topic_of_theirs = {**MOST, "AlarmEmail": "", "AlarmTopicArn": OTHER["AlarmTopicArn"]}
        expected = ["IteratorAgeAlarm: refers to AlarmTopic, which does not exist with these parameters"]
        self.assertEqual(faults_after_in("IteratorAgeAlarm", change, with_a_topic_of_theirs), expected)

    def test_resources_that_wait_for_each_other_are_found(self):
        def change(source):
            source["Resources"]["IdentifyRole"]["DependsOn"] = "IdentifyPermission"

        found = faults_after(change)
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], "IdentifyFunction, .*IdentifyRole.*: need each other")

    def test_a_function_without_one_of_its_alarms_is_found(self):
        lost = {
            "IdentifyErrorsAlarm": ["IdentifyFunction: no alarm watches AWS/Lambda Errors"],
            "SaveThrottlesAlarm": ["SaveFunction: no alarm watches AWS/Lambda Throttles"],
            "IdentifyDurationAlarm": ["IdentifyFunction: no alarm watches AWS/Lambda Duration"],
            "SaveDurationAlarm": ["SaveFunction: no alarm watches StickyConnect remaining_ms end_call"],
            "KeyReadFailedAlarm": [
                f"{function}: no alarm watches StickyConnect key_read_failed"
                for function in ("IdentifyFunction", "SaveFunction")
            ],
        }
        for alarm, expected in lost.items():

            def change(source, alarm=alarm):
                # In its place one that rings for something else.
                queue = source["Resources"]["DeadLettersAlarm"]["Properties"]
                copied = ("Namespace", "MetricName", "Dimensions", "Statistic", "Period")
                properties = source["Resources"][alarm]["Properties"]
                properties.pop("Metrics", None)
                properties.update({key: queue[key] for key in copied})

            self.assertEqual(faults_after(change), expected)

    def test_a_log_that_is_kept_for_ever_is_found(self):
        self.assertEqual(
            faults_after_in("SaveLogGroup", without("RetentionInDays")), ["SaveFunction: its log has no retention"]
        )

    def test_asynchronous_invocations_that_are_lost_are_found(self):
        found = faults_after(without("Globals", "Function", "EventInvokeConfig"))
        functions = ("IdentifyFunction", "SaveFunction")
        expected = [f"{function}: what Lambda gives up of its alias is lost" for function in functions]
        self.assertEqual(found, expected)

    def test_a_queue_of_lost_things_without_an_alarm_is_found(self):
        for queue in ("DeadLetters", "FailedRecords", "FailedInvocations"):

            def change(properties):
                properties["MetricName"] = "NumberOfMessagesSent"

            expected = [f"{queue}: no alarm tells of what ends up here"]
            self.assertEqual(faults_after_in(f"{queue}Alarm", change), expected)

    def test_a_queue_that_is_not_encrypted_is_found(self):
        self.assertEqual(faults_after_in("Outbox", without("SqsManagedSseEnabled")), ["Outbox: is not encrypted"])

    def test_a_queue_that_goes_with_the_stack_is_found(self):
        for queue in ("Outbox", "DeadLetters", "FailedInvocations", "FailedRecords"):
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                found = faults_after(without("Resources", queue, policy))
                self.assertEqual(len(found), 1)
                self.assertRegex(found[0], f"^{queue}: is deleted .*, and what is in it$")

    def test_a_function_without_its_table_is_found(self):
        functions = ("IdentifyFunction", "SaveFunction")

        def no_table(source):
            source["Globals"]["Function"]["Environment"]["Variables"]["STICKY_CALLS_TABLE"] = ""

        self.assertEqual(faults_after(no_table), [f"{name}: has no table" for name in functions])

        def sometimes(source):
            source["Conditions"]["HasCache"] = {"Fn::Not": [{"Fn::Equals": [{"Ref": "CacheTtlSeconds"}, "0"]}]}
            source["Resources"]["Table"]["Condition"] = "HasCache"

        found = faults_after(sometimes, {**LEAST, "CacheTtlSeconds": "0"})
        for function in functions:
            self.assertIn(f"{function}: has no table", found)

        for action in ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem"):

            def forbid(properties, action=action):
                statement_of(properties, action)["Action"].remove(action)

            # Both roles have the same statement.
            expected = [f"{role}: does not allow {action} on Table" for role in ("IdentifyRole", "SaveRole")]
            self.assertEqual(faults_after_in("SaveRole", forbid), expected)

        def another_key(properties):
            properties["KeySchema"][0]["AttributeName"] = "caller"

        self.assertEqual(faults_after_in("Table", another_key), ["Table: has another key than id"])
        expected = ["Table: does not expire by expires_at"]
        self.assertEqual(faults_after_in("Table", without("TimeToLiveSpecification")), expected)

    def test_an_event_source_that_drops_or_blocks_is_found(self):
        cases = [
            ("OutboxSubscription", "FunctionResponseTypes", "OutboxSubscription: a batch comes again as a whole"),
            ("Outbox", "RedrivePolicy", "OutboxSubscription: what can't be delivered comes again without end"),
            (
                "ContactRecordsSubscription", "BisectBatchOnFunctionError",
                "ContactRecordsSubscription: does not isolate a record that fails",
            ),
            (
                "ContactRecordsSubscription", "MaximumRetryAttempts",
                "ContactRecordsSubscription: a record that fails stops its shard",
            ),
            (
                "ContactRecordsSubscription", "DestinationConfig",
                "ContactRecordsSubscription: tells nobody of records that it gives up",
            ),
        ]
        for resource, key, expected in cases:
            self.assertEqual(faults_after_in(resource, without(key)), [expected])

    def test_a_wildcard_in_a_policy_is_found(self):
        def any_queue(properties):
            statement_of(properties, "sqs:ReceiveMessage")["Resource"] = "*"

        actions = ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
        expected = [f"SaveRole: allows sqs:{name} on *" for name in actions]
        self.assertEqual(faults_after_in("SaveRole", any_queue), expected)

        def any_action(properties):
            statement_of(properties, "logs:PutLogEvents")["Action"] = ["logs:*"]

        expected = ["IdentifyRole: allows logs:* on IdentifyLogGroup.Arn"]
        self.assertEqual(faults_after_in("IdentifyRole", any_action), expected)

        def any_alarm(properties):
            statement_of(properties, "cloudwatch:DescribeAlarms")["Action"] = "cloudwatch:DeleteAlarms"

        wide = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
        expected = [f"DeploymentRole: allows cloudwatch:DeleteAlarms on {wide}"]
        self.assertEqual(faults_after_in("DeploymentRole", any_alarm), expected)

        def everything_but(properties):
            entry = statement_of(properties, "logs:PutLogEvents")
            entry["NotAction"] = entry.pop("Action")

        expected = ["SaveRole: allows everything but something"]
        self.assertEqual(faults_after_in("SaveRole", everything_but), expected)

    def test_a_role_that_is_not_ours_is_found(self):
        found = faults_after_in("SaveFunction", without("Role"))
        self.assertIn("SaveFunction: has no role of ours", found)
        self.assertIn("SaveFunctionRole: has ManagedPolicyArns, which are not ours", found)
        found = faults_after(without("Globals", "Function", "DeploymentPreference", "Role"))
        self.assertEqual(found, ["CodeDeployServiceRole: has ManagedPolicyArns, which are not ours"])

    def test_a_fixed_name_is_found(self):
        for resource, key in [
            ("Outbox", "QueueName"),
            ("Table", "TableName"),
            ("SaveRole", "RoleName"),
            ("Dashboard", "DashboardName"),
            ("IdentifyFunction", "FunctionName"),
            ("SaveLogGroup", "LogGroupName"),
            ("AlarmTopic", "TopicName"),
            ("DeadLettersAlarm", "AlarmName"),
        ]:

            def change(source, resource=resource, key=key):
                source["Resources"][resource].setdefault("Properties", {})[key] = "sticky"

            self.assertEqual(faults_after(change), [f"{resource}: has a fixed name"])

        def rename(properties):
            properties["Name"] = "inbound"

        self.assertEqual(faults_after_in("InboundFlow", rename), ["InboundFlow: has a fixed name"])

    def test_a_resource_of_which_nobody_knows_what_names_it_is_found(self):
        def change(source):
            source["Resources"]["Key"] = {"Type": "AWS::KMS::Key", "Properties": {}}

        expected = ["Key: is a AWS::KMS::Key, of which this check does not know what names it"]
        self.assertEqual(faults_after(change), expected)

    def test_an_arn_of_one_partition_is_found(self):
        def change(properties):
            resource = "arn:aws:lambda:eu-central-1:123456789012:function:f"
            statement_of(properties, "lambda:UpdateAlias")["Resource"] = resource

        expected = ["DeploymentRole: has an ARN of the partition aws alone"]
        self.assertEqual(faults_after_in("DeploymentRole", change), expected)

    def test_a_way_past_the_alias_is_found(self):
        function = {"Fn::GetAtt": ["SaveFunction", "Arn"]}

        def at(*keys):
            def change(value):
                for key in keys[:-1]:
                    value = value[key]
                value[keys[-1]] = function

            return change

        for resource, *keys in [
            ("OutboxSubscription", "FunctionName"), ("ContactRecordsSubscription", "FunctionName"),
            ("WrapUpFlow", "Content", "Fn::Sub", 1, "SaveFunctionArn"),
        ]:
            self.assertEqual(faults_after_in(resource, at(*keys)), [f"{resource}: goes past the alias of SaveFunction"])
        for resource, key, kind in [
            ("SavePermission", "FunctionName", "AWS::Lambda::Permission"),
            ("SaveAssociation", "IntegrationArn", "AWS::Connect::IntegrationAssociation"),
        ]:
            expected = [f"{resource}: goes past the alias of SaveFunction", f"SaveFunction: no {kind} is for its alias"]
            self.assertEqual(faults_after_in(resource, at(key)), expected)
        found = faults_after(at("Outputs", "SaveFunctionArn", "Value"))
        self.assertEqual(found, ["output SaveFunctionArn: goes past the alias of SaveFunction"])

    def test_a_deploy_that_nothing_takes_back_is_found(self):
        groups = ("IdentifyFunctionDeploymentGroup", "SaveFunctionDeploymentGroup")
        found = faults_after(without("Globals", "Function", "DeploymentPreference", "Alarms"))
        self.assertEqual(found, [f"{group}: has 0 alarms" for group in groups])

        def at_once(source):
            source["Globals"]["Function"]["DeploymentPreference"]["Type"] = "AllAtOnce"

        wanted = "CodeDeployDefault.LambdaCanary10Percent10Minutes"
        expected = [f"{group}: does not deploy as {wanted}" for group in groups]
        self.assertEqual(faults_after(at_once), ["parameter DeploymentType: is not used", *expected])

        def more(source):
            listed = source["Globals"]["Function"]["DeploymentPreference"]["Alarms"]["Fn::If"][1]
            listed.extend({"Ref": name} for name in ("DeadLettersAlarm", "OutboxAgeAlarm", "ApiLatencyAlarm"))

        for group in groups:
            self.assertIn(f"{group}: has 11 alarms, and CodeDeploy takes 10", faults_after(more))
        found = faults_after(without("Globals", "Function", "DeploymentPreference"))
        for function in ("IdentifyFunction", "SaveFunction"):
            self.assertIn(f"{function}Aliaslive: is moved at once, and by nobody who could take it back", found)

    def test_an_alarm_that_explains_nothing_or_reaches_nobody_is_found(self):
        def set_to(key, value):
            return lambda properties: properties.update({key: value})

        leads_nowhere = "its description does not lead to docs/operations.md"

        for change, fault in [
            (without("AlarmDescription"), leads_nowhere),
            (set_to("AlarmDescription", "See OutboxAgeAlarm in docs/operations.md."), leads_nowhere),
            (without("AlarmActions"), "has no AlarmActions"),
            (set_to("OKActions", []), "has no OKActions"),
            (set_to("TreatMissingData", "breaching"), "rings where nothing happens"),
        ]:
            self.assertEqual(faults_after_in("DeadLettersAlarm", change), [f"DeadLettersAlarm: {fault}"])

        def rename(source):
            source["Resources"]["OutboxOldAlarm"] = source["Resources"].pop("OutboxAgeAlarm")

        found = faults_after(rename)
        self.assertIn("OutboxOldAlarm: docs/operations.md does not explain it", found)
        self.assertIn("docs/operations.md: explains OutboxAgeAlarm, which does not exist", found)

    def test_metric_math_that_cloudwatch_would_refuse_is_found(self):
        def one_more(properties):
            properties["Metrics"].insert(0, {**properties["Metrics"][0], "Id": "more"})

        expected = ["has 11 metrics, and CloudWatch takes 10", "does not use more"]
        expected = [f"FallbackShareAlarm: {fault}" for fault in expected]
        self.assertEqual(faults_after_in("FallbackShareAlarm", one_more), expected)

        def misspell(properties):
            properties["Metrics"][-1]["Expression"] = "FILL(remainin, 0)"

        expected = ["computes with remainin, which is no metric of it", "does not use remaining"]
        expected = [f"SaveDurationAlarm: {fault}" for fault in expected]
        self.assertEqual(faults_after_in("SaveDurationAlarm", misspell), expected)

        def two_values(properties):
            properties["Metrics"][0]["ReturnData"] = True

        self.assertEqual(faults_after_in("SaveDurationAlarm", two_values), ["SaveDurationAlarm: returns 2 values"])

        def two_periods(properties):
            properties["Metrics"][0]["MetricStat"]["Period"] = 60

        expected = ["KeyReadFailedAlarm: computes with periods of 60 and 900 s"]
        self.assertEqual(faults_after_in("KeyReadFailedAlarm", two_periods), expected)

    def test_a_roll_back_for_other_alarms_than_is_written_down_is_found(self):
        def without_errors(source):
            alarms = source["Globals"]["Function"]["DeploymentPreference"]["Alarms"]["Fn::If"][1]
            alarms.remove({"Ref": "SaveErrorsAlarm"})

        fault = "DeploymentGroup: goes back for other alarms than docs/operations.md says"
        self.assertEqual(faults_after(without_errors), [f"{name}Function{fault}" for name in ("Identify", "Save")])

    def test_a_metric_that_the_code_does_not_write_is_found(self):
        def misspell(properties):
            properties["Metrics"][0]["MetricStat"]["Metric"]["MetricName"] = "cirquit_open"

        found = faults_after_in("CircuitOpenAlarm", misspell)
        expected = "CircuitOpenAlarm: names the metric cirquit_open, which the code does not write"
        self.assertEqual(found, ["IdentifyFunction: no alarm watches StickyConnect circuit_open start_call", expected])

        def misspell_the_handler(properties):
            dimensions = properties["Metrics"][-2]["MetricStat"]["Metric"]["Dimensions"]
            dimensions[1] = {"Name": "Handler", "Value": "record"}

        self.assertIn(
            "CircuitOpenAlarm: looks for circuit_open of record, which has none",
            faults_after_in("CircuitOpenAlarm", misspell_the_handler),
        )

        def of_another_handler(properties):
            properties["Metrics"][-2]["MetricStat"]["Metric"]["MetricName"] = "unavailable"

        self.assertIn(
            "CircuitOpenAlarm: looks for unavailable of contact_records, which has none",
            faults_after_in("CircuitOpenAlarm", of_another_handler),
        )

        def by_handler(properties):
            metric = properties["Metrics"][0]["MetricStat"]["Metric"]
            metric["Dimensions"] = metric["Dimensions"] + [{"Name": "Handler", "Value": "start_call"}]

        self.assertIn(
            "KeyReadFailedAlarm: looks for key_read_failed under FunctionName, Handler",
            faults_after_in("KeyReadFailedAlarm", by_handler),
        )

        def on_the_dashboard(old, new):
            def change(properties):
                body = properties["DashboardBody"]["Fn::Sub"]
                self.assertIn(old, body[0])
                body[0] = body[0].replace(old, new)

            return faults_after_in("Dashboard", change)

        expected = ["Dashboard: names the metric api_millis, which the code does not write"]
        self.assertEqual(on_the_dashboard('"api_ms"', '"api_millis"'), expected)
        expected = ["Dashboard: names the metric unconfirmd, which the code does not write"]
        self.assertEqual(on_the_dashboard('\\"unconfirmed\\"', '\\"unconfirmd\\"'), expected)
        expected = ["Dashboard: looks for cache_hits under FunctionName, Handlers"]
        self.assertEqual(
            on_the_dashboard(
                '"cache_hits", "FunctionName", "${IdentifyFunction}", "Handler"',
                '"cache_hits", "FunctionName", "${IdentifyFunction}", "Handlers"',
            ),
            expected,
        )
        expected = "Dashboard: looks for text_not_saved under FunctionName, Handler"
        self.assertIn(expected, on_the_dashboard("${SearchFaults} ", "${Search} "))

    def test_a_dashboard_that_can_not_be_drawn_is_found(self):
        def change(old, new):
            def changed(properties):
                body = properties["DashboardBody"]["Fn::Sub"]
                self.assertIn(old, body[0])
                body[0] = body[0].replace(old, new, 1)

            return faults_after_in("Dashboard", changed)

        self.assertRegex(change('"alarms": [', '"alarms": ')[0], "^Dashboard: its body is no JSON")
        self.assertEqual(change('"${OutboxAgeAlarm.Arn}", ', ""), ["Dashboard: does not show OutboxAgeAlarm"])
        place = '"x": 0, "y": 3, "width": 24'
        expected = ["Dashboard: Alarms is wider than the dashboard"]
        self.assertEqual(change(place, '"x": 1, "y": 3, "width": 24'), expected)
        self.assertEqual(change(place, '"x": 0, "y": 2, "width": 24'), ["Dashboard: Alarms lies over text"])


if __name__ == "__main__":
    unittest.main()
