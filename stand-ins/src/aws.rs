//! The AWS services that the function uses: SQS, DynamoDB and Secrets Manager, with one endpoint.
//!
//! [moto](https://docs.getmoto.org)'s server provides the services. This stands in front of it, records the requests,
//! and injects faults. Without a server every request needs a fault, unless it is [`in_memory`](Aws::in_memory).

mod memory;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use self::memory::Memory;
use crate::function::Function;
use crate::http::{Connection, Request, Response, head, parse_response, response};

/// A service of AWS. The first word of a request's `X-Amz-Target` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Sqs,
    DynamoDb,
    SecretsManager,
}

impl Service {
    fn of(target: &str) -> Option<Self> {
        let (service, _) = target.split_once('.')?;
        [Self::Sqs, Self::DynamoDb, Self::SecretsManager].into_iter().find(|known| known.target() == service)
    }

    fn target(self) -> &'static str {
        match self {
            Self::Sqs => "AmazonSQS",
            Self::DynamoDb => "DynamoDB_20120810",
            Self::SecretsManager => "secretsmanager",
        }
    }

    fn signing_name(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::DynamoDb => "dynamodb",
            Self::SecretsManager => "secretsmanager",
        }
    }
}

/// A fault for every request to a service.
#[derive(Clone, Debug)]
pub enum AwsFault {
    /// It is never answered.
    Hang,
    /// It is answered after this time.
    Delay(Duration),
    /// The connection is reset.
    Reset,
    /// It is answered with this status and no body.
    Status(u16),
    /// It is refused with this code.
    Refused(&'static str),
    /// It gets this answer and is not carried out.
    Answer(Value),
    /// The same, after this time.
    AnswerAfter(Duration, Value),
    /// It is carried out, and never answered.
    TakenThenHang,
    /// Every second one is refused, and the others are carried out.
    EverySecondRefused,
    /// Writes of several rows are refused, and the others are carried out.
    BatchWritesRefused,
}

#[derive(Default)]
struct State {
    faults: HashMap<Service, AwsFault>,
    received: Vec<(Service, String, Value)>,
    messages: Vec<Value>,
    /// The table and the queue, if there is no moto server.
    memory: Memory,
    /// How many requests met [`AwsFault::EverySecondRefused`].
    counted: usize,
}

impl State {
    /// The fault for a new request to this service.
    fn fault(&mut self, service: Service, operation: &str) -> Option<AwsFault> {
        let fault = self.faults.get(&service).cloned()?;
        match fault {
            AwsFault::EverySecondRefused => {
                self.counted += 1;
                self.counted.is_multiple_of(2).then_some(AwsFault::Refused("OverLimit"))
            }
            AwsFault::BatchWritesRefused => {
                (operation == "BatchWriteItem").then_some(AwsFault::Refused("ThrottlingException"))
            }
            fault => Some(fault),
        }
    }
}

/// The stand-in.
pub struct Aws {
    address: SocketAddr,
    moto: Option<String>,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Aws {
    /// Starts in front of the moto server whose `host:port` is in `STICKY_CONNECT_MOTO`.
    pub async fn start() -> Self {
        let moto = std::env::var("STICKY_CONNECT_MOTO").expect("moto's address in STICKY_CONNECT_MOTO");
        Self::start_in_front_of(moto).await
    }

    /// Starts in front of the moto server at this `host:port`.
    pub async fn start_in_front_of(moto: String) -> Self {
        Self::in_front_of(Some(moto)).await
    }

    /// Starts without a moto server. Every service has this fault.
    pub async fn down(fault: AwsFault) -> Self {
        let aws = Self::in_front_of(None).await;
        for service in [Service::Sqs, Service::DynamoDb, Service::SecretsManager] {
            aws.fail(service, Some(fault.clone()));
        }
        aws
    }

    /// Starts without a moto server. A queue takes every message; the other services refuse everything.
    pub async fn with_a_queue_alone() -> Self {
        let aws = Self::down(AwsFault::Refused("AccessDeniedException")).await;
        aws.fail(Service::Sqs, None);
        aws
    }

    /// Starts without a moto server. A queue takes every message, a table of any name exists and is fast, and every
    /// secret is refused.
    pub async fn in_memory() -> Self {
        let aws = Self::with_a_queue_alone().await;
        aws.fail(Service::DynamoDb, None);
        aws
    }

    async fn in_front_of(moto: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, behind) = (Arc::clone(&state), moto.clone());
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, behind.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, moto, state, server }
    }

    /// The endpoint of all services.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment variables for a function in this AWS.
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_ENDPOINT_URL", &self.url()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Sets the fault for every request to a service from now on. `None` ends it.
    pub fn fail(&self, service: Service, fault: Option<AwsFault>) {
        let mut state = lock(&self.state);
        match fault {
            Some(fault) => state.faults.insert(service, fault),
            None => state.faults.remove(&service),
        };
    }

