"""What an alarm of the template makes of measured values, by the rules of CloudWatch's metric math.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: a missing value counts as 0 beside
one that is there; IF without a third value, and a division by zero, give no data point. How an alarm treats a missing data
point: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import operator

COMPARISONS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
}


class Point:
    """One value of a time series; `None` is none."""

    def __init__(self, value):
        self.value = value

    def _with(self, other, operation):
        if isinstance(other, Point):
            if self.value is None and other.value is None:
                return Point(None)
            return Point(operation(self.value or 0, other.value or 0))
        return Point(None if self.value is None else operation(self.value, other))

    def __add__(self, other):
        return self._with(other, operator.add)

    def __sub__(self, other):
        return self._with(other, operator.sub)

    def __mul__(self, other):
        return self._with(other, operator.mul)

    __rmul__ = __mul__

    def __gt__(self, other):
        return self._with(other, operator.gt)

    def __ge__(self, other):
        return self._with(other, operator.ge)

    def __eq__(self, other):
        return self._with(other, operator.eq)

    def __bool__(self):
        return bool(self.value)


def if_(condition, then, otherwise=None):
    chosen = then if condition else otherwise
    if condition.value is None or chosen is None:
        return Point(None)
    return chosen if isinstance(chosen, Point) else Point(chosen)


def sum_(points):
    there = [point.value for point in points if point.value is not None]
    return Point(sum(there) if there else None)


FUNCTIONS = {"IF": if_, "SUM": sum_, "FILL": lambda point, other: Point(other) if point.value is None else point}


def statistic(name, samples):
    """A statistic of the samples of one period."""
    if not samples:
        return Point(None)
    if name.startswith("p"):
        return Point(sorted(samples)[max(0, -(-len(samples) * int(name[1:]) // 100) - 1)])
    kinds = {"Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": len}
    return Point(sum(samples) / len(samples) if name == "Average" else kinds[name](samples))


def key(translated, metric):
    """A metric as these tests name it: namespace, name and the value of its last dimension."""
    return metric["Namespace"], metric["MetricName"], translated.filled(metric["Dimensions"][-1]["Value"])


def value(translated, alarm, measured):
    """What an alarm compares with its threshold, of one period in which `measured` was measured, by metric."""
    given = translated.properties(alarm)
    if "MetricName" in given:
        return statistic(given["Statistic"], measured.get(key(translated, given), []))
    names = dict(FUNCTIONS)
    for entry in given["Metrics"]:
        if "MetricStat" in entry:
            samples = measured.get(key(translated, entry["MetricStat"]["Metric"]), [])
            result = statistic(entry["MetricStat"]["Stat"], samples)
        else:
            result = eval(translated.filled(entry["Expression"]).replace(" AND ", " and "), names)
        names[entry["Id"]] = result
        if entry.get("ReturnData", True):
            returned = result
    return returned


def breaches(translated, alarm, measured):
    """Whether one such period is over the threshold; `None` without a data point."""
    given = translated.properties(alarm)
    compared = value(translated, alarm, measured).value
    return None if compared is None else COMPARISONS[given["ComparisonOperator"]](compared, given["Threshold"])


def state(translated, alarm, before, measured_at, now):
    """The alarm's state at a minute, from what was measured by minute, and from the state before."""
    given = translated.properties(alarm)
    period = (given.get("Period") or next(e["MetricStat"]["Period"] for e in given["Metrics"] if "MetricStat" in e)) // 60
    points = []
    for number in range(given["EvaluationPeriods"]):
        last = now - number * period
        measured = {}
        for minute in range(last - period + 1, last + 1):
            for metric, samples in measured_at.get(minute, {}).items():
                measured.setdefault(metric, []).extend(samples)
        points.append(breaches(translated, alarm, measured))
    if given["TreatMissingData"] == "ignore" and all(point is None for point in points):
        return before
    enough = given.get("DatapointsToAlarm", given["EvaluationPeriods"])
    return "ALARM" if sum(point is True for point in points) >= enough else "OK"


def states(translated, alarm, measured_at, until, first="OK"):
    """The alarm's state at each minute."""
    found = []
    for now in range(until):
        first = state(translated, alarm, first, measured_at, now)
        found.append(first)
    return found
