//! What Sticky Connect's tests and demo need around the function.
//!
//! - [`sticky_calls`]: the Sticky Calls API, with a memory and with faults to order
//! - [`aws`]: SQS, DynamoDB and Secrets Manager, by way of a moto server
//! - [`runtime_api`]: the Lambda Runtime API, one function at a time
//! - [`function`]: the real `bootstrap` process between the two
//! - [`stack`]: a function and the API it is configured for
//! - [`contact_centre`]: whole calls, played through the flows and the functions
//! - [`emulator`]: the same process under AWS's own runtime emulator
//! - [`sam_local`]: the functions of the template in containers, by `sam local invoke`
//! - [`build`]: the `bootstrap` binary, built by cargo
//! - [`events`]: the sample events of the repository
//! - [`log`]: what the function has printed
//! - [`flows`]: its contact flows: read, checked, drawn
//!
//! Servers listen on port 0 of the loopback address, or of the one that containers reach, inside the process that
//! started them.

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
