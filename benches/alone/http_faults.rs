//! Exchanges of the HTTP client that are cut, cancelled and broken off at random: ten thousand of each
//! version, whose answers must be their own, and a hundred thousand, after which memory and tasks must be
//! back to the start. Clients, servers and the proxy that cuts are in this process. It fails when
//! anything went wrong.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench http_faults`, with `-- --seed 7` for the faults of
//! another run.

use std::alloc::System;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wharf_http::Protocol;

use memory::kept_by;
use storm::Storm;

#[path = "../../crates/wharf-http/tests/http/cutter.rs"]
mod cutter;
#[path = "../../crates/wharf-http/tests/http/memory.rs"]
mod memory;
#[path = "../../crates/wharf-http/tests/http/storm.rs"]
mod storm;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let seed = seed();
    println!("--seed {seed}");
    for protocol in [Protocol::Http1, Protocol::Http2] {
        run(Storm { seed, exchanges: 10_000, protocol });
        let kept = run(Storm { seed: seed ^ 1, exchanges: 50_000, protocol });
        // What does not grow with the exchanges: the first storm has made what is made once.
        assert!(kept < 64 * 1024, "{protocol:?}: {kept} bytes are kept");
    }
}

/// The bytes that it leaves behind.
fn run(storm: Storm) -> i64 {
    let began = Instant::now();
    let (report, kept) = kept_by(GLOBAL, storm);
    let took = began.elapsed().as_secs_f64();
    println!("{:?}, {} exchanges in {took:.1} s", storm.protocol, storm.exchanges);
    println!("  {report}; {kept} bytes kept");
    report.check(storm);
    kept
}

/// The seed of the random faults: `--seed N`, or any.
fn seed() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seed");
    match (arguments.next(), arguments.next()) {
        (Some(_), Some(seed)) => seed.parse().expect("--seed must be a whole number"),
        (Some(_), None) => panic!("--seed needs a number"),
        _ => fastrand::u64(..),
    }
}
