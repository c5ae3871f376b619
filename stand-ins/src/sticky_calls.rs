//! A stand-in for the Sticky Calls API, built from its public documentation. It remembers customers, scores them like
//! the documentation's walk-through, and injects faults.

mod in_words;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinHandle;

use crate::http::{Connection, Request, head, response};

/// The key that the stand-in accepts.
pub const KEY: &str = "sk_test_5tickyConnectStandIn";

/// The port of the stand-in as a program, unless it is told another one. `env.json` has it too.
pub const PORT: u16 = 8787;

/// The `call_start` in the answer to every start.
pub const CALL_START: &str = "2026-02-07T10:30:00.000Z";

/// A fault for a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer instead of the real one.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// The real answer, after this time.
    Delay(Duration),
    /// The real answer, as soon as enough requests wait for it.
    Together(Arc<Barrier>),
    /// The request is read and never answered.
    Hang,
    /// The head of an answer, then its body byte by byte, for longer than any caller waits.
    Drip,
    /// The connection is reset.
    Reset,
    /// The connection is closed without an answer.
    Close,
    /// The answer ends in the middle of its body.
    CutBody,
    /// A body of this many bytes.
    Huge(usize),
    /// These bytes, whatever they are, and then the connection is closed.
    Raw(Vec<u8>),
    /// The first bytes, then the second ones again and again, for as long as the connection is open.
    Endless(&'static [u8], &'static [u8]),
    /// The request is carried out, then the connection is reset: the API took it, but there is no answer.
    TakenThenReset,
    /// The answer to the start or end of this other call. The request is not carried out.
    AnswerOf(String),
}

impl Fault {
    /// An answer with this status and the documented form of an error.
    pub fn status(status: u16) -> Self {
        let body = json!({"error": "stand_in", "message": "ordered by a test"}).to_string().into_bytes();
        Self::Answer { status, headers: Vec::new(), body }
    }

    /// The same with a `Retry-After`.
    pub fn status_and_retry_after(status: u16, retry_after: &str) -> Self {
        match Self::status(status) {
            Self::Answer { body, .. } => {
                Self::Answer { status, headers: vec![("Retry-After", retry_after.to_owned())], body }
            }
            other => other,
        }
    }

    /// Delays the answers until this many requests wait at once.
    pub fn together(requests: usize) -> Self {
        Self::Together(Arc::new(Barrier::new(requests)))
    }

    /// A 200 with this body.
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }
}

/// A customer whom the API knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The API's reference.
    pub customer_ref: String,
    /// The number that they called from.
    pub ani: Option<String>,
    /// The external ids.
    pub external_ids: BTreeMap<String, String>,
    /// The open intents, each with its number of attempts.
    pub open_intents: Vec<(String, u64)>,
    /// The variables that earlier calls have left.
    pub variables: BTreeMap<String, String>,
}

/// A request that reached the stand-in.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`, unless something else than the function asks.
    pub method: String,
    /// `/v1/calls/start` or `/v1/calls/end`.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Value,
    /// The status and the body of the answer. `None` if a fault takes its place.
    pub answer: Option<(u16, Value)>,
}

#[derive(Default)]
struct State {
    customers: Vec<Customer>,
    started: HashSet<String>,
    ended: HashSet<String>,
    carried_out: Vec<Value>,
    /// The last answer to each call, by path and `call_id`.
    answers: BTreeMap<(String, String), Value>,
    refused_call: Option<String>,
    /// The key that is accepted instead of [`KEY`].
    key: Option<String>,
    credits: Option<u32>,
    faults: VecDeque<Fault>,
    permanent_fault: Option<Fault>,
    received: Vec<Received>,
    watcher: Option<mpsc::UnboundedSender<Received>>,
    /// How many requests wait for an answer.
    in_flight: usize,
    most_in_flight: usize,
    connections: usize,
    bytes_sent: usize,
    /// The number of connections that are dead, from the first on. A request on them is answered with a reset.
    dead_connections: usize,
}