    /// The requests to a service: operations with their parameters.
    pub fn received(&self, service: Service) -> Vec<(String, Value)> {
        let state = lock(&self.state);
        let of_service = state.received.iter().filter(|(asked, ..)| *asked == service);
        of_service.map(|(_, operation, parameters)| (operation.clone(), parameters.clone())).collect()
    }

    /// The messages that the queues have taken, as they were sent, in their order.
    pub fn messages(&self) -> Vec<Value> {
        lock(&self.state).messages.clone()
    }

    /// Sends a request to moto directly, without faults, as an operator or Lambda would.
    pub async fn ask(&self, service: Service, operation: &str, parameters: Value) -> Value {
        let moto = self.moto.as_deref().expect("there is a moto server behind it");
        let scope = format!("AKIAIOSFODNN7EXAMPLE/20260207/eu-central-1/{}/aws4_request", service.signing_name());
        let request = Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![
                ("content-type".to_owned(), "application/x-amz-json-1.0".to_owned()),
                ("x-amz-target".to_owned(), format!("{}.{operation}", service.target())),
                (
                    "authorization".to_owned(),
                    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
                ),
            ],
            body: parameters.to_string().into_bytes(),
        };
        let answer = forward(moto, &request).await.expect("moto answers");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{operation}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Creates a queue with a dead-letter queue for messages that were received this often. Returns the URLs of both.
    pub async fn create_queue(&self, most_receives: u32) -> (String, String) {
        let dead = self.ask(Service::Sqs, "CreateQueue", json!({"QueueName": unique("dead")})).await;
        let dead = dead["QueueUrl"].as_str().expect("a URL").to_owned();
        let attributes = json!({"QueueUrl": dead, "AttributeNames": ["QueueArn"]});
        let attributes = self.ask(Service::Sqs, "GetQueueAttributes", attributes).await;
        let redrive =
            json!({"deadLetterTargetArn": attributes["Attributes"]["QueueArn"], "maxReceiveCount": most_receives});
        let attributes = json!({"VisibilityTimeout": "360", "RedrivePolicy": redrive.to_string()});
        let parameters = json!({"QueueName": unique("outbox"), "Attributes": attributes});
        let outbox = self.ask(Service::Sqs, "CreateQueue", parameters).await;
        (outbox["QueueUrl"].as_str().expect("a URL").to_owned(), dead)
    }

    /// Creates a table like the template's and returns its name.
    pub async fn create_table(&self) -> String {
        let name = unique("table");
        let parameters = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        });
        self.ask(Service::DynamoDb, "CreateTable", parameters).await;
        let ttl = json!({"AttributeName": "expires_at", "Enabled": true});
        let parameters = json!({"TableName": name, "TimeToLiveSpecification": ttl});
        self.ask(Service::DynamoDb, "UpdateTimeToLive", parameters).await;
        name
    }

    /// Lets time pass for the table in memory: its items expire that much sooner.
    pub fn age(&self, time: Duration) {
        lock(&self.state).memory.age(i64::try_from(time.as_secs()).expect("not that long"));
    }

    /// Every item of a table, as DynamoDB writes it.
    pub async fn items(&self, table: &str) -> Vec<Value> {
        if self.moto.is_none() {
            return lock(&self.state).memory.items();
        }
        let answer = self.ask(Service::DynamoDb, "Scan", json!({"TableName": table})).await;
        answer["Items"].as_array().cloned().unwrap_or_default()
    }

    /// Creates a secret with this text and returns its ARN.
    pub async fn create_secret(&self, text: &str) -> String {
        let parameters = json!({"Name": unique("key"), "SecretString": text, "ClientRequestToken": unique("token-0123456789012345678901234")});
        let secret = self.ask(Service::SecretsManager, "CreateSecret", parameters).await;
        secret["ARN"].as_str().expect("an ARN").to_owned()
    }

    /// Gives a secret another text.
    pub async fn rotate_secret(&self, arn: &str, text: &str) {
        let token = unique("token-0123456789012345678901234");
        let parameters = json!({"SecretId": arn, "SecretString": text, "ClientRequestToken": token});
        self.ask(Service::SecretsManager, "PutSecretValue", parameters).await;
    }

    /// How many messages a queue has: those that can be received, and those that are hidden.
    pub async fn count(&self, queue: &str) -> (u32, u32) {
        let wanted = json!(["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]);
        let parameters = json!({"QueueUrl": queue, "AttributeNames": wanted});
        let answer = self.ask(Service::Sqs, "GetQueueAttributes", parameters).await;
        let number =
            |name: &str| answer["Attributes"][name].as_str().and_then(|text| text.parse().ok()).expect("a number");
        (number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"))
    }

    /// Receives up to 10 messages, as records of an SQS event.
    pub async fn receive(&self, queue: &str) -> Vec<Value> {
        let parameters = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "AttributeNames": ["All"]});
        let answer = self.ask(Service::Sqs, "ReceiveMessage", parameters).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let record = |message: Value| {
            json!({
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:outbox",
                "awsRegion": "eu-central-1",
            })
        };
        messages.into_iter().map(record).collect()
    }

    /// Does what Lambda does for a queue: receives a batch, invokes the function with it, and deletes all messages but
    /// the batch item failures. Returns the records that stay in the queue, and how many were received.
    pub async fn poll(&self, queue: &str, function: &mut Function) -> (Vec<Value>, usize) {
        let records = self.receive(queue).await;
        if records.is_empty() {
            return (Vec::new(), 0);
        }
        let answer = function.invoke(&json!({"Records": records})).await;
        let reported: Vec<&Value> = answer["batchItemFailures"]
            .as_array()
            .expect("a partial-batch answer")
            .iter()
            .map(|item| &item["itemIdentifier"])
            .collect();
        let known = reported.iter().all(|id| records.iter().any(|record| record["messageId"] == **id));
        assert!(known, "{answer}");
        let count = records.len();
        let (stay, done): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| reported.contains(&&record["messageId"]));
        for record in done {
            let parameters = json!({"QueueUrl": queue, "ReceiptHandle": record["receiptHandle"]});
            self.ask(Service::Sqs, "DeleteMessage", parameters).await;
        }
        (stay, count)
    }

    /// Ends the time for which a received message is hidden.
    pub async fn make_visible(&self, queue: &str, record: &Value) {
        let parameters = json!({"QueueUrl": queue, "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": 0});
        self.ask(Service::Sqs, "ChangeMessageVisibility", parameters).await;
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A name that no other test uses.
fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("{what}-{}-{start}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic while it is held")
}

