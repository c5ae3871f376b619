//! A process that is measured from the moment it is started: its time, what it takes of processor and memory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cpu::{ControlGroup, Share};

/// Joins control groups, says so, and becomes the program on the next line of input. What a program costs begins there:
/// the shell's own share of it is the same for each of them.
const LAUNCHER: &str = r#"
    while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done
    shift
    echo ready
    read -r _ && exec "$@"
"#;

/// What is started.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The executable and its arguments.
    pub command: Vec<OsString>,
    /// All of its environment variables.
    pub variables: Vec<(String, OsString)>,
}

/// A program that is about to run, or runs.
pub struct Process {
    /// First, since its process has to be gone before its control group can go.
    child: Child,
    input: ChildStdin,
    output: Option<Lines<BufReader<ChildStdout>>>,
    group: Option<ControlGroup>,
    used_before: Duration,
}

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    /// The processor time, where the kernel counts it for us.
    pub cpu: Option<Duration>,
    /// The most memory that it ever had resident, in bytes.
    pub peak: u64,
    /// How often it touched a page of memory for the first time.
    pub page_faults: u64,
    /// How many threads it has.
    pub threads: u64,
}

/// Each process has a control group of its own, also where several run side by side.
fn next_group() -> String {
    static GROUPS: AtomicU64 = AtomicU64::new(0);
    format!("sticky-connect-{}-{}", std::process::id(), GROUPS.fetch_add(1, Ordering::Relaxed))
}

impl Process {
    /// Has everything ready for the program and does not start it yet.
    ///
    /// # Errors
    ///
    /// Where it can't be held to its share.
    pub async fn prepare(program: &Program, share: Option<Share>) -> io::Result<Self> {
        let group = match ControlGroup::new(&next_group(), share) {
            Ok(group) => Some(group),
            Err(_) if share.is_none() => None,
            Err(error) => return Err(error),
        };
        let doors = group.as_ref().map(ControlGroup::doors).unwrap_or_default();
        let mut child = Command::new("/bin/sh")
            .args(["-c", LAUNCHER, "sh"])
            .args(doors)
            .arg("--")
            .args(&program.command)
            .env_clear()
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        output.next_line().await?.ok_or_else(|| io::Error::other("the process could not join its control group"))?;
        // What the shell used of this period's share shall not be missing from the program's.
        if let Some(share) = share {
            tokio::time::sleep(2 * share.period).await;
        }
        let used_before = group.as_ref().and_then(|group| group.used().ok()).unwrap_or_default();
        Ok(Self { child, input, output: Some(output), group, used_before })
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// Where it is gone.
    pub async fn start(&mut self) -> io::Result<Instant> {
        let now = Instant::now();
        self.say().await?;
        Ok(now)
    }

    /// Gives it an empty line.
    ///
    /// # Errors
    ///
    /// Where it is gone.
    pub async fn say(&mut self) -> io::Result<()> {
        self.input.write_all(b"\n").await
    }

    /// The next line that it prints.
    ///
    /// # Errors
    ///
    /// Where it is gone.
    pub async fn hear(&mut self) -> io::Result<String> {
        let line = match &mut self.output {
            Some(output) => output.next_line().await?,
            None => None,
        };
        line.ok_or_else(|| io::Error::other("the process says nothing more"))
    }

    /// Takes what it prints from now on, and looks at none of it.
    pub fn ignore_output(&mut self) {
        if let Some(mut output) = self.output.take() {
            tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
        }
    }

    /// What it has taken so far.
    ///
    /// # Errors
    ///
    /// Where it is gone.
    pub fn vitals(&self) -> io::Result<Vitals> {
        let pid = self.child.id().ok_or_else(|| io::Error::other("the process has ended"))?;
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::read_to_string(folder.join("status"))?;
        let number = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        // After the name in parentheses, which may hold anything; see proc_pid_stat(5).
        let stat = fs::read_to_string(folder.join("stat"))?;
        let page_faults = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(7)?.parse().ok());
        let used = self.group.as_ref().and_then(|group| group.used().ok());
        Ok(Vitals {
            cpu: used.map(|used| used.saturating_sub(self.used_before)),
            peak: number("VmHWM:").unwrap_or_default() * 1024,
            page_faults: page_faults.unwrap_or_default(),
            threads: number("Threads:").unwrap_or_default(),
        })
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// Where it can't be ended.
    pub async fn end(mut self) -> io::Result<()> {
        self.child.kill().await
    }
}
