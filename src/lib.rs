//! Sticky Connect: a memory for Amazon Connect.
//!
//! One `bootstrap` binary, deployed as two AWS Lambda functions. When a call starts, *identify* asks the Sticky Calls
//! API who is calling and hands the contact flow flat `$.External` attributes; when it ends, *save* tells the API what
//! happened, so that the next call starts from it. Whatever goes wrong, the flow gets a valid answer in time.
//!
//! An invocation walks through the modules in this order:
//!
//! - [`runtime`]: process start; the Lambda Runtime API on one side, [`app`] on the other
//! - [`app`]: one invocation: the budget, the panic guard, the log line
//! - [`dispatch`]: which handler an event reaches
//! - [`start_call`], [`end_call`]: the two handlers; the only place where Connect's terms become the API's and back
//! - [`identity`]: the identity hints that both handlers send
//! - [`connect`]: Amazon Connect's edge: the contact in an event, the attributes in an answer
//! - [`sticky_calls`]: the Sticky Calls API's edge: requests, answers, errors, retry, connection
//! - [`aws`]: AWS's edge: SQS, DynamoDB and Secrets Manager
//!
//! and leans on: [`batch`] (many items in bounded time), [`config`] (environment variables), [`budget`] (time), [`answer`] and [`reason`] (what a handler hands
//! back, and the codes), [`card_numbers`] (masking), [`json`] (lenient reading), [`logging`].

pub mod answer;
pub mod app;
pub mod aws;
pub mod batch;
pub mod budget;
pub mod card_numbers;
pub mod config;
pub mod connect;
pub mod dispatch;
pub mod end_call;
pub mod identity;
pub mod json;
pub mod logging;
pub mod reason;
pub mod runtime;
pub mod start_call;
pub mod sticky_calls;
