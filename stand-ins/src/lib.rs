//! Stand-ins for everything around the function, for Sticky Connect's tests and demo.
//!
//! - [`sticky_calls`]: the Sticky Calls API, which remembers customers and injects faults; `src/bin/` has it as a program
//! - [`aws`]: SQS, DynamoDB and Secrets Manager, in front of a moto server, with faults
//! - [`runtime_api`]: the Lambda Runtime API for one function
//! - [`function`]: the real `bootstrap` process
//! - [`stack`]: a function and its Sticky Calls API
//! - [`contact_centre`]: whole calls, played through the flows and the functions
//! - [`emulator`]: the `bootstrap` process under AWS's own runtime emulator
//! - [`sam_local`]: the functions of the template in containers, with `sam local invoke`
//! - [`build`]: the `bootstrap` binary, built by cargo
//! - [`events`]: the sample events of the repository
//! - [`log`]: the lines that the function has printed
//! - [`flows`]: the contact flows: reads, checks and draws them
//!
//! Servers run inside the process that started them. They listen on port 0 of the loopback address, or of the address
//! that containers reach.

pub mod aws;
pub mod build;
pub mod contact_centre;
pub mod emulator;
pub mod events;
pub mod flows;
pub mod function;
mod http;
pub mod log;
pub mod runtime_api;
pub mod sam_local;
pub mod stack;
pub mod sticky_calls;
