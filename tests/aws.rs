//! Requests to AWS: retries, connections that died in a freeze, and certificates.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::join_all;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use secrecy::ExposeSecret;
use stand_ins::aws::{Aws, AwsFault, Service};
use sticky_connect::aws::{Access, Clients, Error};
use sticky_connect::https::Https;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

fn clients(endpoint: &str) -> Clients {
    let lookup = |name: &str| match name {
        "STICKY_CALLS_OUTBOX_QUEUE_URL" => Some("http://127.0.0.1/queue".to_owned()),
        "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
        _ => None,
    };
    let access: Access = sticky_connect::config::Config::read(lookup).0.aws.unwrap();
    access.clients(&Https::new().unwrap()).unwrap()
}

/// How reading a secret fails with this fault, and how often Secrets Manager was asked.
async fn read_secret(fault: AwsFault) -> (Error, usize) {
    let aws = Aws::down(fault).await;
    let error = clients(&aws.url()).secret("arn").read().await.unwrap_err();
    (error, aws.received(Service::SecretsManager).len())
}

#[tokio::test]
async fn a_temporary_failure_is_attempted_three_times() {
    let (error, attempts) = read_secret(AwsFault::Reset).await;
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert_eq!(attempts, 3);
    let (error, attempts) = read_secret(AwsFault::Status(503)).await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn a_refused_request_is_not_retried() {
    let (error, attempts) = read_secret(AwsFault::Refused("AccessDeniedException")).await;
    assert_eq!(error, Error::Refused { code: "AccessDeniedException".to_owned() });
    assert_eq!(attempts, 1);
}

/// A stand-in for Secrets Manager on threads of its own, which go on while the function is frozen. It answers once on
/// each connection, and then sends the connection to the test.
fn store() -> (String, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, connections) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut part = [0; 4096];
                    let length = stream.read(&mut part).unwrap();
                    if length == 0 {
                        return;
                    }
                    request.extend_from_slice(&part[..length]);
                }
                // So slow that the other requests need connections of their own.
                std::thread::sleep(Duration::from_millis(50));
                let body = r#"{"SecretString":"sk_test_1"}"#;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                sender.send(stream).unwrap();
            });
        }
    });
    (url, connections)
}

#[tokio::test]
async fn a_secret_is_read_although_all_connections_died_while_frozen() {
    let (url, connections) = store();
    let secret = clients(&url).secret("arn");
    for answer in join_all((0..5).map(|_| secret.read())).await {
        assert_eq!(answer.unwrap().expose_secret(), "sk_test_1");
    }
    // From here on the client does not run, as in Lambda's freeze.
    let connections: Vec<_> = connections.iter().take(5).collect();
    for connection in &connections {
        connection.shutdown(Shutdown::Both).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(secret.read().await.unwrap().expose_secret(), "sk_test_1");
}

#[tokio::test]
async fn a_secret_is_read_although_all_connections_break_when_they_are_used() {
    let (url, connections) = store();
    let secret = clients(&url).secret("arn");
    // More connections than a request has attempts.
    for answer in join_all((0..5).map(|_| secret.read())).await {
        assert_eq!(answer.unwrap().expose_secret(), "sk_test_1");
    }
    for connection in connections.iter().take(5) {
        // A connection is reset if it is closed before its request has been read.
        std::thread::spawn(move || connection.peek(&mut [0]).unwrap());
    }
    assert_eq!(secret.read().await.unwrap().expose_secret(), "sk_test_1");
}

#[tokio::test]
async fn an_impostor_with_a_certificate_of_their_own_never_sees_a_request() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let impostor = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            assert!(acceptor.accept(stream).await.is_err());
        }
    });
    let error = clients(&url).secret("arn").read().await.unwrap_err();
    assert_eq!(error, Error::Network { detail: "invalid peer certificate: UnknownIssuer".to_owned() });
    assert!(!impostor.is_finished());
}