/// The stand-in.
pub struct StickyCalls {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl StickyCalls {
    /// Starts listening.
    pub async fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST).await
    }

    /// Starts listening on another address of this host, for a function in a container.
    pub async fn start_on(address: Ipv4Addr) -> Self {
        Self::listen((address, 0).into()).await.expect("a free port")
    }

    /// Starts listening on this address. Port 0 stands for any free port.
    ///
    /// # Errors
    ///
    /// Fails if it can't listen there: the port is taken, or the address is not this host's.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut state = lock(&shared);
                    state.connections += 1;
                    state.connections
                };
                tokio::spawn(serve(stream, number, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state, server })
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Adds a customer.
    pub fn remember(&self, customer: Customer) {
        self.lock().customers.push(customer);
    }

    /// All customers.
    pub fn customers(&self) -> Vec<Customer> {
        self.lock().customers.clone()
    }

    /// Accepts this many more requests. After that the answer is 402.
    pub fn set_credits(&self, credits: u32) {
        self.lock().credits = Some(credits);
    }

    /// Adds a fault for one request, after the faults that were added before.
    pub fn fail_next(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// Removes all faults for single requests.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Sets the fault for every request from now on. `None` ends it.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.lock().permanent_fault = fault;
    }

    /// Accepts only this key from now on.
    pub fn change_key(&self, key: &str) {
        self.lock().key = Some(key.to_owned());
    }

    /// Answers 500 to every request about this call.
    pub fn refuse_call(&self, call_id: &str) {
        self.lock().refused_call = Some(call_id.to_owned());
    }

    /// Makes every open connection dead without closing it: the next request on it is answered with a reset. A gateway
    /// does this if it has forgotten the connection while the function was frozen.
    pub fn forget_connections(&self) {
        let mut state = self.lock();
        state.dead_connections = state.connections;
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// Tells of every request from now on, as soon as its answer is known. It takes the place of an earlier watch.
    pub fn watch(&self) -> mpsc::UnboundedReceiver<Received> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().watcher = Some(sender);
        receiver
    }

    /// The ends that were carried out, as they were sent.
    pub fn ended(&self) -> Vec<Value> {
        self.lock().carried_out.clone()
    }

    /// The largest number of requests that waited for an answer at once.
    pub fn most_at_once(&self) -> usize {
        self.lock().most_in_flight
    }

    /// How many connections have been opened.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// How many bytes of answers have been sent.
    pub fn bytes_sent(&self) -> usize {
        self.lock().bytes_sent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for StickyCalls {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic while it is held")
}

/// Counts a request from its arrival until its answer is sent, or nobody waits for it any more.
struct InFlight<'a>(&'a Mutex<State>);

impl<'a> InFlight<'a> {
    fn new(state: &'a Mutex<State>) -> Self {
        let mut counted = lock(state);
        counted.in_flight += 1;
        counted.most_in_flight = counted.most_in_flight.max(counted.in_flight);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(self.0).in_flight -= 1;
    }
}

async fn serve(stream: TcpStream, number: usize, state: Arc<Mutex<State>>) {
    // An error ends the connection. The tests look at how the function handles that.
    let _ = serve_requests(Connection::new(stream), number, &state).await;
}

async fn serve_requests(mut connection: Connection, number: usize, state: &Mutex<State>) -> io::Result<()> {
    while let Some(request) = connection.request().await? {
        let in_flight = InFlight::new(state);
        let (fault, answer) = {
            let mut state = lock(state);
            if number <= state.dead_connections {
                return reset(connection);
            }
            let fault = state.faults.pop_front().or_else(|| state.permanent_fault.clone());
            let is_carried_out =
                matches!(fault, None | Some(Fault::Delay(_) | Fault::Together(_) | Fault::TakenThenReset));
            let answer = is_carried_out.then(|| state.answer(&request));
            state.note(&request, answer.clone());
            (fault, answer)
        };
        let real = answer.map(|(status, body)| response(status, &[], body.to_string().as_bytes())).unwrap_or_default();
        let bytes = match fault {
            None => real,
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                real
            }
            Some(Fault::Together(all)) => {
                all.wait().await;
                real
            }
            Some(Fault::Answer { status, headers, body }) => {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                response(status, &headers, &body)
            }
            Some(Fault::AnswerOf(call_id)) => {
                let answer = lock(state).answers.get(&(request.path, call_id)).cloned().unwrap_or_default();
                response(200, &[], answer.to_string().as_bytes())
            }
            Some(Fault::Hang) => return connection.closed().await,
            Some(Fault::Drip) => return drip(connection).await,
            Some(Fault::Reset | Fault::TakenThenReset) => return reset(connection),
            Some(Fault::Close) => return Ok(()),
            Some(Fault::CutBody) => return connection.send(&cut_body()).await,
            Some(Fault::Huge(length)) => return huge(connection, length, state).await,
            Some(Fault::Endless(first, then)) => return endless(connection, first, then).await,
            Some(Fault::Raw(bytes)) => return connection.send(&bytes).await,
        };
        lock(state).bytes_sent += bytes.len();
        // Before the answer is sent: the next request may come before this task goes on.
        drop(in_flight);
        connection.send(&bytes).await?;
    }
    Ok(())
}

