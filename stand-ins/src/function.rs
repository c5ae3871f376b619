//! The real `bootstrap` process, as Lambda runs it: it has only Lambda's variables and those of the test, it is invoked
//! over the Runtime API, and its output is collected.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::runtime_api::{Outcome, RuntimeApi};

/// Lambda's time-out unless a test gives another one: the template's for the identify function.
pub const LAMBDA_TIMEOUT: Duration = Duration::from_secs(5);

/// A running function.
pub struct Function {
    child: Child,
    runtime_api: RuntimeApi,
    output: [Output; 2],
}

/// The output from a pipe of the process.
struct Output {
    so_far: Arc<Mutex<Vec<u8>>>,
    end: JoinHandle<()>,
}

impl Output {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.so_far.lock().expect("no panic")).into_owned()
    }
}

impl Function {
    /// Starts `bootstrap` with Lambda's environment variables and these.
    pub async fn start(bootstrap: impl AsRef<Path>, variables: &[(&str, &str)]) -> Self {
        let runtime_api = RuntimeApi::start().await;
        let mut child = Command::new(bootstrap.as_ref())
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "sticky-connect")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("_HANDLER", "bootstrap")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", bootstrap.as_ref().display()));
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        Self { child, runtime_api, output: [stdout, stderr] }
    }

    /// Invokes it and returns its answer as JSON. Panics on anything else: Connect would take the block's Error branch.
    pub async fn invoke(&mut self, event: &Value) -> Value {
        let answer = self.invoke_bytes(event.to_string()).await;
        serde_json::from_slice(&answer).expect("the answer is JSON")
    }

    /// The same with any bytes as payload. Returns the answer unchanged.
    pub async fn invoke_bytes(&mut self, payload: impl Into<Vec<u8>>) -> Vec<u8> {
        match self.outcome(payload, LAMBDA_TIMEOUT).await {
            Outcome::Answer(body) => body,
            other => panic!("the flow would see {other:?}"),
        }
    }

    /// Invokes it with this time-out and returns the outcome.
    pub async fn outcome(&mut self, payload: impl Into<Vec<u8>>, lambda_timeout: Duration) -> Outcome {
        tokio::select! {
            outcome = self.runtime_api.invoke(payload, lambda_timeout) => outcome,
            status = self.child.wait() => panic!("the process ended: {status:?}"),
        }
    }

    /// The same with this deadline in the header, in milliseconds since 1970.
    pub async fn outcome_until(&mut self, payload: impl Into<Vec<u8>>, deadline_ms: u128) -> Outcome {
        tokio::select! {
            outcome = self.runtime_api.invoke_until(payload, LAMBDA_TIMEOUT, deadline_ms) => outcome,
            status = self.child.wait() => panic!("the process ended: {status:?}"),
        }
    }

    /// Its process id, if it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops it and returns everything it has printed.
    pub async fn stop(mut self) -> String {
        self.child.kill().await.expect("the process runs");
        for output in &mut self.output {
            (&mut output.end).await.expect("the output is read");
        }
        self.printed()
    }

    /// Waits until it asks for the invocation after the last one.
    pub async fn waits(&self) {
        self.runtime_api.is_asked_for_the_next().await;
    }

    /// Ends the Runtime API, as Lambda and AWS's emulator do with an environment. Returns how the process ended, and
    /// everything it has printed.
    pub async fn end_environment(self) -> (ExitStatus, String) {
        let Self { mut child, runtime_api, output } = self;
        drop(runtime_api);
        let status = child.wait().await.expect("the process ends");
        let mut printed = String::new();
        for Output { so_far, end } in output {
            end.await.expect("the output is read");
            printed += &String::from_utf8_lossy(&so_far.lock().expect("no panic"));
        }
        (status, printed)
    }

    /// What it has printed so far. A line from before its answer may still be missing.
    pub fn printed(&self) -> String {
        self.output.iter().map(Output::text).collect()
    }
}

fn collect(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Output {
    let so_far = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&so_far);
    let end = tokio::spawn(async move {
        let mut bytes = Vec::new();
        // A broken pipe counts as a closed one.
        while pipe.read_buf(&mut bytes).await.is_ok_and(|length| length > 0) {
            shared.lock().expect("no panic").append(&mut bytes);
        }
    });
    Output { so_far, end }
}
