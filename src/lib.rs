//! Sticky Connect: a memory for Amazon Connect.
//!
//! One `bootstrap` binary, deployed as two AWS Lambda functions. When a call starts, *identify* asks the Sticky Calls
//! API who is calling and hands the contact flow flat `$.External` attributes; when it ends, *save* tells the API what
//! happened, so that the next call starts from it. Whatever goes wrong, the flow gets a valid answer in time.
//!
//! An invocation passes through the modules in this order. No module imports one from above:
//!
//! - [`runtime`]: process start; the Lambda Runtime API on one side, [`app`] on the other
//! - [`app`]: one invocation: the budget, panics, one log line, one line of metrics
//! - [`dispatch`]: which handler an event reaches
//! - [`handlers`]: start and end of a call for a flow; a stream's records and redelivery in batches
//! - [`lookup`]: asks who is calling: the cache, then the API
//! - [`delivery`]: delivers a summary: to the API, else to the outbox; a stream's records in their [`turn`]
//! - [`services`]: what these use: the API with its key and circuit breaker, the cache, the ledger, the outbox, the
//!   halves that wait to be paired
//! - [`identity`], [`summary`]: who the caller is; what a call leaves
//! - [`telemetry`]: log lines, metrics, and the report that they are made of
//! - [`config`]: the environment variables
//!
//! Three modules are the edges. None of them imports another, nor anything above:
//!
//! - [`connect`]: Amazon Connect: the contact in an event or a record, Contact Lens' summaries, the attributes in an
//!   answer
//! - [`sticky_calls`]: the Sticky Calls API: requests, answers, errors, retry, connection, the network's thread
//! - [`aws`]: SQS, DynamoDB and Secrets Manager
//!
//! All use: [`vocabulary`] (every public word), [`budget`] (every share of time), [`https`] (TLS and what else HTTP
//! clients share), [`json`] (lenient reading), [`card_numbers`] (masking), [`hash`].

pub mod app;
pub mod aws;
pub mod budget;
pub mod card_numbers;
pub mod config;
pub mod connect;
pub mod delivery;
pub mod dispatch;
pub mod handlers;
pub mod hash;
pub mod https;
pub mod identity;
pub mod json;
pub mod lookup;
pub mod runtime;
pub mod services;
pub mod sticky_calls;
pub mod summary;
pub mod telemetry;
pub mod turn;
pub mod vocabulary;
