//! A stand-in for the [Lambda Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). It gives
//! one function process its invocations, one after the other, and collects the answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::http::{Connection, Request, response};

/// The outcome of an invocation, as Connect would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered with this body.
    Answer(Vec<u8>),
    /// The function reported an error with this body.
    Error(Vec<u8>),
    /// The function did not answer before its deadline.
    TimedOut,
}

/// The stand-in.
pub struct RuntimeApi {
    address: SocketAddr,
    waiting: mpsc::UnboundedSender<Invocation>,
    invoked: AtomicU64,
    asked: watch::Receiver<u64>,
    server: JoinHandle<()>,
}

struct Invocation {
    payload: Vec<u8>,
    deadline_ms: u128,
    answer: oneshot::Sender<Outcome>,
}

struct State {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
    counter: AtomicU64,
    asked: watch::Sender<u64>,
}

impl RuntimeApi {
    /// Starts listening.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (waiting, receiver) = mpsc::unbounded_channel();
        let (asks, asked) = watch::channel(0);
        let state = Arc::new(State {
            waiting: tokio::sync::Mutex::new(receiver),
            running: Mutex::default(),
            counter: AtomicU64::new(0),
            asked: asks,
        });
        let server = tokio::spawn(async move {
            // With the server its connections end too.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        });
        Self { address, waiting, invoked: AtomicU64::new(0), asked, server }
    }

    /// `host:port`, for `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Invokes the function with these bytes; Lambda's time-out is `timeout`.
    pub async fn invoke(&self, payload: impl Into<Vec<u8>>, timeout: Duration) -> Outcome {
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970") + timeout;
        self.invoke_until(payload, timeout, deadline.as_millis()).await
    }

    /// The same, with this deadline in the header, in milliseconds since 1970.
    pub async fn invoke_until(&self, payload: impl Into<Vec<u8>>, timeout: Duration, deadline_ms: u128) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation { payload: payload.into(), deadline_ms, answer };
        self.invoked.fetch_add(1, Ordering::Relaxed);
        self.waiting.send(invocation).expect("the server runs");
        match tokio::time::timeout(timeout, answered).await {
            Ok(outcome) => outcome.expect("the server runs"),
            Err(_) => Outcome::TimedOut,
        }
    }

    /// Waits until the function asks for the invocation after the last one.
    pub async fn is_asked_for_the_next(&self) {
        let invoked = self.invoked.load(Ordering::Relaxed);
        self.asked.clone().wait_for(|asked| *asked > invoked).await.expect("the server runs");
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut connection = Connection::new(stream);
    while let Ok(Some(request)) = connection.request().await {
        let answer = answer(request, &state).await;
        if connection.send(&answer).await.is_err() {
            return;
        }
    }
}

async fn answer(request: Request, state: &State) -> Vec<u8> {
    let invocation = request.path.strip_prefix("/2018-06-01/runtime/invocation/").unwrap_or_default();
    if request.method == "GET" && invocation == "next" {
        return next(state).await;
    }
    let Some((id, kind)) = invocation.split_once('/') else { return response(404, &[], b"{}") };
    let outcome = if kind == "response" { Outcome::Answer(request.body) } else { Outcome::Error(request.body) };
    if let Some(answer) = state.running.lock().expect("no panic").remove(id) {
        // After a time-out nobody waits for the answer any more.
        let _ = answer.send(outcome);
    }
    response(202, &[], b"{}")
}

async fn next(state: &State) -> Vec<u8> {
    state.asked.send_modify(|asked| *asked += 1);
    // Without a sender the stand-in ends, and its connections are closed without an answer.
    let Some(invocation) = state.waiting.lock().await.recv().await else { return std::future::pending().await };
    let id = format!("request-{}", state.counter.fetch_add(1, Ordering::Relaxed));
    state.running.lock().expect("no panic").insert(id.clone(), invocation.answer);
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", id.as_str()),
        ("Lambda-Runtime-Deadline-Ms", &invocation.deadline_ms.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:identify"),
        ("Lambda-Runtime-Trace-Id", "Root=1-5e1b4151-43a0913a12345678901234567"),
    ];
    response(200, &headers, &invocation.payload)
}
