//! Scenes from outages, played by this pool, by deadpool and by bb8, in simulated time: what is printed repeats.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench scenes`. It prints Markdown, which is in `TESTING.md`;
//! `.ci/scenes --accept` puts it there.

use std::future::Future;
use std::time::Duration;

mod blip;
mod call;
mod impatience;
mod long_loan;
mod player;
mod restart;
mod run;
mod scene;
mod server;
#[path = "../sharing.rs"]
mod sharing;
mod streams;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn main() {
    scene::tell::<blip::Blip>();
    println!();
    scene::tell::<long_loan::LongLoan>();
    println!();
    scene::tell::<restart::RollingRestart>();
    println!();
    scene::tell::<impatience::Impatience>();
    println!();
    one_host_more();
    println!();
    streams::tell();
}

fn one_host_more() {
    println!(
        "\
### One host more than slots

`max_total` is 10. Each host has one caller, who uses a connection for 5 ms and asks for the next without a pause, for
30 s; a dial takes 50 ms. deadpool and bb8 have no cap across hosts. More loads are in
[`many_hosts`](src/guide/many_hosts.md).

{}",
        sharing::HEAD
    );
    for (name, load) in &sharing::LOADS[..2] {
        println!("{}", in_simulated_time(0, sharing::row(name, load)));
    }
}

/// Runs it on a clock of its own that does not wait. What is left to chance follows from the seed.
fn in_simulated_time<T>(seed: u64, work: impl Future<Output = T>) -> T {
    fastrand::seed(seed);
    wharf::test_util::seed_random(seed);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}
