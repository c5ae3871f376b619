//! A deployed stack as the `aws` command line sees it: CloudFormation, Lambda and Connect behind one endpoint, as far as
//! the smoke command asks them. Behind the two functions there are real `bootstrap` processes, or the error that is
//! ordered.
//!
//! The forms are those of the services' API references:
//! [DescribeStacks](https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html),
//! [Invoke](https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html),
//! [GetPolicy](https://docs.aws.amazon.com/lambda/latest/api/API_GetPolicy.html) and
//! [ListLambdaFunctions](https://docs.aws.amazon.com/connect/latest/APIReference/API_ListLambdaFunctions.html).

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::function::{Function, LAMBDA_TIMEOUT};
use crate::http::{Connection, Request, response};
use crate::runtime_api::Outcome;

/// The name of the stack.
pub const STACK: &str = "sticky-connect";

/// The instance that the stack was deployed for.
pub const INSTANCE: &str = "arn:aws:connect:eu-central-1:123456789012:instance/c8c0e68d-2200-4265-82c0-3f5d1e0b9a11";

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Identify,
    Save,
}

impl Which {
    /// The ARN of its alias.
    pub fn arn(self) -> &'static str {
        match self {
            Self::Identify => {
                "arn:aws:lambda:eu-central-1:123456789012:function:sticky-connect-IdentifyFunction-1a2b3c:live"
            }
            Self::Save => "arn:aws:lambda:eu-central-1:123456789012:function:sticky-connect-SaveFunction-1a2b3c:live",
        }
    }
}

/// What is behind a function's ARN.
pub enum Code {
    /// The process.
    Runs(Box<Function>),
    /// Lambda reports an error of the function, with this payload.
    Fails(Value),
    /// Lambda refuses to invoke it, with this status, code and message.
    Refused(u16, &'static str, &'static str),
}

/// The stack, and how well it is.
pub struct Deployed {
    pub status: &'static str,
    pub outputs: Vec<(&'static str, String)>,
    /// The resource-based policies.
    pub identify_policy: Option<Value>,
    pub save_policy: Option<Value>,
    /// The functions that the instance knows.
    pub associated: Vec<String>,
    /// Services that answer every request with this code and message, by the name that requests are signed for.
    pub refusing: Vec<(&'static str, &'static str, &'static str)>,
}

impl Default for Deployed {
    /// As it is after a deploy that went well.
    fn default() -> Self {
        Self {
            status: "CREATE_COMPLETE",
            outputs: vec![
                ("IdentifyFunctionArn", Which::Identify.arn().to_owned()),
                ("SaveFunctionArn", Which::Save.arn().to_owned()),
                ("ConnectInstanceArn", INSTANCE.to_owned()),
                ("DashboardName", "sticky-connect".to_owned()),
            ],
            identify_policy: Some(policy(Which::Identify, INSTANCE)),
            save_policy: Some(policy(Which::Save, INSTANCE)),
            associated: vec![Which::Identify.arn().to_owned(), Which::Save.arn().to_owned()],
            refusing: Vec::new(),
        }
    }
}

/// A policy as Lambda writes it for a permission that names an instance and its account.
pub fn policy(which: Which, instance: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [{
            "Sid": "sticky-connect-Permission-1a2b3c",
            "Effect": "Allow",
            "Principal": {"Service": "connect.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": which.arn(),
            "Condition": {
                "StringEquals": {"AWS:SourceAccount": instance.split(':').nth(4).unwrap_or_default()},
                "ArnLike": {"AWS:SourceArn": instance},
            },
        }],
    })
}

struct Account {
    /// `None` where the account has no such stack.
    stack: Option<Deployed>,
    invoked: Vec<(Which, Value)>,
}

struct Shared {
    account: Mutex<Account>,
    identify: tokio::sync::Mutex<Code>,
    save: tokio::sync::Mutex<Code>,
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("no panic while it is held")
    }
}

