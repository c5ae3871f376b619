//! The least that asking the API can cost: one reqwest client, and a POST for each line on standard input. The time that
//! each took is printed, in nanoseconds.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is measured and not shipped")]

use std::io::stdin;
use std::time::Instant;

use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::var("STICKY_CALLS_API_URL").unwrap() + "/v1/calls/start";
    let key = std::env::var("STICKY_CALLS_API_KEY").unwrap();
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
    for (call, _) in stdin().lines().enumerate() {
        // The API takes each call once.
        let request = json!({
            "call_id": format!("{}-{call}", std::process::id()),
            "identity_hints": {
                "ani": "+12025550101", "dnis": "+12025550199",
                "external_ids": {"customer_id": "C-1001"},
            },
            "telco": {"line_type": "mobile"},
        });
        let began = Instant::now();
        let answer = client.post(&url).bearer_auth(&key).json(&request).send().await.unwrap();
        let _: Value = answer.json().await.unwrap();
        println!("{}", began.elapsed().as_nanos());
    }
}
