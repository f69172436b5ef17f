//! A long run: the pool under random faults for as long as you like, on real sockets through a proxy
//! that refuses, cuts, freezes and comes back; with the feature `postgres`, a server is killed and
//! started again meanwhile. At the same time, scenes from outages are played again and again.
//!
//! Every minute the faults pause and the account is made: gauges against what was counted outside,
//! caps, sockets, the full capacity. What is wrong is said with the seed, and the program ends with an
//! error; so it does when an acquire came back more than five seconds after its time.
//!
//! Run: `cargo run --release -p wharf-benches-alone --features postgres --bin soak -- --minutes 60`,
//! with `--seconds` for a short look and `--seed` for the faults of another run.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use storm::{Scene, Storm, Until};

#[path = "../../tests/faults/census.rs"]
mod census;
#[cfg(feature = "postgres")]
mod outages;
#[path = "../../tests/faults/proxy.rs"]
#[allow(dead_code)] // The other faults are the tests'.
mod proxy;
#[path = "../../tests/faults/request.rs"]
#[allow(dead_code)]
mod request;
mod soak_scenes;
#[path = "../../tests/faults/storm.rs"]
#[allow(dead_code)]
mod storm;

/// A storm, and then an account.
const ROUND: Duration = Duration::from_secs(60);
/// An acquire may be so late on a machine that has other things to do.
const LATEST: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let seed = argument("--seed").unwrap_or_else(|| fastrand::u64(..));
    let minutes = argument("--minutes").map(|minutes| minutes * 60);
    let seconds = argument("--seconds").or(minutes).unwrap_or(60);
    println!("{seconds} seconds, --seed {seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    // What is wrong panics where it is found.
    let faults = runtime.spawn(faults(seed, end));
    let scenes = runtime.spawn(soak_scenes::scenes(end));
    #[cfg(feature = "postgres")]
    let outages = runtime.spawn(outages::outages(end));
    let is_well = runtime.block_on(async {
        let is_well = faults.await.is_ok();
        let is_well = scenes.await.is_ok() && is_well;
        #[cfg(feature = "postgres")]
        let is_well = outages.await.is_ok() && is_well;
        is_well
    });
    println!("{}", if is_well { "verdict: all is accounted for" } else { "verdict: FAILED" });
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The number behind a word of the command line.
fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    let number = arguments.next().unwrap_or_else(|| panic!("{name} needs a number"));
    Some(number.parse().unwrap_or_else(|_| panic!("{name} must be a whole number")))
}

/// Storms on one pool, which lives for all of them.
async fn faults(seed: u64, end: Instant) {
    let (began, mut rng) = (Instant::now(), fastrand::Rng::with_seed(seed));
    let scene = Scene::new().await;
    while Instant::now() < end {
        let until = Until::Time((Instant::now() + ROUND).min(end));
        let report = scene.clone().storm(until, &mut rng).await;
        report.check(Storm { seed, faults: 0 });
        let seen = &report.seen;
        assert!(seen.overshoot < LATEST, "seed {seed}: {:?} late", seen.overshoot);
        println!(
            "{:>6} s  {} faults, {} answers, {} acquires out of time, the latest by {:.1?}; at most \
             {} and {} open; now {} idle and 0 out; {} kB resident: well",
            began.elapsed().as_secs(),
            seen.happened.all(),
            seen.answered,
            seen.timed_out_acquires,
            seen.overshoot,
            report.peak,
            report.total_peak,
            report.at_rest.idle,
            resident()
        );
    }
    scene.end().await.check(seed);
}

/// What the process has in memory, where the system says so.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
