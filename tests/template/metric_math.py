"""What an alarm of the template makes of measured values, by the rules of CloudWatch's metric math.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: a missing value counts as 0
beside one that is there; IF without a third value gives no data point. How an alarm treats a missing data point:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import operator
import statistics

COMPARISONS = {"GreaterThanThreshold": operator.gt, "GreaterThanOrEqualToThreshold": operator.ge}


class Point:
    """One value of a time series, or `None`."""

    def __init__(self, value):
        self.value = value

    def __bool__(self):
        return bool(self.value)


def on_points(operation):
    def computed(self, other):
        if not isinstance(other, Point):
            return Point(None if self.value is None else operation(self.value, other))
        missing = self.value is None and other.value is None
        return Point(None if missing else operation(self.value or 0, other.value or 0))

    return computed


for name in ("add", "sub", "mul", "gt", "ge", "lt", "eq"):
    setattr(Point, f"__{name}__", on_points(getattr(operator, name)))
Point.__rmul__ = Point.__mul__


def if_(condition, then, otherwise=None):
    chosen = Point(None) if condition.value is None else then if condition else otherwise
    return chosen if isinstance(chosen, Point) else Point(chosen)


def sum_(points):
    there = [point.value for point in points if point.value is not None]
    return Point(sum(there) if there else None)


FUNCTIONS = {"IF": if_, "SUM": sum_, "FILL": lambda point, other: Point(other) if point.value is None else point}


def statistic(name, samples):
    """A statistic of the samples of one period."""
    kinds = {"Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": len, "Average": statistics.mean}
    if name.startswith("p"):
        kinds[name] = lambda all_of_them: sorted(all_of_them)[-(-len(samples) * int(name[1:]) // 100) - 1]
    return Point(kinds[name](samples) if samples else None)


def breaches(translated, alarm, measured):
    """Whether a period is over the threshold in which this was measured, by namespace, name and last dimension of the
    metrics; `None` without a data point."""

    def samples(metric):
        last = translated.filled(metric["Dimensions"][-1]["Value"])
        return measured.get((metric["Namespace"], metric["MetricName"], last))

    given = translated.properties(alarm)
    point = statistic(given["Statistic"], samples(given)) if "MetricName" in given else None
    names = dict(FUNCTIONS)
    for entry in given.get("Metrics", []):
        if "MetricStat" in entry:
            result = statistic(entry["MetricStat"]["Stat"], samples(entry["MetricStat"]["Metric"]))
        else:
            result = eval(translated.filled(entry["Expression"]).replace(" AND ", " and ").replace(" OR ", " or "), names)
        names[entry["Id"]] = result
        point = result if entry.get("ReturnData", True) else point
    return None if point.value is None else COMPARISONS[given["ComparisonOperator"]](point.value, given["Threshold"])


def states(translated, alarm, measured_at, until, state="OK"):
    """The alarm's state at each minute, from what was measured by minute."""
    given = translated.properties(alarm)
    period = (given.get("Period") or given["Metrics"][0]["MetricStat"]["Period"]) // 60
    enough = given.get("DatapointsToAlarm", given["EvaluationPeriods"])
    found = []
    for now in range(until):
        points = []
        for last in range(now, now - given["EvaluationPeriods"] * period, -period):
            measured = {}
            for minute in range(last - period + 1, last + 1):
                for metric, samples in measured_at.get(minute, {}).items():
                    measured.setdefault(metric, []).extend(samples)
            points.append(breaches(translated, alarm, measured))
        # Too few to decide by: then ignore keeps the state, and notBreaching makes it OK.
        if given["TreatMissingData"] != "ignore" or len(points) - points.count(None) >= enough:
            state = "ALARM" if points.count(True) >= enough else "OK"
        found.append(state)
    return found
