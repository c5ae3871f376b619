//! One DynamoDB table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::SdkConfig;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::request::finish;

/// The attributes that the template also names: the table's key and its time to live.
const ID: &str = "id";
const EXPIRES_AT: &str = "expires_at";

/// The most items that DynamoDB takes in one request.
const MOST_WRITTEN_AT_ONCE: usize = 25;

/// How many requests may be under way at once. A late request goes on, so without a limit a table that hangs would
/// collect the requests of a whole batch.
const MOST_REQUESTS: usize = 32;

/// An item of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The table's key.
    pub id: String,
    /// When DynamoDB may delete it, in seconds since 1970. It does so late, up to days.
    pub expires_at: i64,
    /// Its texts, by name.
    pub texts: BTreeMap<String, String>,
    /// Its whole numbers, by name.
    pub numbers: BTreeMap<String, i64>,
}

/// When a row may replace another one, in DynamoDB's [condition
/// expressions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html).
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// The expression. `:name` stands for the new row's value of `name`.
    pub expression: &'static str,
    /// The names that the expression uses in this way.
    pub names: &'static [&'static str],
}

impl Row {
    /// A row with this id and no values.
    pub fn new(id: String, expires_at: i64) -> Self {
        Self { id, expires_at, ..Self::default() }
    }

    /// The same with this text.
    pub fn with_text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.texts.insert(name.to_owned(), text.into());
        self
    }

    /// The same with this number.
    pub fn with_number(mut self, name: &str, number: i64) -> Self {
        self.numbers.insert(name.to_owned(), number);
        self
    }

    /// The text with this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The number with this name.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.numbers.get(name).copied()
    }
}

/// A table with a string key and a time to live.
#[derive(Clone)]
pub struct Table {
    client: Client,
    name: String,
    requests: Arc<Semaphore>,
}

impl Table {
    pub(super) fn new(shared: &SdkConfig, name: &str) -> Self {
        Self { client: Client::new(shared), name: name.to_owned(), requests: Arc::new(Semaphore::new(MOST_REQUESTS)) }
    }

    /// Opens the connection to the table ahead of the first call, before `deadline`. A failure is ignored: the first
    /// call will meet it too.
    pub async fn open_first_connection(&self, deadline: Instant) {
        // An id that is never written.
        let _ = self.read(&["connect".to_owned()], deadline).await;
    }

    /// Reads the rows with these ids, at most 100. The read is strongly consistent. The rows come in any order, and ids
    /// without a row are left out.
    ///
    /// # Errors
    ///
    /// Fails if DynamoDB does not answer for all ids before `deadline`.
    pub async fn read(&self, ids: &[String], deadline: Instant) -> Result<Vec<Row>, Error> {
        let unusable = |_| Error::InvalidResponse { detail: "the request could not be built" };
        let key = |id: &String| HashMap::from([(ID.to_owned(), AttributeValue::S(id.clone()))]);
        let keys = ids.iter().map(key).collect();
        let wanted =
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().map_err(unusable)?;
        let request = self.client.batch_get_item().request_items(&self.name, wanted);
        let answer = self.finish(request.send(), deadline).await?;
        if answer.unprocessed_keys().is_some_and(|unprocessed| !unprocessed.is_empty()) {
            return Err(Error::InvalidResponse { detail: "the table was read in part" });
        }
        let items = answer.responses.unwrap_or_default().into_values().flatten();
        Ok(items.filter_map(|item| row(&item)).collect())
    }

    /// Writes these rows. They replace rows with the same ids.
    ///
    /// # Errors
    ///
    /// Fails if DynamoDB does not confirm all rows before `deadline`. Some may have been written.
    pub async fn write(&self, rows: &[Row], deadline: Instant) -> Result<(), Error> {
        let unusable = |_| Error::InvalidResponse { detail: "the request could not be built" };
        let write = async |rows: &[Row]| {
            let writes = rows.iter().map(|row| {
                let put = PutRequest::builder().set_item(Some(item(row))).build().map_err(unusable)?;
                Ok(WriteRequest::builder().put_request(put).build())
            });
            let writes = writes.collect::<Result<Vec<_>, Error>>()?;
            let request = self.client.batch_write_item().request_items(&self.name, writes);
            let answer = self.finish(request.send(), deadline).await?;
            let is_partial = answer.unprocessed_items().is_some_and(|unprocessed| !unprocessed.is_empty());
            if is_partial { Err(Error::InvalidResponse { detail: "the table was written in part" }) } else { Ok(()) }
        };
        let written = join_all(rows.chunks(MOST_WRITTEN_AT_ONCE).map(write)).await;
        written.into_iter().collect()
    }

    /// Writes a row. If there is one with the same id, it is replaced only if `condition` holds for it.
    ///
    /// # Errors
    ///
    /// Fails if DynamoDB does not confirm before `deadline` that it has the row, or that the condition does not hold.
    pub async fn write_if(&self, row: &Row, condition: Condition, deadline: Instant) -> Result<(), Error> {
        let item = item(row);
        let values = condition.names.iter().filter_map(|name| Some((format!(":{name}"), item.get(*name)?.clone())));
        let values = values.collect();
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(Some(values));
        match self.finish(request.send(), deadline).await {
            Ok(_) => Ok(()),
            Err(Error::Refused { code }) if code == "ConditionalCheckFailedException" => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a request as soon as fewer than [`MOST_REQUESTS`] are under way, and waits for it until `deadline`.
    async fn finish<T, E>(
        &self,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
        deadline: Instant,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let permit = timeout_at(deadline, Arc::clone(&self.requests).acquire_owned()).await?;
        let counted = async move {
            let _until_it_ends = permit;
            request.await
        };
        finish(counted, deadline).await
    }
}

fn item(row: &Row) -> HashMap<String, AttributeValue> {
    let texts = row.texts.iter().map(|(name, text)| (name.clone(), AttributeValue::S(text.clone())));
    let numbers = row.numbers.iter().map(|(name, number)| (name.clone(), AttributeValue::N(number.to_string())));
    let own = [
        (ID.to_owned(), AttributeValue::S(row.id.clone())),
        (EXPIRES_AT.to_owned(), AttributeValue::N(row.expires_at.to_string())),
    ];
    texts.chain(numbers).chain(own).collect()
}

/// An item as a row. Returns `None` if this program did not write it.
fn row(item: &HashMap<String, AttributeValue>) -> Option<Row> {
    let number = |value: &AttributeValue| value.as_n().ok()?.parse().ok();
    let others = || item.iter().filter(|(name, _)| ![ID, EXPIRES_AT].contains(&name.as_str()));
    let texts = others().filter_map(|(name, value)| Some((name.clone(), value.as_s().ok()?.clone())));
    let numbers = others().filter_map(|(name, value)| Some((name.clone(), number(value)?)));
    Some(Row {
        id: item.get(ID)?.as_s().ok()?.clone(),
        expires_at: number(item.get(EXPIRES_AT)?)?,
        texts: texts.collect(),
        numbers: numbers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let written = Row::new("answer:1".to_owned(), 1_770_460_500)
            .with_text("customer_ref", "cust_1")
            .with_number("at_ms", 1_770_460_200_000);
        assert_eq!(row(&item(&written)), Some(written));
    }

    #[test]
    fn an_item_that_another_program_wrote_is_ignored() {
        assert_eq!(row(&HashMap::new()), None);
        let odd = HashMap::from([
            (ID.to_owned(), AttributeValue::S("x".to_owned())),
            (EXPIRES_AT.to_owned(), AttributeValue::S("yesterday".to_owned())),
        ]);
        assert_eq!(row(&odd), None);
    }
}
