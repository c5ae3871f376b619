//! What is printed: a line for each check, and more where something is wrong.

use std::io::{self, Write};
use std::process::ExitCode;

/// What came of a check.
pub(crate) enum Finding {
    /// It is right, and this is what was seen.
    Right(String),
    Wrong(Trouble),
}

/// What is wrong.
pub(crate) struct Trouble {
    pub(crate) what: String,
    /// What follows for callers and agents.
    pub(crate) means: String,
    pub(crate) to_do: String,
    /// What AWS or the function's log says of it.
    pub(crate) more: Vec<String>,
}

/// The checks so far.
#[derive(Default)]
pub(crate) struct Findings {
    right: u32,
    wrong: u32,
    /// What was said that there is to do.
    to_do: Vec<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, check: &str, finding: Finding) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match finding {
            Finding::Right(seen) => {
                self.right += 1;
                writeln!(out, "ok     {check}: {seen}")
            }
            Finding::Wrong(trouble) => {
                self.wrong += 1;
                writeln!(out, "WRONG  {check}: {}", trouble.what)?;
                writeln!(out, "       It means: {}", trouble.means)?;
                if self.to_do.contains(&trouble.to_do) {
                    writeln!(out, "       To do: as above.")?;
                } else {
                    writeln!(out, "       To do: {}", trouble.to_do)?;
                    self.to_do.push(trouble.to_do);
                }
                trouble.more.iter().try_for_each(|more| writeln!(out, "       More: {more}"))
            }
        }
    }

    pub(crate) fn sum_up(&self) -> io::Result<ExitCode> {
        let Self { right, wrong, .. } = self;
        writeln!(io::stdout(), "\n{right} right, {wrong} wrong")?;
        Ok(if *wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Something to know that is neither right nor wrong.
pub(crate) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "note   {text}")
}
