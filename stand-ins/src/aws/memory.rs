//! DynamoDB and SQS in memory, as far as the function uses them. They answer at once, even if many requests come
//! together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The items of every table, by their `id`.
#[derive(Default)]
pub(super) struct Memory {
    items: BTreeMap<String, Value>,
}

impl Memory {
    /// Every item.
    pub(super) fn items(&self) -> Vec<Value> {
        self.items.values().cloned().collect()
    }

    /// Makes every item expire this many seconds sooner.
    pub(super) fn age(&mut self, seconds: i64) {
        for item in self.items.values_mut() {
            let expires_at = item["expires_at"]["N"].as_str().and_then(|text| text.parse::<i64>().ok());
            item["expires_at"]["N"] = (expires_at.expect("a time") - seconds).to_string().into();
        }
    }

    /// Carries out an operation. Returns the status and the body of the answer.
    pub(super) fn answer(&mut self, operation: &str, parameters: &Value) -> (u16, Value) {
        match operation {
            "BatchGetItem" => {
                (200, json!({"Responses": self.read(&parameters["RequestItems"]), "UnprocessedKeys": {}}))
            }
            "BatchWriteItem" => {
                for request in lists(&parameters["RequestItems"]).flat_map(|(_, requests)| requests) {
                    self.put(&request["PutRequest"]["Item"]);
                }
                (200, json!({"UnprocessedItems": {}}))
            }
            "PutItem" if self.allows(parameters) => {
                self.put(&parameters["Item"]);
                (200, json!({}))
            }
            "PutItem" => refusal("ConditionalCheckFailedException"),
            // No message is stored: tests look at what was sent.
            "SendMessage" => (200, json!({"MessageId": "m"})),
            "ChangeMessageVisibility" => (200, json!({})),
            _ => refusal("UnknownOperationException"),
        }
    }

    fn read(&self, wanted: &Value) -> Value {
        let found = |keys: &Value| {
            let keys = keys["Keys"].as_array().into_iter().flatten();
            keys.filter_map(|key| self.items.get(id(key)).cloned()).collect::<Value>()
        };
        let tables = wanted.as_object().into_iter().flatten();
        tables.map(|(table, keys)| (table.clone(), found(keys))).collect()
    }

    fn put(&mut self, item: &Value) {
        self.items.insert(id(item).to_owned(), item.clone());
    }

    /// Whether the condition of a put holds: `AND` inside brackets, `OR` between them.
    fn allows(&self, parameters: &Value) -> bool {
        let Some(expression) = parameters["ConditionExpression"].as_str() else { return true };
        let known = self.items.get(id(&parameters["Item"])).cloned().unwrap_or_default();
        let holds = |term: &str| holds(term, &known, &parameters["ExpressionAttributeValues"]);
        let terms = expression.split(" OR ").map(|terms| terms.trim().trim_start_matches('('));
        terms.into_iter().any(|terms| terms.trim_end_matches(')').split(" AND ").all(holds))
    }
}

/// Whether one comparison holds for the `known` item.
fn holds(term: &str, known: &Value, values: &Value) -> bool {
    if let Some(name) = term.trim().strip_prefix("attribute_not_exists(") {
        return known[name.trim_end_matches(')')].is_null();
    }
    let [name, operator, value] = term.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("a condition: {term}")
    };
    let (known, value) = (&known[name], &values[value]);
    let number = |value: &Value| value["N"].as_str().and_then(|text| text.parse::<i64>().ok());
    let order = match (number(known), number(value)) {
        (Some(known), Some(value)) => known.cmp(&value),
        _ => known["S"].as_str().cmp(&value["S"].as_str()),
    };
    // A missing value is unequal to everything; all other comparisons with it are false.
    match operator {
        "<>" => known.is_null() || order.is_ne(),
        _ if known.is_null() => false,
        "=" => order.is_eq(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => panic!("a condition: {term}"),
    }
}

fn lists(of_tables: &Value) -> impl Iterator<Item = (&String, &Vec<Value>)> {
    let tables = of_tables.as_object().into_iter().flatten();
    tables.filter_map(|(table, list)| Some((table, list.as_array()?)))
}

fn id(item: &Value) -> &str {
    item["id"]["S"].as_str().expect("an id")
}

fn refusal(code: &str) -> (u16, Value) {
    (400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "by the stand-in"}))
}
