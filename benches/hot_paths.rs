//! Time and allocations of the hot paths, as they grow:
//!
//!     cargo bench --package benchmarks --bench hot_paths
//!
//! The part of a path's name that comes after ` -- ` runs that one alone. Nothing hangs on the times, which another process
//! on the machine can double; `instructions.rs` is what guards. The allocations of a call (`alloc`, `grow`) are the same in
//! every run.

use std::fs::File;
use std::hint::black_box;

use benchmarks::hot_paths::{self, HotPath};
use divan::{AllocProfiler, Bencher};

/// In bytes: nothing beside what the contact always has, and up to the most that Connect lets it carry.
const ATTRIBUTES: [usize; 4] = [0, 1_000, 8_000, 32_000];

/// In bytes, up to the most that is read of an answer.
const ANSWERS: [usize; 5] = [1_000, 4_000, 16_000, 64_000, 256_000];

/// How many variables are stored with a customer.
const VARIABLES: [usize; 4] = [5, 20, 50, 200];

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = ATTRIBUTES)]
fn route_event(bencher: Bencher<'_, '_>, attribute_bytes: usize) {
    measure(bencher, hot_paths::route_event(attribute_bytes));
}

#[divan::bench(args = ATTRIBUTES)]
fn start_request(bencher: Bencher<'_, '_>, attribute_bytes: usize) {
    measure(bencher, hot_paths::start_request(attribute_bytes));
}

#[divan::bench(args = ANSWERS)]
fn map_answer(bencher: Bencher<'_, '_>, answer_bytes: usize) {
    measure(bencher, hot_paths::map_answer(answer_bytes));
}

#[divan::bench(args = VARIABLES)]
fn map_variables(bencher: Bencher<'_, '_>, variables: usize) {
    measure(bencher, hot_paths::map_variables(variables));
}

#[divan::bench(args = [100, 1_000, 8_000, 32_000])]
fn end_request(bencher: Bencher<'_, '_>, text_bytes: usize) {
    measure(bencher, hot_paths::end_request(text_bytes));
}

#[divan::bench(args = VARIABLES)]
fn end_variables(bencher: Bencher<'_, '_>, variables: usize) {
    measure(bencher, hot_paths::end_variables(variables));
}

#[divan::bench(args = ATTRIBUTES)]
fn record_request(bencher: Bencher<'_, '_>, attribute_bytes: usize) {
    measure(bencher, hot_paths::record_request(attribute_bytes));
}

#[divan::bench]
fn log_and_metrics(bencher: Bencher<'_, '_>) {
    measure(bencher, hot_paths::log_and_metrics());
}

#[divan::bench(args = ATTRIBUTES)]
fn skipped_call(bencher: Bencher<'_, '_>, attribute_bytes: usize) {
    measure(bencher, hot_paths::skipped_call(attribute_bytes));
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn saved_records(bencher: Bencher<'_, '_>, records: usize) {
    measure(bencher, hot_paths::saved_records(records));
}

#[divan::bench]
fn build_services(bencher: Bencher<'_, '_>) {
    measure(bencher, hot_paths::build_services());
}

/// Measures a path with standard output turned away, where some paths write their log and divan draws its table. Divan
/// has written a row's beginning by now, and writes the rest of it after.
fn measure(bencher: Bencher<'_, '_>, path: HotPath) {
    let terminal = std::io::stdout();
    let table = rustix::io::dup(&terminal).expect("a copy of standard output");
    let nowhere = File::options().write(true).open("/dev/null").expect("/dev/null");
    rustix::stdio::dup2_stdout(&nowhere).expect("standard output can be turned away");
    bencher.bench_local(|| black_box(&path)());
    rustix::stdio::dup2_stdout(&table).expect("standard output can be turned back");
}
