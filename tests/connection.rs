//! The connection to the API: opened ahead of the first call, kept between calls, and replaced when it dies.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use stand_ins::events::{event, record, stream, with_contact};
use stand_ins::log::lines;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// Jane's call with this id.
fn call(id: &str) -> Value {
    with_contact(event("returning_caller"), "/InitialContactId", id)
}

#[tokio::test]
async fn the_first_call_uses_the_connection_that_was_opened_at_the_start() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    // This event needs no API. Once it is answered, the start is over.
    stack.invoke(&event("anonymous_caller")).await;
    assert_eq!(stack.api.connections(), 1);
    assert_eq!(stack.api.received().len(), 0, "the start sends nothing");
    assert_eq!(stack.invoke(&call("one")).await["lookup_status"], "matched");
    assert_eq!(stack.invoke(&call("two")).await["lookup_status"], "matched");
    assert_eq!(stack.api.connections(), 1);
}

#[tokio::test]
async fn the_first_caller_is_looked_up_although_the_connection_has_died() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.invoke(&event("anonymous_caller")).await;
    stack.api.forget_connections();
    assert_eq!(stack.invoke(&call("one")).await["lookup_status"], "matched");
    assert_eq!(stack.api.connections(), 2);
}

#[tokio::test]
async fn a_caller_is_looked_up_although_the_connection_died_while_frozen() {
    for _ in 0..20 {
        let mut stack = Stack::start(BOOTSTRAP, &[]).await;
        stack.invoke(&call("one")).await;
        stack.api.forget_connections();
        assert_eq!(stack.invoke(&call("two")).await["lookup_status"], "matched");
        assert_eq!(stack.api.connections(), 2);
    }
}

/// A batch leaves several connections, and all of them die in the freeze. The second attempt must not use another of
/// them.
#[tokio::test]
async fn a_caller_is_looked_up_although_all_connections_of_a_batch_died_while_frozen() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let records = (0..40).map(|number| {
        let mut record = record();
        record["ContactId"] = format!("call {number}").into();
        record
    });
    stack.invoke(&stream(&records.collect::<Vec<_>>())).await;
    let left = stack.api.connections();
    assert!(left > 1, "{left}");
    stack.api.forget_connections();
    assert_eq!(stack.invoke(&call("after the freeze")).await["lookup_status"], "matched");
    assert_eq!(stack.api.connections(), left + 1);
}

#[tokio::test]
async fn callers_are_looked_up_although_the_api_closes_the_connection_after_every_answer() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    for id in ["one", "two", "three"] {
        let body = r#"{"identity":{"confidence":1}}"#;
        let length = body.len();
        stack.api.fail_next(Fault::Raw(format!("HTTP/1.1 200 -\r\nContent-Length: {length}\r\n\r\n{body}").into()));
        // The function may not have noticed that the connection is closed. Then the second attempt succeeds.
        assert_eq!(stack.invoke(&call(id)).await["lookup_status"], "matched", "{id}");
    }
}

#[tokio::test]
async fn the_first_caller_does_not_wait_longer_if_the_connection_hangs_at_the_start() {
    // The backlog is full and nobody accepts, so connecting never ends.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(std::time::Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    let url = format!("http://{address}");
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_API_URL", &url)]).await;
    let answer = stack.invoke(&call("one")).await;
    assert_eq!(answer["lookup_reason"], "timeout");
    // The log says that the connection was late, not the answer.
    let line = lines(&stack.function.stop().await, "answered").remove(0);
    assert_eq!(line["detail"], "no connection in time");
}

#[tokio::test]
async fn an_impostor_with_a_certificate_of_their_own_never_sees_the_key() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let impostor = tokio::spawn(async move {
        let mut handshakes = 0;
        // The connections of the start, of the first attempt and of the second.
        while handshakes < 3 {
            let (stream, _) = listener.accept().await.unwrap();
            handshakes += 1;
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut heard = Vec::new();
                let _ = stream.read_to_end(&mut heard).await;
                assert!(heard.is_empty(), "the impostor heard something");
            }
        }
    });
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_API_URL", &url)]).await;
    let answer = stack.invoke(&call("one")).await;
    assert_eq!(answer["lookup_reason"], "network");
    impostor.await.unwrap();
    let log = stack.function.stop().await;
    assert!(log.contains("UnknownIssuer"), "{log}");
}
