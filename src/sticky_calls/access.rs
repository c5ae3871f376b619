//! The API's URL and key.

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::HeaderValue;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// The API's URL, without a slash at its end. Tests and local runs change it; they change nothing else in the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Takes an https URL. Plain http is allowed only to a loopback address, or to `host.docker.internal`, the host of
    /// a container. Returns `None` for everything else: the key would be sent unencrypted, or not to the API.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let safe = match url.scheme() {
            "https" => true,
            "http" => is_this_machine(host),
            _ => false,
        };
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        (safe && plain && url.fragment().is_none()).then(|| Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    matches!(host, "localhost" | "host.docker.internal")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The API's key. Only the API gets it; neither `Debug` nor the log shows it.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Takes a key. Returns `None` if it is blank or can't be sent in a header. Only the API knows whether it is valid.
    pub fn new(secret: SecretString) -> Option<Self> {
        let is_blank = secret.expose_secret().trim().is_empty();
        let key = Self(secret);
        (!is_blank && key.authorization().is_some()).then_some(key)
    }

    /// A key for keyed hashes, derived from this one for `purpose`. The API key can't be found from it. Another purpose
    /// or another API key gives another result.
    pub fn derive(&self, purpose: &str) -> hmac::Key {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret().as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, purpose.as_bytes()).as_ref())
    }

    /// Whether `other` is the same key.
    pub fn is(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }

    /// The `Authorization` header, marked sensitive.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.0.expose_secret())).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_must_be_https_except_on_this_machine() {
        for url in [
            "https://api.stickycalls.com",
            "https://gateway.example.com:8443/sticky/",
            "http://127.0.0.1:8080",
            "http://127.8.8.8",
            "http://[::1]:8080/",
            "http://localhost:3000",
            "http://host.docker.internal:8080",
        ] {
            let base = BaseUrl::parse(url).unwrap();
            assert_eq!(base.as_str(), url.trim_end_matches('/'));
        }
    }

    #[test]
    fn a_url_that_would_give_the_key_away_is_refused() {
        for url in [
            "http://api.stickycalls.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://host.docker.internal.example.com",
            "https://user:password@api.stickycalls.com",
            "https://api.stickycalls.com?to=elsewhere",
            "https://api.stickycalls.com#top",
            "ftp://localhost",
            "file:///etc/passwd",
            "https://",
            "api.stickycalls.com",
            "localhost:8080",
            "",
        ] {
            assert_eq!(BaseUrl::parse(url), None, "{url}");
        }
    }

    #[test]
    fn the_header_is_marked_sensitive_and_debug_shows_no_key() {
        let key = ApiKey::new(SecretString::from("sk_test_verysecret")).unwrap();
        assert!(key.authorization().unwrap().is_sensitive());
        assert!(!format!("{key:?} {:?}", key.authorization()).contains("verysecret"));
        assert!(ApiKey::new(SecretString::from("sk\r\nX-Evil: 1")).is_none());
    }
}
