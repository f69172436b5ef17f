//! Ten thousand requests and transactions that are cut off, on a PostgreSQL server whose sessions are ended and which is
//! killed and started again: no borrower finds an answer, a transaction or a cancellation that is another's. It fails
//! when one does.
//!
//! Run: `cargo bench -p wharf-benches-alone --features postgres --bench cuts`, with `-- --seed 7` for another run's.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

#[path = "../../crates/wharf-postgres/tests/postgres/cuts.rs"]
mod cuts;

fn main() {
    let seed = seed();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let began = Instant::now();
    println!("random cuts while 32 tasks work over 8 connections\n  {:<46}{seed}", "--seed");
    let report = runtime.unwrap().block_on(cuts::Cuts { seed, number: 10_000, restarts: 10 }.run());
    print!("{report}");
    println!("  {:<46}{:.0} s", "time", began.elapsed().as_secs_f64());
}

/// The seed: `--seed N`, or any.
fn seed() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seed");
    match (arguments.next(), arguments.next()) {
        (Some(_), Some(seed)) => seed.parse().expect("--seed must be a whole number"),
        (Some(_), None) => panic!("--seed needs a number"),
        _ => fastrand::u64(..),
    }
}
