//! HTTPS as both edges speak it: to the Sticky Calls API and to AWS.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// What every HTTP client of the process is built from.
#[derive(Clone)]
pub struct Https {
    tls: ClientConfig,
}

impl Https {
    /// Sets up TLS by rustls on ring, with Mozilla's roots built in: no file is read and no platform code is asked.
    ///
    /// # Errors
    ///
    /// Where rustls refuses what it is given, which does not change from one start to the next.
    pub fn new() -> Result<Self, rustls::Error> {
        let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls })
    }

    /// The beginning of a client: no redirects and no proxy, so that key and credentials go to the configured host
    /// alone; no retries of its own, so that whoever asks decides. Clients share TLS, sessions to resume included.
    pub fn client(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .referer(false)
    }
}
