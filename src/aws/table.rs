//! One DynamoDB table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use aws_types::SdkConfig;
use tokio::time::Instant;

use super::Error;
use super::request::finish;

/// The attributes of an item. The template names the first as the table's key, and the last as its time to live.
const ID: &str = "id";
const AT: &str = "at_ms";
const CUSTOMER_REF: &str = "customer_ref";
const ANSWER: &str = "answer";
const EXPIRES_AT: &str = "expires_at";

/// The most items that one request writes.
const MOST_WRITTEN_AT_ONCE: usize = 25;

/// What the table holds under an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The table's key.
    pub id: String,
    /// What it is about happened then, in milliseconds since 1970.
    pub at_ms: i64,
    /// The customer whom it is about.
    pub customer_ref: Option<String>,
    /// A stored answer, as JSON.
    pub answer: Option<String>,
    /// When DynamoDB may delete it, in seconds since 1970. It does so late, up to days.
    pub expires_at: i64,
}

/// A table with a string key and a time to live.
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub(super) fn new(shared: &SdkConfig, name: &str) -> Self {
        Self { client: Client::new(shared), name: name.to_owned() }
    }

    /// Reads the rows of these ids that there are, in no order, each as it was last written; at most 100 at once.
    ///
    /// # Errors
    ///
    /// Where DynamoDB does not answer for all of them before `deadline`.
    pub async fn read(&self, ids: &[String], deadline: Instant) -> Result<Vec<Row>, Error> {
        let unusable = |_| Error::InvalidResponse { detail: "the request could not be built" };
        let key = |id: &String| HashMap::from([(ID.to_owned(), AttributeValue::S(id.clone()))]);
        let keys = ids.iter().map(key).collect();
        let wanted =
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().map_err(unusable)?;
        let request = self.client.batch_get_item().request_items(&self.name, wanted);
        let answer = finish(request.send(), deadline).await?;
        if answer.unprocessed_keys().is_some_and(|unprocessed| !unprocessed.is_empty()) {
            return Err(Error::InvalidResponse { detail: "the table was read in part" });
        }
        let items = answer.responses.unwrap_or_default().into_values().flatten();
        Ok(items.filter_map(|item| row(&item)).collect())
    }

    /// Writes these rows, in place of those of the same id.
    ///
    /// # Errors
    ///
    /// Where DynamoDB does not say before `deadline` that it has all of them; it may have some.
    pub async fn write(&self, rows: &[Row], deadline: Instant) -> Result<(), Error> {
        let unusable = |_| Error::InvalidResponse { detail: "the request could not be built" };
        for rows in rows.chunks(MOST_WRITTEN_AT_ONCE) {
            let writes = rows.iter().map(|row| {
                let put = PutRequest::builder().set_item(Some(item(row))).build().map_err(unusable)?;
                Ok(WriteRequest::builder().put_request(put).build())
            });
            let writes = writes.collect::<Result<Vec<_>, Error>>()?;
            let request = self.client.batch_write_item().request_items(&self.name, writes);
            let answer = finish(request.send(), deadline).await?;
            if answer.unprocessed_items().is_some_and(|unprocessed| !unprocessed.is_empty()) {
                return Err(Error::InvalidResponse { detail: "the table was written in part" });
            }
        }
        Ok(())
    }
}

fn item(row: &Row) -> HashMap<String, AttributeValue> {
    let number = |number: i64| Some(AttributeValue::N(number.to_string()));
    let text = |text: &String| AttributeValue::S(text.clone());
    [
        (ID, Some(text(&row.id))),
        (AT, number(row.at_ms)),
        (CUSTOMER_REF, row.customer_ref.as_ref().map(text)),
        (ANSWER, row.answer.as_ref().map(text)),
        (EXPIRES_AT, number(row.expires_at)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// An item as a row, or `None` where it is none of ours.
fn row(item: &HashMap<String, AttributeValue>) -> Option<Row> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
    Some(Row {
        id: text(ID)?,
        at_ms: number(AT)?,
        customer_ref: text(CUSTOMER_REF),
        answer: text(ANSWER),
        expires_at: number(EXPIRES_AT)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let answer = Row {
            id: "answer:1".to_owned(),
            at_ms: 1_770_460_200_000,
            customer_ref: Some("cust_1".to_owned()),
            answer: Some("{}".to_owned()),
            expires_at: 1_770_460_500,
        };
        let mark = Row { customer_ref: None, answer: None, ..answer.clone() };
        assert_eq!(row(&item(&answer)), Some(answer));
        assert_eq!(row(&item(&mark)), Some(mark));
    }

    #[test]
    fn an_item_of_somebody_elses_is_no_row() {
        assert_eq!(row(&HashMap::new()), None);
        let odd = HashMap::from([
            (ID.to_owned(), AttributeValue::S("x".to_owned())),
            (AT.to_owned(), AttributeValue::S("yesterday".to_owned())),
            (EXPIRES_AT.to_owned(), AttributeValue::N("1".to_owned())),
        ]);
        assert_eq!(row(&odd), None);
    }
}
