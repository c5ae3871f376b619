//! A function process with its stand-in of the API.

use std::path::Path;

use serde_json::Value;

use crate::aws::Aws;
use crate::function::Function;
use crate::sticky_calls::{Customer, KEY, StickyCalls};

/// A function and its API.
pub struct Stack {
    pub api: StickyCalls,
    pub function: Function,
}

impl Stack {
    /// Starts both. The API knows [`jane`]. `variables` are set beside the API's URL and key, and may replace them.
    pub async fn start(bootstrap: impl AsRef<Path>, variables: &[(&str, &str)]) -> Self {
        let api = StickyCalls::start().await;
        api.remember(jane());
        let url = api.url();
        let mut all = vec![("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
        all.extend_from_slice(variables);
        let function = Function::start(bootstrap, &all).await;
        Self { api, function }
    }

    /// The same with an AWS. Its variables are set too.
    pub async fn start_in(bootstrap: impl AsRef<Path>, aws: &Aws, variables: &[(&str, &str)]) -> Self {
        let of_aws = aws.variables();
        let mut all: Vec<_> = of_aws.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend_from_slice(variables);
        Self::start(bootstrap, &all).await
    }

    /// Invokes the function.
    pub async fn invoke(&mut self, event: &Value) -> Value {
        self.function.invoke(event).await
    }

    /// The body of the only request that the API has received.
    pub fn only_request(&self) -> Value {
        let received = self.api.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].body.clone()
    }
}

/// The customer of the sample events: known by number and ids, with an open billing issue.
pub fn jane() -> Customer {
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Customer {
        customer_ref: "00000000-0000-4000-8000-000000000001".to_owned(),
        ani: Some("+12025550101".to_owned()),
        external_ids: pairs(&[("customer_id", "C-1001"), ("email", "jane.doe@example.com")]),
        open_intents: vec![("billing_issue".to_owned(), 2)],
        variables: pairs(&[
            ("last_issue", "Disputed the January invoice"),
            ("last_issue_source", "call_summary"),
            ("name", "Jane Doe"),
            ("tier", "vip"),
            ("resolution", "Credit note sent"),
            ("call_date", "2026-01-30T09:15:00.000Z"),
        ]),
    }
}
