//! Processor time of one process: what it uses, and a share that it is held to, by Linux's control groups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const ROOT: &str = "/sys/fs/cgroup";

/// A share of one processor: what may be used in each period.
#[derive(Clone, Copy)]
pub struct Share {
    pub quota: Duration,
    pub period: Duration,
}

impl Share {
    /// What Lambda gives a function of 128 MB: 128 of the 1,769 MB that [stand for one
    /// processor](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html), in periods of this length.
    pub fn of_128_mb(period: Duration) -> Self {
        Self { quota: period * 128 / 1_769, period }
    }
}

/// A control group. It goes away with this value, by when its process must have ended.
pub struct ControlGroup {
    folders: Vec<PathBuf>,
    /// The file that says how much was used.
    counter: PathBuf,
    /// The files into which a process writes its id to join.
    pub doors: Vec<PathBuf>,
}

impl ControlGroup {
    /// Makes one, under either version of control groups. Fails if this user may not, or if the kernel has none.
    pub fn new(share: Option<Share>) -> io::Result<Self> {
        static GROUPS: AtomicU64 = AtomicU64::new(0);
        let name = format!("sticky-connect-{}-{}", std::process::id(), GROUPS.fetch_add(1, Ordering::Relaxed));
        let is_v2 = Path::new(ROOT).join("cgroup.controllers").exists();
        let controllers: &[&str] = if is_v2 { &[""] } else { &["cpu", "cpuacct"] };
        let folders: Vec<_> =
            controllers.iter().map(|controller| Path::new(ROOT).join(controller).join(&name)).collect();
        // Both controllers may be in one place.
        folders.iter().try_for_each(fs::create_dir_all)?;
        let (limits, counts) = (&folders[0], &folders[folders.len() - 1]);
        let group = Self {
            counter: counts.join(if is_v2 { "cpu.stat" } else { "cpuacct.usage" }),
            doors: folders.iter().map(|folder| folder.join(if is_v2 { "cgroup.procs" } else { "tasks" })).collect(),
            folders: folders.clone(),
        };
        if let Some(Share { quota, period }) = share {
            let [quota, period] = [quota, period].map(|time| time.as_micros().to_string());
            if is_v2 {
                fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+cpu")?;
                fs::write(limits.join("cpu.max"), format!("{quota} {period}"))?;
            } else {
                fs::write(limits.join("cpu.cfs_period_us"), period)?;
                fs::write(limits.join("cpu.cfs_quota_us"), quota)?;
            }
        }
        Ok(group)
    }

    /// The processor time that was used in it so far.
    pub fn used(&self) -> Duration {
        let text = fs::read_to_string(&self.counter).unwrap();
        match text.lines().find_map(|line| line.strip_prefix("usage_usec ")) {
            Some(microseconds) => Duration::from_micros(microseconds.parse().unwrap()),
            None => Duration::from_nanos(text.trim().parse().unwrap()),
        }
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            // Gone with the other, or not empty yet: neither is worth ending a measurement for.
            let _ = fs::remove_dir(folder);
        }
    }
}
