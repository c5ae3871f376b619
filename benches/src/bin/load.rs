//! What a call costs as its attributes, the API's answer and the configuration grow, and how batches scale; on Linux:
//!
//! `cargo run --release --package benchmarks --bin load`

use stand_ins::build::build;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = build("--bin", "bootstrap")?;
    benchmarks::load::report(&bootstrap).await;
    Ok(())
}
