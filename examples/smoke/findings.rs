//! What is printed: a line for each check, and more where something is wrong.

use std::error::Error;
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
                writeln!(out, "       To do: {}", trouble.to_do)?;
                trouble.more.iter().try_for_each(|more| writeln!(out, "       More: {more}"))
            }
        }
    }

    pub(crate) fn sum_up(&self) -> Result<ExitCode, Box<dyn Error>> {
        let Self { right, wrong } = self;
        if *wrong == 0 {
            writeln!(io::stdout(), "\nAll {right} checks are right.")?;
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(io::stdout(), "\n{wrong} of {} checks are wrong.", right + wrong)?;
        Ok(ExitCode::FAILURE)
    }
}

/// Something to know that is neither right nor wrong.
pub(crate) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "note   {text}")
}
