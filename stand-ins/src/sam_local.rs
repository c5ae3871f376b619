//! The functions of the template in containers, with `sam local invoke` as in docs/operations.md. `.ci/container`
//! starts the engine that runs them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The SAM CLI, with an engine whose containers can reach this host.
pub struct SamLocal {
    sam: PathBuf,
    host: Ipv4Addr,
}

impl SamLocal {
    /// Uses the SAM CLI at `sam`. Containers reach this host at the address `host`.
    pub fn new(sam: &Path, host: Ipv4Addr) -> Self {
        Self { sam: sam.to_owned(), host }
    }

    /// The address on which a server must listen to be reached at [`url`](Self::url).
    pub fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// The URL at which a function in a container reaches a port of this host.
    pub fn url(&self, port: u16) -> String {
        format!("http://host.docker.internal:{port}")
    }

    /// Invokes a function of the template, by its logical id, with `events/<sample>.json`, and returns its answer.
    /// Table and outbox exist only after a deploy, so they are switched off. `variables` are set too.
    ///
    /// # Panics
    ///
    /// If standard output holds anything but the answer, such as a log line.
    pub async fn invoke(&self, function: &str, sample: &str, variables: &[(&str, &str)]) -> Value {
        let (mut answer, mut log) = self.run(function, sample, variables).await;
        // On a busy machine AWS's emulator sometimes fails at the first event. A function that can't start fails the
        // second time too.
        if answer.is_empty() && log.contains("Init failed") {
            (answer, log) = self.run(function, sample, variables).await;
        }
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{sample}: {error}: {answer}\n{log}"))
    }

    /// Standard output and standard error of an invocation.
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
            // The image is our own, so it can't be pulled. On Linux, Docker has no name for the host unless one is
            // added.
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
