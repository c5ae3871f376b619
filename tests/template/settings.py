"""Values for the template's parameters, and whether a changed one reaches what callers are connected to."""

from translated import Translated

INSTANCE = "arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555"

# The least that a stack needs, and everything that can be switched on.
LEAST = {"ApiKeySecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf"}
MOST = {
    **LEAST,
    "ConnectInstanceArn": INSTANCE,
    "ContactRecordsStreamArn": "arn:aws:kinesis:eu-central-1:123456789012:stream/records",
    "ContactLensStreamArn": "arn:aws:kinesis:eu-central-1:123456789012:stream/analysis",
    **{
        f"{kind}QueueArn": f"{INSTANCE}/queue/11111111-2222-3333-4444-00000000000{number}"
        for number, kind in enumerate(("", "Billing", "TechnicalSupport", "Sales", "Escalation", "Vip", "Callback"))
    },
    "HoursArn": f"{INSTANCE}/operating-hours/11111111-2222-3333-4444-555555555555",
    "ContactLens": "Enabled",
    "CrmUrl": "https://crm.example.com/customers/",
    "FlowLogging": "Enabled",
    "AlarmEmail": "operator@example.com",
}

# Another value for each parameter of which one can't be worked out.
OTHER = {
    **{name: f"{value}2" for name, value in MOST.items() if value.startswith("arn:")},
    "ApiKeySecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-GhIjKl",
    "ApiUrl": "https://api.example.com", "CrmUrl": "https://crm.example.com/people/",
    "ReturningThreshold": "0.4", "ExternalIds": "loyalty_card", "Variables": "name", "InternalNumbers": "+4930*",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms", "AlarmEmail": "other@example.com",
}


def another(name, declared, value):
    """A value of a parameter other than `value`; `None` where it has only one."""
    if "AllowedValues" in declared:
        return next(str(other) for other in declared["AllowedValues"] if str(other) != value)
    if declared["Type"] == "Number":
        return str(int(value) + (1 if int(value) < declared.get("MaxValue", int(value) + 1) else -1))
    return OTHER.get(name)


def settings_that_do_not_arrive(source, parameters):
    """Parameters that reach a function and not its alias, or publish it as it was, which Lambda refuses."""
    before = Translated(source, parameters)
    for name, declared in source["Parameters"].items():
        value = another(name, declared, before.parameters[name])
        if value is None:
            yield f"{name}: give it another value in OTHER"
            continue
        after = Translated(source, {**parameters, name: value})
        for function in before.of_type("AWS::Lambda::Function"):
            was, became = (one.filled(one.properties(function)) for one in (before, after))
            published = version(before, function) != version(after, function)
            if was != became and not published:
                yield f"{name}: does not reach the alias of {function}"
            if was == became and published:
                yield f"{name}: publishes {function} as it was"


def version(translated, function):
    """The logical id of the function's version, which is what its alias points to."""
    target = translated.properties(f"{function}Aliaslive")["FunctionVersion"]["Fn::GetAtt"][0]
    return target if target in translated.of_type("AWS::Lambda::Version") else None
