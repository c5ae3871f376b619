//! Processor time of one process: what it uses, and a share that it is held to, by Linux's control groups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROOT: &str = "/sys/fs/cgroup";

/// A share of one processor.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// What may be used in each period.
    pub quota: Duration,
    /// How long a period is.
    pub period: Duration,
}

impl Share {
    /// What Lambda gives a function of 128 MB: 128 of the 1,769 MB that [stand for one
    /// processor](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html), in periods of this length.
    /// How long Lambda's own are is not documented.
    pub fn of_128_mb(period: Duration) -> Self {
        Self { quota: period * 128 / 1_769, period }
    }
}

/// A control group. It goes away with this value, by when its process must have ended.
pub struct ControlGroup {
    folders: Vec<PathBuf>,
    /// The file that counts, and how to read it.
    counter: (PathBuf, fn(&str) -> Option<Duration>),
    /// The file that a process joins by.
    members: &'static str,
}

impl ControlGroup {
    /// Makes one, under either version of control groups.
    ///
    /// # Errors
    ///
    /// Where this user may not, or the kernel does not offer it.
    pub fn new(name: &str, share: Option<Share>) -> io::Result<Self> {
        if Path::new(ROOT).join("cgroup.controllers").exists() { Self::v2(name, share) } else { Self::v1(name, share) }
    }

    fn v1(name: &str, share: Option<Share>) -> io::Result<Self> {
        let [limits, counts] = ["cpu", "cpuacct"].map(|controller| Path::new(ROOT).join(controller).join(name));
        let in_nanoseconds = |text: &str| text.trim().parse().ok().map(Duration::from_nanos);
        let group = Self {
            counter: (counts.join("cpuacct.usage"), in_nanoseconds),
            folders: vec![limits.clone(), counts],
            members: "tasks",
        };
        group.make_folders()?;
        if let Some(share) = share {
            fs::write(limits.join("cpu.cfs_period_us"), share.period.as_micros().to_string())?;
            fs::write(limits.join("cpu.cfs_quota_us"), share.quota.as_micros().to_string())?;
        }
        Ok(group)
    }

    fn v2(name: &str, share: Option<Share>) -> io::Result<Self> {
        let folder = Path::new(ROOT).join(name);
        let in_microseconds = |text: &str| {
            let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
            usage.trim().parse().ok().map(Duration::from_micros)
        };
        let group = Self {
            counter: (folder.join("cpu.stat"), in_microseconds),
            folders: vec![folder.clone()],
            members: "cgroup.procs",
        };
        group.make_folders()?;
        if let Some(share) = share {
            fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+cpu")?;
            let limit = format!("{} {}", share.quota.as_micros(), share.period.as_micros());
            fs::write(folder.join("cpu.max"), limit)?;
        }
        Ok(group)
    }

    /// The folders may be the same one, where the kernel has both controllers in one place.
    fn make_folders(&self) -> io::Result<()> {
        self.folders.iter().try_for_each(fs::create_dir_all)
    }

    /// The files into which a process writes its id to join.
    pub fn doors(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join(self.members)).collect()
    }

    /// The processor time that was used in it so far.
    ///
    /// # Errors
    ///
    /// Where the kernel does not say.
    pub fn used(&self) -> io::Result<Duration> {
        let (file, read) = &self.counter;
        read(&fs::read_to_string(file)?).ok_or_else(|| io::Error::other("the kernel counts in another way"))
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