fn reset(connection: Connection) -> io::Result<()> {
    connection.stream.set_zero_linger()
}

fn cut_body() -> Vec<u8> {
    let mut bytes = head(200, &[], 1_000);
    bytes.extend_from_slice(b"{\"customer_ref\":");
    bytes
}

async fn drip(mut connection: Connection) -> io::Result<()> {
    connection.send(&head(200, &[], 100_000)).await?;
    loop {
        connection.send(b" ").await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn endless(mut connection: Connection, first: &[u8], then: &[u8]) -> io::Result<()> {
    connection.send(first).await?;
    let many = then.repeat(64 * 1024 / then.len());
    loop {
        connection.send(&many).await?;
    }
}

/// A body without a declared length, so that only reading it shows its size.
async fn huge(mut connection: Connection, length: usize, state: &Mutex<State>) -> io::Result<()> {
    connection.send(b"HTTP/1.1 200 -\r\nConnection: close\r\n\r\n").await?;
    let chunk = vec![b' '; 64 * 1024];
    for _ in 0..length.div_ceil(chunk.len()) {
        connection.send(&chunk).await?;
        lock(state).bytes_sent += chunk.len();
    }
    Ok(())
}

impl State {
    fn note(&mut self, request: &Request, answer: Option<(u16, Value)>) {
        let received = Received {
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
            answer,
        };
        if let Some(watcher) = &self.watcher {
            // An error means that nobody watches any more.
            let _ = watcher.send(received.clone());
        }
        self.received.push(received);
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let key = self.key.as_deref().unwrap_or(KEY);
        if request.header("authorization") != Some(&format!("Bearer {key}")) {
            return refusal(401, "unauthorized");
        }
        match self.credits.as_mut() {
            Some(0) => return refusal(402, "quota_exhausted"),
            Some(credits) => *credits -= 1,
            None => {}
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return bad_request("body") };
        let Some(call_id) = body["call_id"].as_str().filter(|id| (1..=128).contains(&id.chars().count())) else {
            return bad_request("call_id");
        };
        if self.refused_call.as_deref() == Some(call_id) {
            return refusal(500, "internal");
        }
        let (status, answer) = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/calls/start") => self.start(call_id, &body),
            ("POST", "/v1/calls/end") => self.end(call_id, &body),
            _ => refusal(404, "not_found"),
        };
        if status == 200 {
            self.answers.insert((request.path.clone(), call_id.to_owned()), answer.clone());
        }
        (status, answer)
    }

    fn start(&mut self, call_id: &str, body: &Value) -> (u16, Value) {
        if !are_usable(&body["identity_hints"]) {
            return bad_request("identity_hints");
        }
        if !self.started.insert(call_id.to_owned()) {
            return refusal(409, "call_id_used");
        }
        let (index, confidence) = self.find_or_create(&body["identity_hints"]);
        let customer = &self.customers[index];
        let (level, recommendation) = rate(confidence);
        let open_intents: Vec<_> = customer
            .open_intents
            .iter()
            .map(|(intent, attempts)| json!({"intent": intent, "status": "open", "attempt_count": attempts}))
            .collect();
        let variables: BTreeMap<_, _> = customer
            .variables
            .iter()
            .map(|(name, value)| (name, json!({"value": value, "source": null, "ttl_seconds": 2_592_000})))
            .collect();
        let known = confidence > 0.0;
        let answer = json!({
            "call_id": call_id,
            "customer_ref": customer.customer_ref,
            "call_start": CALL_START,
            "identity": {
                // An integer for a new caller, as in the documentation.
                "confidence": if known { json!(confidence) } else { json!(0) },
                "level": level,
                "sources": if known { json!(["ani"]) } else { json!([]) },
                "recommendation": recommendation,
            },
            "open_intents": open_intents,
            "variables": variables,
        });
        (200, answer)
    }

    fn end(&mut self, call_id: &str, body: &Value) -> (u16, Value) {
        let by_ref = body["customer_ref"].as_str().map(|wanted| json!({"customer_ref": wanted}));
        let hints = by_ref.unwrap_or_else(|| body["identity_hints"].clone());
        if !are_usable(&hints) {
            return bad_request("customer_ref");
        }
        if !self.ended.insert(call_id.to_owned()) {
            return refusal(409, "call_id_used");
        }
        self.carried_out.push(body.clone());
        let (index, _) = self.find_or_create(&hints);
        let customer = &mut self.customers[index];
        if let Some(intent) = body["intent"].as_str() {
            let known = customer.open_intents.iter_mut().find(|(name, _)| name == intent);
            match (body["intent_status"].as_str(), known) {
                (Some("open"), Some((_, attempts))) => *attempts += 1,
                (Some("open"), None) => customer.open_intents.push((intent.to_owned(), 1)),
                _ => customer.open_intents.retain(|(name, _)| name != intent),
            }
        }
        let written = body["variables"].as_object().into_iter().flatten();
        let written: Vec<_> =
            written.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        customer.variables.extend(written.clone());
        let answer = json!({
            "call_id": call_id,
            "customer_ref": customer.customer_ref,
            "call_start": CALL_START,
            "call_end": "2026-02-07T10:35:00.000Z",
            "duration_seconds": 300,
            "intents_updated": 1,
            "variables_updated": written.len(),
        });
        (200, answer)
    }

    /// The customer with these hints, and the confidence: 0.4 for the number alone, 0.9 with a matching external id. If
    /// the number and the external id belong to two customers, the external id decides.
    fn find_or_create(&mut self, hints: &Value) -> (usize, f64) {
        let text = |name: &str| hints[name].as_str().map(str::to_owned);
        let external_ids: BTreeMap<_, _> = hints["external_ids"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let (wanted, ani) = (text("customer_ref"), text("ani"));
        let score = |customer: &Customer| -> f64 {
            if wanted.as_ref() == Some(&customer.customer_ref) {
                return 0.9;
            }
            let known = |(name, value): (&String, &String)| customer.external_ids.get(name).map(|id| id == value);
            let matches: Vec<bool> = external_ids.iter().filter_map(known).collect();
            match (ani.is_some() && ani == customer.ani, matches.as_slice()) {
                (_, [_, ..]) if !matches.contains(&true) => 0.0,
                (true, [_, ..]) => 0.9,
                (true, []) => 0.4,
                (false, [_, ..]) => 0.5,
                (false, []) => 0.0,
            }
        };
        let best = self
            .customers
            .iter()
            .enumerate()
            .map(|(index, customer)| (index, score(customer)))
            .filter(|(_, score)| *score > 0.0)
            .max_by(|(_, one), (_, other)| one.total_cmp(other));
        best.unwrap_or_else(|| {
            let customer_ref = format!("00000000-0000-4000-8000-{:012}", self.customers.len() + 1);
            self.customers.push(Customer { customer_ref, ani, external_ids, ..Customer::default() });
            (self.customers.len() - 1, 0.0)
        })
    }
}

/// Whether there is at least one hint that identifies somebody.
fn are_usable(hints: &Value) -> bool {
    hints["ani"].is_string()
        || hints["customer_ref"].is_string()
        || hints["external_ids"].as_object().is_some_and(|ids| !ids.is_empty())
}

/// The documentation's levels and recommendations.
fn rate(confidence: f64) -> (&'static str, &'static str) {
    let level = match confidence {
        0.9.. => "very_high",
        0.7.. => "high",
        0.5.. => "medium",
        _ => "low",
    };
    let recommendation = match confidence {
        0.5.. => "reuse",
        0.3.. => "confirm",
        _ => "ignore",
    };
    (level, recommendation)
}

fn refusal(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"error": code, "message": code}))
}

fn bad_request(path: &str) -> (u16, Value) {
    let issues = json!([{"path": [path], "message": "Required"}]);
    (400, json!({"error": "validation_error", "message": "Invalid request", "details": {"issues": issues}}))
}
