//! Sticky Connect: a memory for Amazon Connect.
//!
//! One `bootstrap` binary, deployed as two AWS Lambda functions. When a call starts, *identify* asks the Sticky Calls
//! API who is calling and hands the contact flow flat `$.External` attributes; when it ends, *save* tells the API what
//! happened, so that the next call starts from it. Whatever goes wrong, the flow gets a valid answer in time.
//!
//! An invocation walks through the modules in this order:
//!
//! - [`runtime`]: process start; the Lambda Runtime API on one side, [`app`] on the other
//! - [`app`]: one invocation: the budget, what catches a panic, the lines of log and metrics
//! - [`dispatch`]: which handler an event reaches
//! - [`start_call`], [`end_call`]: a flow's two handlers; the only place where Connect's terms become the API's and back
//! - [`contact_records`], [`redelivery`]: the handlers of batches, of a stream and of the outbox's queue
//! - [`identity`]: the identity hints that all of them send
//! - [`summary`], [`delivery`]: what a call leaves, and its way to the API, else to the [`outbox`]
//! - [`api`], [`keys`]: the API, asked with the key of the moment and not while it is down
//! - [`cache`]: answers that are kept for a caller who rings back
//! - [`ledger`], [`newest`]: what is known of calls that are over: words that are safe, the newest call, opt-outs
//!
//! Three worlds are at the edges, and none of them knows another:
//!
//! - [`connect`]: Amazon Connect: the contact in an event or a record, the attributes in an answer
//! - [`sticky_calls`]: the Sticky Calls API: requests, answers, errors, retry, connection, the network's thread, guard
//! - [`aws`]: SQS, DynamoDB and Secrets Manager
//!
//! All lean on: [`config`] (environment variables), [`services`] (what is built of them), [`https`] (TLS and what else
//! HTTP clients share), [`budget`] (time), [`batch`], [`answer`], [`reason`] and [`fault`] (what a handler hands back,
//! and the codes), [`card_numbers`] (masking), [`hash`] (the table's keys, the words' ids),
//! [`json`] (lenient reading), [`logging`], [`metrics`].

pub mod answer;
pub mod api;
pub mod app;
pub mod aws;
pub mod batch;
pub mod budget;
pub mod cache;
pub mod card_numbers;
pub mod config;
pub mod connect;
pub mod contact_records;
pub mod delivery;
pub mod dispatch;
pub mod end_call;
pub mod fault;
pub mod hash;
pub mod https;
pub mod identity;
pub mod json;
pub mod keys;
pub mod ledger;
pub mod logging;
pub mod metrics;
pub mod newest;
pub mod outbox;
pub mod reason;
pub mod redelivery;
pub mod runtime;
pub mod services;
pub mod start_call;
pub mod sticky_calls;
pub mod summary;
