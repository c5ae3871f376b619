//! The functions of a release in containers, with `sam local invoke` as in docs/operations.md. `.ci/container` starts the
//! engine that runs them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The SAM CLI, with an engine whose containers can reach this host.
pub struct SamLocal {
    sam: PathBuf,
    release: PathBuf,
    host: Ipv4Addr,
}

impl SamLocal {
    /// Uses the SAM CLI at `sam`, and the unpacked release in the folder `release`. Containers reach this host at the
    /// address `host`.
    pub fn new(sam: &Path, release: &Path, host: Ipv4Addr) -> Self {
        Self { sam: sam.to_owned(), release: release.to_owned(), host }
    }

    /// The address on which a server must listen to be reached at [`url`](Self::url).
    pub fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// The URL at which a function in a container reaches a port of this host.
    pub fn url(&self, port: u16) -> String {
        format!("http://host.docker.internal:{port}")
    }

    /// Invokes a function of the template, by its logical id, with `events/<sample>.json`. Returns its answer, and what it
    /// and SAM have logged until the container has ended. `env.json` sets its variables, except those that `variables`
    /// replaces.
    ///
    /// # Panics
    ///
    /// If standard output holds anything but the answer, such as a log line.
    pub async fn invoke(&self, function: &str, sample: &str, variables: &[(&str, &str)]) -> (Value, String) {
        let (mut answer, mut log) = self.run(function, sample, variables).await;
        // On a busy machine AWS's emulator sometimes fails at the first event. A function that can't start fails the
        // second time too.
        if answer.is_empty() && log.contains("Init failed") {
            (answer, log) = self.run(function, sample, variables).await;
        }
        let answer = serde_json::from_str(&answer);
        (answer.unwrap_or_else(|error| panic!("{sample}: {error}\n{log}")), log)
    }

    /// Standard output and standard error of an invocation.
    async fn run(&self, function: &str, sample: &str, variables: &[(&str, &str)]) -> (String, String) {
        let file = std::fs::read_to_string(self.release.join("env.json")).expect("env.json");
        let mut environment: Value = serde_json::from_str(&file).expect("JSON");
        for (name, value) in variables {
            environment["Parameters"][name] = (*value).into();
        }
        let mut child = Command::new(&self.sam)
            .args(["local", "invoke", function])
            .args(["-e", &format!("events/{sample}.json")])
            .args(["--env-vars", "/dev/stdin"])
            .args(["--template", "template-x86_64.yaml"])
            // The image is our own, so it can't be pulled. On Linux, Docker has no name for the host unless one is
            // added.
            .args(["--skip-pull-image", "--add-host", "host.docker.internal:host-gateway"])
            .current_dir(&self.release)
            .env("SAM_CLI_TELEMETRY", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.sam.display()));
        let environment = environment.to_string();
        child.stdin.take().expect("a pipe").write_all(environment.as_bytes()).await.expect("SAM reads its variables");
        let output = child.wait_with_output().await.expect("SAM ends");
        let [answer, log] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{sample}: {log}");
        (answer, log)
    }
}
