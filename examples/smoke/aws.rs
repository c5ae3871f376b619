//! The `aws` command line, version 1 or 2, with the credentials, region and profile that the operator is used to.

use std::io;
use std::process::{Command, Output, Stdio};

use serde::de::DeserializeOwned;

use crate::findings::Trouble;

/// How a call of the command line fails.
pub(crate) enum Error {
    /// There is no `aws` on the PATH.
    NotInstalled,
    /// It could not be started for another reason.
    NotStarted(io::Error),
    /// It has no credentials, or AWS does not take them.
    Credentials(String),
    /// It does not know which region to ask.
    Region(String),
    /// It does not reach AWS.
    Unreachable(String),
    /// AWS does not allow it.
    Denied(String),
    /// AWS refuses it with a code.
    Refused { code: String, said: String },
    /// Anything else that it said.
    Other(String),
}

/// The command line.
pub(crate) struct Aws {
    /// What the operator wants every call to have.
    arguments: Vec<String>,
}

impl Aws {
    pub(crate) fn with(arguments: Vec<String>) -> Self {
        Self { arguments }
    }

    /// Asks, and reads the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, Error> {
        read(self.command(arguments).output())
    }

    /// The same without the tries that it would make again by itself: the functions shall not be asked the same thing twice.
    pub(crate) fn ask_once<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, Error> {
        read(self.command(arguments).env("AWS_MAX_ATTEMPTS", "1").output())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("aws");
        // Ours come last, for of two values the last one counts.
        command.args(&self.arguments).args(arguments).args(["--output", "json"]);
        // Nothing that waits for a key.
        command.env("AWS_PAGER", "").env("AWS_CLI_AUTO_PROMPT", "off").stdin(Stdio::null());
        command
    }
}

fn read<T: DeserializeOwned>(output: io::Result<Output>) -> Result<T, Error> {
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotInstalled,
        _ => Error::NotStarted(error),
    })?;
    if !output.status.success() {
        return Err(Error::read(&String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Error::Other(format!("its answer can't be read: {error}")))
}

impl Error {
    /// Reads what the command line has printed. Its exit codes say less, and differ between its versions.
    fn read(printed: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| printed.contains(word));
        // Before the line that says it there may be a whole page on how to use the command.
        let mut lines = printed.lines().map(str::trim).filter(|line| !line.is_empty());
        let said = lines.clone().find(|line| code(line).is_some()).or_else(|| lines.next_back());
        let said = said.unwrap_or_default().to_owned();
        if let Some(code) = code(&said) {
            return match code.as_str() {
                "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Self::Denied(said),
                "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "RequestExpired"
                | "SignatureDoesNotMatch"
                | "UnrecognizedClientException" => Self::Credentials(said),
                _ => Self::Refused { code, said },
            };
        }
        if has(&["specify a region"]) {
            Self::Region(said)
        } else if has(&["credentials", "config profile", "SSO", "token", "Token"]) {
            Self::Credentials(said)
        } else if has(&["Could not connect", "imeout on endpoint", "Connection was closed", "proxy", "SSL validation"])
        {
            Self::Unreachable(said)
        } else {
            Self::Other(said)
        }
    }

    /// What to tell the operator who wanted to `do_what`, where nothing more is known of it.
    pub(crate) fn trouble(self, do_what: &str) -> Trouble {
        let (what, to_do, said) = match self {
            Self::NotInstalled => (
                "there is no aws command line on the PATH".to_owned(),
                "Install it, as https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html says.",
                None,
            ),
            Self::NotStarted(error) => (
                "the aws command line could not be started".to_owned(),
                "See that `aws --version` works in this shell.",
                Some(error.to_string()),
            ),
            Self::Credentials(said) => (
                "the aws command line has no credentials that AWS takes".to_owned(),
                "Log in as for `sam deploy` (`aws sso login`, `aws configure`), or add `--profile NAME` after the stack's name.",
                Some(said),
            ),
            Self::Region(said) => (
                "the aws command line does not know the region".to_owned(),
                "Add `--region REGION` after the stack's name.",
                Some(said),
            ),
            Self::Unreachable(said) => (
                "AWS can't be reached from this machine".to_owned(),
                "Look at this machine's network and proxy, and at the region's name.",
                Some(said),
            ),
            Self::Denied(said) => (
                format!("you may not {do_what}"),
                "This is about your own permissions in AWS, not the functions'. Have it allowed, or use another profile.",
                Some(said),
            ),
            Self::Refused { code, said } => (
                format!("AWS would not {do_what} ({code})"),
                "What it said has the cause; where it is too many requests or a fault of AWS's, try again.",
                Some(said),
            ),
            Self::Other(said) => {
                (format!("the aws command line could not {do_what}"), "What it said has the cause.", Some(said))
            }
        };
        let means = "This is not checked, so it may be right or wrong.".to_owned();
        Trouble { what, means, to_do: to_do.to_owned(), more: said.into_iter().collect() }
    }
}

/// The code in `An error occurred (<code>) when calling the <operation> operation: <message>`.
fn code(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("An error occurred (")?;
    rest.split_once(')').map(|(code, _)| code.to_owned())
}
