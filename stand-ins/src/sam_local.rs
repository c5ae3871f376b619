//! The functions of the template in containers, by `sam local invoke` as in docs/operations.md. `.ci/container` starts the
//! engine that runs them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The SAM CLI, with an engine whose containers reach this host.
pub struct SamLocal {
    sam: PathBuf,
    host: Ipv4Addr,
}

impl SamLocal {
    /// With the SAM CLI at `sam`, and the address of this host that containers reach.
    pub fn new(sam: &Path, host: Ipv4Addr) -> Self {
        Self { sam: sam.to_owned(), host }
    }

    /// The address on which a server of this host's is reached at [`url`](Self::url).
    pub fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// The URL of a port of this host's, as a function in a container has to write it.
    pub fn url(&self, port: u16) -> String {
        format!("http://host.docker.internal:{port}")
    }

    /// Invokes a function of the template, by its logical id, with `events/<sample>.json`, and gives back its answer.
    /// `variables` are set beside those that switch off table and outbox, which exist after a deploy alone.
    ///
    /// The answer is standard output, all of it: a log line in there, or whatever else, is a panic.
    pub async fn invoke(&self, function: &str, sample: &str, variables: &[(&str, &str)]) -> Value {
        let (mut answer, mut log) = self.run(function, sample, variables).await;
        // On a busy machine AWS's emulator has been seen to refuse a function its first event. A function that can't start
        // fails the second time too.
        if answer.is_empty() && log.contains("Init failed") {
            (answer, log) = self.run(function, sample, variables).await;
        }
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{sample}: {error}: {answer}\n{log}"))
    }

    /// What an invocation leaves on standard output and on standard error.
    async fn run(&self, function: &str, sample: &str, variables: &[(&str, &str)]) -> (String, String) {
        let mut environment = json!({"STICKY_CALLS_TABLE": "", "STICKY_CALLS_OUTBOX_QUEUE_URL": ""});
        for (name, value) in variables {
            environment[name] = (*value).into();
        }
        let mut child = Command::new(&self.sam)
            .args(["local", "invoke", function])
            .args(["-e", &format!("events/{sample}.json")])
            .args(["--env-vars", "/dev/stdin"])
            .args(["--parameter-overrides", "Architecture=x86_64"])
            // The image is one of our own; and Docker on Linux has no name for the host unless it is told one.
            .args(["--skip-pull-image", "--add-host", "host.docker.internal:host-gateway"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .env("SAM_CLI_TELEMETRY", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.sam.display()));
        let environment = json!({"Parameters": environment}).to_string();
        child.stdin.take().expect("a pipe").write_all(environment.as_bytes()).await.expect("SAM reads its variables");
        let output = child.wait_with_output().await.expect("SAM ends");
        let [answer, log] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{sample}: {log}");
        (answer, log)
    }
}