/// The stand-in.
pub struct ControlPlane {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl ControlPlane {
    /// Starts with this code behind the two functions.
    pub async fn start(stack: Option<Deployed>, identify: Code, save: Code) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            account: Mutex::new(Account { stack, invoked: Vec::new() }),
            identify: tokio::sync::Mutex::new(identify),
            save: tokio::sync::Mutex::new(save),
        });
        let for_server = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&for_server)));
            }
        });
        Self { address, shared, server }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The events that the functions were invoked with.
    pub fn invoked(&self) -> Vec<(Which, Value)> {
        self.shared.account().invoked.clone()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Ends with the connection; what the other side makes of it is what is tested.
    let _ = serve_requests(Connection::new(stream), &shared).await;
}

async fn serve_requests(mut connection: Connection, shared: &Shared) -> io::Result<()> {
    while let Some(request) = connection.request().await? {
        let answer = answer(&request, shared).await;
        connection.send(&answer).await?;
    }
    Ok(())
}

async fn answer(request: &Request, shared: &Shared) -> Vec<u8> {
    let path = unescaped(&request.path);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let service = signed_for(request).unwrap_or_default();
    let refusing = shared.account().stack.as_ref().and_then(|stack| {
        stack.refusing.iter().find(|(refusing, ..)| *refusing == service).map(|(_, code, message)| (*code, *message))
    });
    match (service, refusing) {
        ("cloudformation", Some((code, message))) => query_error(403, code, message),
        (_, Some((code, message))) => rest_error(403, code, message),
        ("cloudformation", None) => describe_stacks(&request.body, shared.account().stack.as_ref()),
        ("lambda", None) => lambda(request, path, shared).await,
        ("connect", None) => list_lambda_functions(path, query, shared.account().stack.as_ref()),
        _ => rest_error(404, "UnknownOperationException", "nothing like this is asked by the smoke command"),
    }
}

/// The service in the scope of a signature: `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn signed_for(request: &Request) -> Option<&str> {
    request.header("authorization")?.split('/').nth(3)
}

fn unescaped(path: &str) -> String {
    path.replace("%3A", ":").replace("%2F", "/").replace("%24", "$").replace("%3D", "=")
}

/// An error as the query protocol has it.
fn query_error(status: u16, code: &str, message: &str) -> Vec<u8> {
    let body = format!(
        "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1a2b3c</RequestId></ErrorResponse>"
    );
    response(status, &[], body.as_bytes())
}

/// An error as the REST-JSON protocol has it.
fn rest_error(status: u16, code: &str, message: &str) -> Vec<u8> {
    let body = json!({"Type": "User", "Message": message}).to_string();
    response(status, &[("x-amzn-errortype", code)], body.as_bytes())
}

fn describe_stacks(form: &[u8], stack: Option<&Deployed>) -> Vec<u8> {
    let form = String::from_utf8_lossy(form);
    let name = form.split('&').find_map(|pair| pair.strip_prefix("StackName=")).unwrap_or_default();
    let Some(stack) = stack.filter(|_| name == STACK && form.contains("Action=DescribeStacks")) else {
        return query_error(400, "ValidationError", &format!("Stack with id {name} does not exist"));
    };
    let outputs: String = stack
        .outputs
        .iter()
        .map(|(name, value)| {
            format!("<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>")
        })
        .collect();
    let body = format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
         <DescribeStacksResult><Stacks><member><StackName>{STACK}</StackName>\
         <StackId>arn:aws:cloudformation:eu-central-1:123456789012:stack/{STACK}/1a2b3c</StackId>\
         <CreationTime>2026-02-07T10:30:00.000Z</CreationTime><StackStatus>{}</StackStatus>\
         <DisableRollback>false</DisableRollback><Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult>\
         <ResponseMetadata><RequestId>1a2b3c</RequestId></ResponseMetadata></DescribeStacksResponse>",
        stack.status
    );
    response(200, &[], body.as_bytes())
}

