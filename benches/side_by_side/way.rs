//! The ways of asking the API that are compared, each a process that is measured from the moment it is started.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::events::{event, with_contact};
use stand_ins::runtime_api::{Outcome, RuntimeApi};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cpu::{ControlGroup, Share};

/// Longer than anything takes that ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Joins control groups, says so, and becomes the program on the next line of input. What a program costs begins there:
/// the shell's own share of it is the same for each of them.
const LAUNCHER: &str = r#"
    while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done
    shift
    echo ready
    read -r _ && exec "$@"
"#;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Hello,
    RawPost,
    StickyConnect,
    /// With outbox, table and secret.
    StickyConnectWithAll,
    Tutorial,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello: a function in Rust that asks nobody",
            Self::RawPost => "raw POST: no function, reqwest alone",
            Self::StickyConnect => "**Sticky Connect**",
            Self::StickyConnectWithAll => "**Sticky Connect** with outbox, table and secret",
            Self::Tutorial => "the usual tutorial in Python",
        }
    }
}

/// One way, and how it is started: with these environment variables and no others.
pub struct Way {
    pub kind: Kind,
    pub command: Vec<String>,
    pub variables: Vec<(String, String)>,
}

impl Way {
    /// Starts it and waits for its first answer.
    pub async fn start(&self, share: Option<Share>) -> Running {
        let runtime_api = if self.kind == Kind::RawPost { None } else { Some(RuntimeApi::start().await) };
        let address = runtime_api.as_ref().map(|runtime_api| ("AWS_LAMBDA_RUNTIME_API", runtime_api.address()));
        // Without a share it is for counting alone, and works without.
        let group = ControlGroup::new(share).map_or_else(
            |error| {
                assert!(share.is_none(), "{error}");
                None
            },
            Some,
        );
        let mut child = Command::new("/bin/sh")
            .args(["-c", LAUNCHER, "sh"])
            .args(group.iter().flat_map(|group| &group.doors))
            .arg("--")
            .args(&self.command)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        output.next_line().await.unwrap().unwrap();
        // What the shell used of this period's share must not be missing from the program's.
        if let Some(share) = share {
            tokio::time::sleep(2 * share.period).await;
        }
        let used_before = group.as_ref().map(ControlGroup::used).unwrap_or_default();
        let began = Instant::now();
        input.write_all(b"\n").await.unwrap();
        let output = if runtime_api.is_none() { Some(output) } else { ignore(output) };
        let mut running = Running {
            kind: self.kind,
            child,
            input,
            output,
            runtime_api,
            group,
            used_before,
            first_request: Duration::ZERO,
            first_answer: Duration::ZERO,
        };
        running.first_request = running.call().await;
        running.first_answer = began.elapsed();
        running
    }
}

/// Reads a function's log, and looks at none of it.
fn ignore(mut output: Lines<BufReader<ChildStdout>>) -> Option<Lines<BufReader<ChildStdout>>> {
    tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
    None
}

/// A way that runs.
pub struct Running {
    kind: Kind,
    /// Before its control group, which can go when the process is gone.
    child: Child,
    input: ChildStdin,
    output: Option<Lines<BufReader<ChildStdout>>>,
    runtime_api: Option<RuntimeApi>,
    group: Option<ControlGroup>,
    used_before: Duration,
    /// How long its first request took, and how long that was after its start.
    pub first_request: Duration,
    pub first_answer: Duration,
}

impl Running {
    /// One call, and how long it took. The raw POST says so itself: nothing of this process is in it.
    pub async fn call(&mut self) -> Duration {
        if let Some(output) = &mut self.output {
            self.input.write_all(b"\n").await.unwrap();
            return Duration::from_nanos(output.next_line().await.unwrap().unwrap().parse().unwrap());
        }
        let runtime_api = self.runtime_api.as_ref().unwrap();
        let call = next_call();
        let began = Instant::now();
        let outcome = runtime_api.invoke(call, PATIENCE).await;
        let took = began.elapsed();
        let Outcome::Answer(answer) = outcome else { panic!("{:?}: {outcome:?}", self.kind) };
        // A way that is fast since it did not ask is not compared.
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        match self.kind {
            Kind::Hello | Kind::RawPost => {}
            Kind::StickyConnect | Kind::StickyConnectWithAll => {
                let came = (&answer["lookup_status"], &answer["lookup_source"]);
                assert_eq!(came, (&json!("matched"), &json!("api")), "{answer}");
            }
            Kind::Tutorial => assert_eq!(answer["match_found"], "true", "{answer}"),
        }
        took
    }

    /// The processor time that it has used, if the kernel counts it for us.
    pub fn cpu(&self) -> Option<Duration> {
        self.group.as_ref().map(|group| group.used().saturating_sub(self.used_before))
    }

    /// A number of proc_pid_status(5).
    pub fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let rest = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub async fn end(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// The API takes each call once, and no call may be one that the cache has an answer for: each is to another number of
/// ours.
fn next_call() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    let event = with_contact(event("returning_caller"), "/InitialContactId", format!("call {number}"));
    with_contact(event, "/SystemEndpoint/Address", format!("+1202{number:07}")).to_string()
}
