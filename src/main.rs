//! The `bootstrap` that AWS Lambda starts; everything is in the library.

use std::io::Write;
use std::process::ExitCode;

use sticky_connect::runtime::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match runtime::run().await {
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
