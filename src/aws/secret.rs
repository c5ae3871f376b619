//! One secret in Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;
use secrecy::SecretString;

use super::Error;

/// A secret whose value may change at any time.
#[derive(Clone)]
pub struct Secret {
    client: Client,
    arn: String,
}

impl Secret {
    pub(super) fn new(shared: &SdkConfig, arn: &str) -> Self {
        Self { client: Client::new(shared), arn: arn.to_owned() }
    }

    /// Reads its current text.
    ///
    /// # Errors
    ///
    /// Fails if Secrets Manager does not return it, or if it is binary.
    pub async fn read(&self) -> Result<SecretString, Error> {
        let answer = self.client.get_secret_value().secret_id(&self.arn).send().await?;
        answer
            .secret_string
            .map(SecretString::from)
            .ok_or(Error::InvalidResponse { detail: "the secret holds no text" })
    }
}
