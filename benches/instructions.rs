//! Instructions of the hot paths, which are the same in every run:
//!
//!     cargo bench --package benchmarks --bench instructions
//!
//! `python3 .ci/instructions.py` compares them with those in `instructions.json`, and does all that is needed to run this:
//! Valgrind, and gungraun's runner in the version that `Cargo.lock` has.

use std::hint::black_box;

use benchmarks::hot_paths::{self, HotPath};
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};

/// A path that has run once, since what happens the first time alone is the process's start and not the call's.
fn warm(path: HotPath) -> HotPath {
    path();
    path
}

#[library_benchmark]
#[bench::attribute_bytes_0(warm(hot_paths::route_event(0)))]
#[bench::attribute_bytes_32000(warm(hot_paths::route_event(32_000)))]
fn route_event(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::attribute_bytes_0(warm(hot_paths::start_request(0)))]
#[bench::attribute_bytes_32000(warm(hot_paths::start_request(32_000)))]
fn start_request(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::bytes_1000(warm(hot_paths::map_answer(1_000)))]
#[bench::bytes_16000(warm(hot_paths::map_answer(16_000)))]
#[bench::bytes_256000(warm(hot_paths::map_answer(256_000)))]
fn map_answer(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::variables_5(warm(hot_paths::map_variables(5)))]
#[bench::variables_50(warm(hot_paths::map_variables(50)))]
#[bench::variables_200(warm(hot_paths::map_variables(200)))]
fn map_variables(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::text_bytes_100(warm(hot_paths::end_request(100)))]
#[bench::text_bytes_32000(warm(hot_paths::end_request(32_000)))]
fn end_request(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::variables_5(warm(hot_paths::end_variables(5)))]
#[bench::variables_200(warm(hot_paths::end_variables(200)))]
fn end_variables(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::attribute_bytes_0(warm(hot_paths::record_request(0)))]
#[bench::attribute_bytes_32000(warm(hot_paths::record_request(32_000)))]
fn record_request(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::one_lookup(warm(hot_paths::log_and_metrics()))]
fn log_and_metrics(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::attribute_bytes_0(warm(hot_paths::skipped_call(0)))]
#[bench::attribute_bytes_32000(warm(hot_paths::skipped_call(32_000)))]
fn skipped_call(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::records_1(warm(hot_paths::saved_records(1)))]
#[bench::records_100(warm(hot_paths::saved_records(100)))]
fn saved_records(path: HotPath) -> HotPath {
    run(path)
}

#[library_benchmark]
#[bench::all_of_them(warm(hot_paths::build_services()))]
fn build_services(path: HotPath) -> HotPath {
    run(path)
}

/// Runs a path, and hands it back so that its end is not counted.
fn run(path: HotPath) -> HotPath {
    black_box(&path)();
    path
}

library_benchmark_group!(
    name = of_a_call,
    benchmarks = [
        route_event,
        start_request,
        map_answer,
        map_variables,
        end_request,
        end_variables,
        record_request,
        log_and_metrics,
        skipped_call,
        saved_records,
        build_services,
    ]
);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = of_a_call
);
