//! The smoke command for after a deploy: asks the two functions of a stack as Connect would, looks whether Connect may, and
//! says plainly what is wrong.
//!
//! `cargo run --example smoke -- STACK_NAME`. Whatever follows the name is handed to every call of the `aws` command line,
//! which does the asking: `--region eu-central-1 --profile prod`. The exit code is 0 only where everything is right.
//!
//! It really asks the Sticky Calls API: it starts two calls of a fictional caller and ends one of them, with a number that
//! is [reserved for fiction](https://en.wikipedia.org/wiki/555_(telephone_number)) and a customer id that nobody has.
//!
//! - [`stack`]: is it deployed, and where are its functions
//! - [`call`]: the fictional call, and what the functions answer
//! - [`advice`]: what each reason means, and what to do about it
//! - [`connect`]: may the instance invoke the functions, and does it list them
//! - [`aws`]: the `aws` command line, and how it fails
//! - [`findings`]: what is printed
#![allow(clippy::indexing_slicing, reason = "a missing key of a JSON value reads as null")]

mod advice;
mod aws;
mod call;
mod connect;
mod findings;
mod stack;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use aws::Aws;
use call::Call;
use findings::{Findings, note};
use stack::Stack;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next().filter(|name| !name.starts_with('-')) else {
        writeln!(io::stderr(), "usage: cargo run --example smoke -- STACK_NAME [arguments for every aws call]")?;
        return Ok(ExitCode::from(2));
    };
    let aws = Aws::with(arguments.collect());
    let mut findings = Findings::default();
    if let Some(stack) = look_for(&name, &aws, &mut findings)? {
        call_it(&stack, &aws, &mut findings)?;
        look_at_connect(&stack, &aws, &mut findings)?;
    }
    Ok(findings.sum_up()?)
}

fn look_for(name: &str, aws: &Aws, findings: &mut Findings) -> io::Result<Option<Stack>> {
    let (finding, stack) = stack::look_for(name, aws);
    findings.add(&format!("stack {name}"), finding)?;
    Ok(stack)
}

/// Two lookups, of which the first may meet a function that has just started; then the end of the second call.
fn call_it(stack: &Stack, aws: &Aws, findings: &mut Findings) -> Result<(), Box<dyn Error>> {
    note(&format!(
        "This really asks the Sticky Calls API, about a caller who does not exist ({}, customer_id {}).",
        call::NUMBER,
        call::CUSTOMER_ID
    ))?;
    note(
        "It leaves that one caller in the API's memory, with two calls a run that were started and one of them ended; and \
         three invocations in logs, metrics and, where they fail, alarms.",
    )?;
    let by_number = Call::by_number()?;
    let (finding, _) = call::look_up(&by_number, aws, &stack.identify)?;
    findings.add("identify, by number", finding)?;
    let by_id = Call::by_id()?;
    let (finding, customer_ref) = call::look_up(&by_id, aws, &stack.identify)?;
    findings.add("identify, by number and id", finding)?;
    findings.add("save", call::save(&by_id, customer_ref, aws, &stack.save)?)?;
    Ok(())
}

fn look_at_connect(stack: &Stack, aws: &Aws, findings: &mut Findings) -> io::Result<()> {
    let Some(instance) = &stack.instance else {
        return note(
            "The stack has no ConnectInstanceArn: no Connect instance may invoke its functions. To change that, deploy again \
             with it.",
        );
    };
    findings.add("permission, identify", connect::permission(&stack.identify, instance, aws))?;
    findings.add("permission, save", connect::permission(&stack.save, instance, aws))?;
    findings.add("association", connect::association([&stack.identify, &stack.save], instance, aws))
}
