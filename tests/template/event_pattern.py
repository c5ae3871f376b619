"""Whether Lambda hands a stream's record on, by the filters of its subscription.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html: a record is handed on if one of up to five
filters holds; it is dropped if its data is no JSON. A filter has the syntax of EventBridge's patterns, whose engine
(https://github.com/aws/event-ruler, "JSON Array Matching") looks into every object of an array. Here are the two
operators that the template uses: equal texts, and `exists`, which sees no more than leaves.
"""

import base64
import json


def is_handed_on(record, mapping):
    """Whether the subscription with these properties hands on a record of a Kinesis event."""
    if "FilterCriteria" not in mapping:
        return True
    try:
        data = json.loads(base64.b64decode(record["kinesis"]["data"]))
    except ValueError:
        return False
    patterns = [json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"]]
    assert 1 <= len(patterns) <= 5 and all(set(pattern) == {"data"} for pattern in patterns), patterns
    return any(holds(pattern["data"], data) for pattern in patterns)


def holds(pattern, data):
    """Whether a pattern holds for some JSON."""
    return all(rule_holds(rule, values(data, key)) for key, rule in pattern.items())


def rule_holds(rule, found):
    if isinstance(rule, dict):
        return any(holds(rule, value) for value in found if isinstance(value, dict))
    assert rule, "an empty list is no rule"
    leaves = [value for value in found if not isinstance(value, dict)]
    return any(bool(leaves) == one["exists"] if isinstance(one, dict) else one in leaves for one in rule)


def values(data, key):
    """What stands at a key of an object; of an array each element."""
    if not isinstance(data, dict) or key not in data:
        return []
    found = data[key]
    return found if isinstance(found, list) else [found]
