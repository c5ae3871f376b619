//! One SQS queue.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_types::SdkConfig;
use tokio::time::Instant;

use super::Error;
use super::request::{Pending, finish};

/// The longest time for which a received message can be hidden: 12 hours from its receipt
/// ([`ChangeMessageVisibility`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html)).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

/// The longest time by which the first receipt of a message can be delayed: 15 minutes
/// ([`SendMessage`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// A queue. This program sends messages to it, and Lambda receives them.
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub(super) fn new(shared: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(shared), url: url.to_owned() }
    }

    /// Starts to send a message that can be received after `delay`: whole seconds, at most [`MAX_DELAY`]. Nobody waits
    /// longer than `deadline`. If the result is `Ok`, SQS has the message. If it is an error, SQS did not confirm that.
    pub fn send(&self, body: &str, delay: Duration, deadline: Instant) -> Pending<()> {
        let seconds = i32::try_from(delay.min(MAX_DELAY).as_secs()).ok().filter(|seconds| *seconds > 0);
        let request =
            self.client.send_message().queue_url(&self.url).message_body(sendable(body)).set_delay_seconds(seconds);
        Pending::start(async move { request.send().await.map(|_| ()) }, deadline)
    }

    /// Hides a received message for `delay` from now: whole seconds, at most [`MAX_VISIBILITY`].
    ///
    /// # Errors
    ///
    /// Fails if SQS did not confirm that. The message can then be received after the queue's own visibility time-out.
    pub async fn hide(&self, receipt_handle: &str, delay: Duration, deadline: Instant) -> Result<(), Error> {
        let seconds = i32::try_from(delay.min(MAX_VISIBILITY).as_secs()).unwrap_or_default();
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds);
        finish(request.send(), deadline).await?;
        Ok(())
    }
}

/// JSON without characters that SQS refuses. JSON allows U+FFFE and U+FFFF unescaped, but [SQS refuses a message with
/// them](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html). They can only
/// occur inside JSON strings, and there their escapes mean the same.
fn sendable(json: &str) -> String {
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_with_characters_that_sqs_refuses_can_be_sent_and_reads_the_same() {
        let text = "before \u{fffe}\u{ffff} after \u{0} \u{1f} \u{7f} 👍";
        let json = sendable(&serde_json::to_string(text).unwrap());
        let allowed =
            |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(json.chars().all(allowed), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
