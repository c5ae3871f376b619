//! The `bootstrap` that AWS Lambda starts; everything is in the library.

use std::io::Write;
use std::process::ExitCode;

use sticky_connect::runtime::{self, Error};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    // One thread, since a function has one invocation at a time. The clock is looked at between any two steps, and not
    // after 61 as usual: an API that never stops sending would keep the deadline from being noticed.
    let tokio = Builder::new_current_thread().enable_all().event_interval(1).build();
    match tokio.map_err(Error::Tokio).and_then(|tokio| tokio.block_on(runtime::run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Error::NotInLambda { .. } = error {
                // For the person at the terminal; in Lambda every line is a log line.
                let _ = writeln!(std::io::stderr(), "{error}");
            }
            ExitCode::FAILURE
        }
    }
}