async fn serve(stream: TcpStream, moto: Option<String>, state: Arc<Mutex<State>>) {
    // An error ends the connection. The tests look at how the function handles that.
    let _ = serve_requests(Connection::new(stream), moto.as_deref(), &state).await;
}

async fn serve_requests(mut connection: Connection, moto: Option<&str>, state: &Mutex<State>) -> io::Result<()> {
    while let Some(request) = connection.request().await? {
        let target = request.header("x-amz-target").unwrap_or_default().to_owned();
        let service = Service::of(&target).ok_or_else(|| io::Error::other(format!("no service for {target}")))?;
        let operation = target.split_once('.').map(|(_, operation)| operation.to_owned()).unwrap_or_default();
        let parameters: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let fault = {
            let mut state = lock(state);
            let fault = state.fault(service, &operation);
            let is_refused =
                matches!(fault, Some(AwsFault::Hang | AwsFault::Reset | AwsFault::Status(_) | AwsFault::Refused(_)));
            if operation == "SendMessage" && !is_refused {
                state.messages.push(parameters.clone());
            }
            state.received.push((service, operation, parameters));
            fault
        };
        match fault {
            Some(AwsFault::Hang) => std::future::pending().await,
            Some(AwsFault::Reset) => return connection.stream.set_zero_linger(),
            Some(AwsFault::Status(status)) => connection.send(&response(status, &[], b"")).await?,
            Some(AwsFault::Refused(code)) => {
                let body = json!({"__type": code, "message": "ordered by a test"}).to_string();
                connection.send(&response(400, &[], body.as_bytes())).await?;
            }
            Some(AwsFault::Answer(answer)) => {
                connection.send(&response(200, &[], answer.to_string().as_bytes())).await?;
            }
            Some(AwsFault::AnswerAfter(delay, answer)) => {
                tokio::time::sleep(delay).await;
                connection.send(&response(200, &[], answer.to_string().as_bytes())).await?;
            }
            Some(AwsFault::TakenThenHang) => {
                carry_out(moto, &request, state).await?;
                std::future::pending::<()>().await;
            }
            Some(AwsFault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                pass_on(&mut connection, moto, &request, state).await?;
            }
            Some(AwsFault::EverySecondRefused | AwsFault::BatchWritesRefused) | None => {
                pass_on(&mut connection, moto, &request, state).await?
            }
        }
    }
    Ok(())
}

async fn pass_on(
    connection: &mut Connection,
    moto: Option<&str>,
    request: &Request,
    state: &Mutex<State>,
) -> io::Result<()> {
    let answer = carry_out(moto, request, state).await?;
    let kept: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-amz"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut bytes = head(answer.status, &kept, answer.body.len());
    bytes.extend_from_slice(&answer.body);
    connection.send(&bytes).await
}

async fn carry_out(moto: Option<&str>, request: &Request, state: &Mutex<State>) -> io::Result<Response> {
    if let Some(moto) = moto {
        return forward(moto, request).await;
    }
    let operation = request.header("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or_default();
    let parameters = serde_json::from_slice(&request.body).unwrap_or_default();
    let (status, answer) = lock(state).memory.answer(operation, &parameters);
    Ok(Response { status, headers: Vec::new(), body: answer.to_string().into_bytes() })
}

/// Sends a request on to moto, on a new connection.
async fn forward(moto: &str, request: &Request) -> io::Result<Response> {
    let mut stream = TcpStream::connect(moto).await?;
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
    for (name, value) in
        request.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "connection" | "content-length" | "host"))
    {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let rest = format!("host: {moto}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", request.body.len());
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(&request.body);
    stream.write_all(&bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse_response(&answer)
}
