//! Thousands of seconds of a network that parts, delays, holds back and comes back, and of servers that
//! crash and start again: simulated, in moments, on one thread.
//!
//! The faults, what the network does to each message and who asks for what follow from a seed, which is
//! printed; `WHARF_SEED` takes one. (Each simulated machine rounds its clock by itself, so that a timer
//! may end a millisecond sooner or later in the next run.) With `WHARF_FULL` set the storms last
//! thousands of seconds, otherwise hundreds:
//!
//! ```sh
//! WHARF_FULL=1 cargo test --release -p tests-simulation -- --nocapture
//! ```

mod client;
mod network;
mod scenes;

#[path = "../faults/census.rs"]
mod census;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use client::{Report, Requests, account, ask_on, pool, work};
use fastrand::Rng;
use network::{CLIENT, HOSTS, Network};
use tokio::time::{Instant, sleep};
use wharf::PoolStatus;

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn seed() -> u64 {
    let seed = std::env::var("WHARF_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    println!("WHARF_SEED={seed}");
    seed
}

/// Faults for these seconds; then calm, the account, and the end.
fn storm(seed: u64, seconds: u64) -> (Report, PoolStatus) {
    let mut rng = Rng::with_seed(seed);
    let mut network = Network::new(seed);
    let is_over = Arc::new(AtomicBool::new(false));
    let outcome = Rc::new(RefCell::new(None));
    let (over, out, workers) = (is_over.clone(), outcome.clone(), rng.fork());
    network.sim.client(CLIENT, async move {
        let (pool, census) = pool();
        let report = work(&pool, over, workers).await;
        account(&pool, &census).await;
        pool.close().await;
        sleep(secs(5)).await;
        *out.borrow_mut() = Some((report, pool.status()));
        Ok(())
    });
    while network.sim.elapsed() < secs(seconds) {
        network.strike(&mut rng);
        network.pass(ms(rng.u64(100..5000)));
    }
    network.heal();
    is_over.store(true, SeqCst);
    network.sim.run().unwrap();
    let outcome = outcome.borrow_mut().take();
    outcome.expect("the client has come to its end")
}

#[test]
fn long_storms_of_faults_leave_caps_deadlines_and_counts_exact() {
    let seconds = if std::env::var_os("WHARF_FULL").is_some() { 1000 } else { 100 };
    let mut rng = Rng::with_seed(seed());
    for _ in 0..4 {
        let (report, end) = storm(rng.u64(..), seconds);
        println!("{seconds} s: {report:?}");
        assert!(report.answered > 0 && report.failed > 0, "{report:?}");
        assert_eq!((end.idle, end.hosts), (0, 0), "{end:?}");
    }
}

/// While one host is parted from its clients for a minute, and holds 40 that wait, the other is asked as
/// before: no request fails, and none takes longer than one did before.
#[test]
fn a_host_behind_a_partition_costs_the_other_nothing() {
    let mut network = Network::with_latency(seed(), ms(2));
    let is_parted = Arc::new(AtomicBool::new(false));
    let (parted, [a, b]) = (is_parted.clone(), HOSTS);
    network.sim.client(CLIENT, async move {
        let (pool, _) = pool();
        ask_on(&pool, a, 10).await;
        ask_on(&pool, b, 10).await;
        // Each begins with a ping.
        sleep(secs(2)).await;
        let before = ask_on(&pool, b, 1000).await;
        assert_eq!(before.failed, 0);
        parted.store(true, SeqCst);
        sleep(secs(1)).await;
        let mut stuck = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let pool = pool.clone();
            stuck.spawn(async move { ask_on(&pool, a, 1).await });
        }
        sleep(secs(1)).await;
        let meanwhile = ask_on(&pool, b, 1000).await;
        assert_eq!(meanwhile.failed, 0);
        assert!(meanwhile.longest <= before.longest, "{meanwhile:?}, {before:?} before");
        let of_parted = stuck.join_all().await;
        assert!(of_parted.iter().all(|requests| requests.failed == 1), "{of_parted:?}");
        Ok(())
    });
    while !is_parted.load(SeqCst) {
        network.pass(ms(10));
    }
    network.sim.partition(CLIENT, a);
    network.sim.run().unwrap();
}

/// A server that was gone for a minute serves again as soon as the backoff has passed.
#[test]
fn a_server_that_has_crashed_is_found_again_when_it_is_back() {
    let mut network = Network::with_latency(seed(), ms(2));
    let back = Arc::new(AtomicBool::new(false));
    let (is_back, [_, b]) = (back.clone(), HOSTS);
    network.sim.client(CLIENT, async move {
        let (pool, census) = pool();
        while !is_back.load(SeqCst) {
            ask_on(&pool, b, 1).await;
        }
        let began = Instant::now();
        while ask_on(&pool, b, 1).await.answered == 0 {}
        // The longest pause between two dials, a dial that hangs, and the dial that serves.
        assert!(began.elapsed() < client::LONGEST_PAUSE + client::CONNECT_TIMEOUT + ms(100));
        let Requests { failed, .. } = ask_on(&pool, b, 100).await;
        assert_eq!(failed, 0, "no error after it is back");
        account(&pool, &census).await;
        Ok(())
    });
    network.pass(secs(10));
    network.sim.crash(b);
    network.pass(secs(60));
    network.sim.bounce(b);
    back.store(true, SeqCst);
    network.sim.run().unwrap();
}
