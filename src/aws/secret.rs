//! One secret in Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::Error;

/// A secret whose value may change at any time.
pub struct Secret {
    client: Client,
    arn: String,
}

impl Secret {
    pub(super) fn new(shared: &SdkConfig, arn: &str) -> Self {
        Self { client: Client::new(shared), arn: arn.to_owned() }
    }

    /// Reads its text as it is now, and is done before `deadline`.
    ///
    /// # Errors
    ///
    /// Where the store does not give it, or it is binary.
    pub async fn read(&self, deadline: Instant) -> Result<SecretString, Error> {
        let request = self.client.get_secret_value().secret_id(&self.arn);
        let answer = timeout_at(deadline, request.send()).await??;
        answer
            .secret_string
            .map(SecretString::from)
            .ok_or(Error::InvalidResponse { detail: "the secret holds no text" })
    }
}
