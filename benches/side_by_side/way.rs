//! The ways of asking the API that are compared.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::events::{event, with_contact};
use stand_ins::runtime_api::{Outcome, RuntimeApi};

use crate::cpu::Share;
use crate::process::{Process, Program, Vitals};

/// Longer than anything takes that ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function that answers without asking anybody.
    Hello,
    /// No function at all, but the request alone.
    RawPost,
    /// Sticky Connect with the API alone.
    StickyConnect,
    /// Sticky Connect with outbox, cache and secret.
    StickyConnectWithAll,
    /// What the usual tutorial does, in Python.
    Tutorial,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello: a function in Rust that asks nobody",
            Self::RawPost => "raw POST: no function, reqwest alone",
            Self::StickyConnect => "**Sticky Connect**",
            Self::StickyConnectWithAll => "**Sticky Connect** with outbox, cache and secret",
            Self::Tutorial => "the usual tutorial in Python",
        }
    }
}

/// One way, and how it is started.
#[derive(Clone, Debug)]
pub struct Way {
    pub kind: Kind,
    pub program: Program,
}

impl Way {
    /// A function or program that is one file.
    pub fn of_binary(kind: Kind, binary: &Path, variables: &[(String, String)]) -> Self {
        Self { kind, program: Program { command: vec![binary.into()], variables: owned(variables) } }
    }

    /// Starts it and waits for its first answer.
    pub async fn start(&self, share: Option<Share>) -> io::Result<(Running, Duration)> {
        let runtime_api = if self.kind == Kind::RawPost { None } else { Some(RuntimeApi::start().await) };
        let mut program = self.program.clone();
        if let Some(runtime_api) = &runtime_api {
            program.variables.push(("AWS_LAMBDA_RUNTIME_API".to_owned(), runtime_api.address().into()));
        }
        let process = Process::prepare(&program, share).await?;
        let mut running = Running { kind: self.kind, process, runtime_api, first: Duration::ZERO };
        let began = running.process.start().await?;
        if running.runtime_api.is_some() {
            running.process.ignore_output();
        }
        let answer = running.once().await?;
        let took = began.elapsed();
        running.check(&answer);
        running.first = answer.took;
        Ok((running, took))
    }
}

/// A way that runs.
pub struct Running {
    kind: Kind,
    process: Process,
    runtime_api: Option<RuntimeApi>,
    /// How long its first answer took, by its own account where it has one.
    pub first: Duration,
}

/// One answer, and how long it took.
pub struct Answered {
    pub took: Duration,
    pub body: Vec<u8>,
}

impl Running {
    /// One call. The bare request says itself how long it took, so that nothing of this process is in it.
    pub async fn once(&mut self) -> io::Result<Answered> {
        let Some(runtime_api) = &self.runtime_api else {
            self.process.say().await?;
            let nanoseconds = self.process.hear().await?.parse().map_err(io::Error::other)?;
            return Ok(Answered { took: Duration::from_nanos(nanoseconds), body: Vec::new() });
        };
        let call = next_call();
        let began = Instant::now();
        match runtime_api.invoke(call, PATIENCE).await {
            Outcome::Answer(body) => Ok(Answered { took: began.elapsed(), body }),
            other => Err(io::Error::other(format!("{:?} answered with {other:?}", self.kind))),
        }
    }

    /// A way that is fast since it did not ask is not compared.
    pub fn check(&self, answer: &Answered) {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match self.kind {
            Kind::Hello | Kind::RawPost => {}
            Kind::StickyConnect | Kind::StickyConnectWithAll => {
                let came = (&answer["lookup_status"], &answer["lookup_source"]);
                assert_eq!(came, (&json!("matched"), &json!("api")), "{answer}");
            }
            Kind::Tutorial => assert_eq!(answer["match_found"], "true", "{answer}"),
        }
    }

    /// What the process has taken so far.
    pub fn vitals(&self) -> io::Result<Vitals> {
        self.process.vitals()
    }

    /// Ends it.
    pub async fn end(self) -> io::Result<()> {
        self.process.end().await
    }
}

/// The API takes each call once, and no call shall be one that the cache has an answer for: each is to another number of
/// ours.
fn next_call() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    let event = with_contact(event("returning_caller"), "/InitialContactId", format!("call {number}"));
    with_contact(event, "/SystemEndpoint/Address", format!("+1202{number:07}")).to_string()
}

/// Environment variables as a process takes them.
pub fn owned(variables: &[(String, String)]) -> Vec<(String, std::ffi::OsString)> {
    variables.iter().map(|(name, value)| (name.clone(), value.into())).collect()
}
