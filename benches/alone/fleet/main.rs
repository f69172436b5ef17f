//! Fleets of pools that dial a slow, a full, or an absent server, in simulated time: what is printed repeats.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench fleet`. It prints Markdown, which is in the guide, `storms.md`.

use std::future::Future;
use std::time::Duration;

mod herd;
mod one;
mod pools;
mod quick;
mod server;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn words(time: Duration) -> String {
    if time < secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn main() {
    herd::tell();
    println!();
    quick::tell();
    println!();
    one::tell();
    println!();
}

/// Runs it on a clock of its own that does not wait. What is left to chance follows from the seed.
fn in_simulated_time<T>(seed: u64, work: impl Future<Output = T>) -> T {
    fastrand::seed(seed);
    wharf::test_util::seed_random(seed);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}
