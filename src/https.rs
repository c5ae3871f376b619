//! HTTPS for both edges: to the Sticky Calls API and to AWS.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// What every HTTP client of the process is built from.
#[derive(Clone)]
pub struct Https {
    tls: ClientConfig,
}

impl Https {
    /// Sets up TLS with rustls and ring. Mozilla's root certificates are built in, so no file has to be read.
    ///
    /// # Errors
    ///
    /// Fails if rustls refuses its settings. They are the same at every start.
    pub fn new() -> Result<Self, rustls::Error> {
        let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls })
    }

    /// A builder of an HTTP client. It follows no redirects and uses no proxy, so that key and credentials go to the
    /// configured host alone. It does not retry: its user decides that. All clients share TLS and its sessions.
    pub fn client(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .referer(false)
    }
}