async fn lambda(request: &Request, path: &str, shared: &Shared) -> Vec<u8> {
    let asked = path.strip_prefix("/2015-03-31/functions/").and_then(|rest| rest.rsplit_once('/'));
    let known = asked.and_then(|(arn, what)| {
        [Which::Identify, Which::Save].into_iter().find(|which| which.arn() == arn).map(|which| (which, what))
    });
    match known {
        Some((which, "policy")) => get_policy(which, shared.account().stack.as_ref()),
        Some((which, "invocations")) => {
            let event = serde_json::from_slice(&request.body).unwrap_or_default();
            shared.account().invoked.push((which, event));
            let code = if which == Which::Identify { &shared.identify } else { &shared.save };
            invoke(&mut *code.lock().await, &request.body).await
        }
        _ => rest_error(404, "ResourceNotFoundException", "Function not found"),
    }
}

fn get_policy(which: Which, stack: Option<&Deployed>) -> Vec<u8> {
    let policy = stack.and_then(|stack| match which {
        Which::Identify => stack.identify_policy.as_ref(),
        Which::Save => stack.save_policy.as_ref(),
    });
    let Some(policy) = policy else {
        let message = "The resource you requested does not exist.";
        return rest_error(404, "ResourceNotFoundException", message);
    };
    response(200, &[], json!({"Policy": policy.to_string(), "RevisionId": "1a2b3c"}).to_string().as_bytes())
}

async fn invoke(code: &mut Code, payload: &[u8]) -> Vec<u8> {
    let (outcome, log) = match code {
        Code::Refused(status, code, message) => return rest_error(*status, code, message),
        Code::Fails(payload) => (Outcome::Error(payload.to_string().into_bytes()), String::new()),
        Code::Runs(function) => {
            let before = function.printed().len();
            let outcome = function.outcome(payload, LAMBDA_TIMEOUT).await;
            (outcome, log_since(function, before).await)
        }
    };
    let log = STANDARD.encode(last_4_kib(&log));
    let headers = [("X-Amz-Executed-Version", "7"), ("X-Amz-Log-Result", log.as_str())];
    let as_error = [headers[0], headers[1], ("X-Amz-Function-Error", "Unhandled")];
    match outcome {
        Outcome::Answer(body) => response(200, &headers, &body),
        Outcome::Error(body) => response(200, &as_error, &body),
        Outcome::TimedOut => {
            let message =
                format!("RequestId: 1a2b3c Error: Task timed out after {:.2} seconds", LAMBDA_TIMEOUT.as_secs_f64());
            let body = json!({"errorType": "Sandbox.Timedout", "errorMessage": message}).to_string();
            response(200, &as_error, body.as_bytes())
        }
    }
}

/// What the function has logged of one invocation: up to its last line, which may still be on its way when the answer is
/// here.
async fn log_since(function: &Function, before: usize) -> String {
    let began = Instant::now();
    loop {
        let log = function.printed().split_off(before);
        if log.contains("\"answered\"") || began.elapsed() > Duration::from_secs(1) {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// As much of a log as Lambda hands back.
fn last_4_kib(log: &str) -> &[u8] {
    let bytes = log.as_bytes();
    &bytes[bytes.len().saturating_sub(4_096)..]
}

/// One function a page, so that whoever asks has to turn it.
fn list_lambda_functions(path: &str, query: &str, stack: Option<&Deployed>) -> Vec<u8> {
    let instance = INSTANCE.rsplit_once('/').map(|(_, id)| id).unwrap_or_default();
    let Some(stack) = stack.filter(|_| path == format!("/instance/{instance}/lambda-functions")) else {
        return rest_error(404, "ResourceNotFoundException", "Instance not found");
    };
    let token = query.split('&').find_map(|pair| pair.strip_prefix("nextToken="));
    let page: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let next = (page + 1 < stack.associated.len()).then(|| (page + 1).to_string());
    let functions: Vec<_> = stack.associated.get(page).into_iter().collect();
    response(200, &[], json!({"LambdaFunctions": functions, "NextToken": next}).to_string().as_bytes())
}
