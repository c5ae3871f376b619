//! The lines that the function has printed.

use serde_json::Value;

/// The lines whose `message` begins with these words. All lines of the log must be JSON.
pub fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    let begins =
        |text: &str| text.strip_prefix(message).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':']));
    lines.filter(|line| line["message"].as_str().is_some_and(begins)).collect()
}

/// The lines from which CloudWatch makes metrics.
///
/// # Panics
///
/// If a line is not what [CloudWatch
/// specifies](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html):
/// CloudWatch drops such a line silently.
pub fn metrics(log: &str) -> Vec<Value> {
    let lines = lines(log, "metrics");
    lines.iter().for_each(assert_is_embedded_metrics);
    lines
}

fn assert_is_embedded_metrics(line: &Value) {
    assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
    for directive in directives {
        assert!(directive["Namespace"].is_string(), "{line}");
        let sets = directive["Dimensions"].as_array().expect("sets of dimensions");
        for name in sets.iter().flat_map(|set| set.as_array().expect("a set")) {
            let value = line[name.as_str().expect("a name")].as_str().expect("a dimension's value");
            assert!((1..=1_024).contains(&value.len()), "{line}");
        }
        let metrics = directive["Metrics"].as_array().expect("definitions");
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            assert!(matches!(metric["Unit"].as_str(), Some("Count" | "Milliseconds" | "Seconds")), "{metric}");
            let is_value = match &line[metric["Name"].as_str().expect("a name")] {
                Value::Array(values) => (1..=100).contains(&values.len()) && values.iter().all(Value::is_number),
                value => value.is_number(),
            };
            assert!(is_value, "{metric}: {line}");
        }
    }
}
