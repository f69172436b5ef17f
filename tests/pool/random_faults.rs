//! Ten thousand random faults while 64 tasks ask for connections.
//!
//! A fault is a dial, ping or close that fails, takes its time, never ends or panics, a connection
//! that dies, one that its borrower discards, or a caller that goes. Time is paused and everything is
//! decided by a seed, so a run that fails can be had again: it prints its seed, and takes one from
//! `WHARF_SEED`. Nothing is left to the pool's own chance: there is no jitter, and where there are
//! several hosts a cap across them, so that all are in one engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use wharf::{Backoff, Builder, HealthCheck, PoolStatus};

use crate::support::*;

const TASKS: usize = 64;
const CAP: usize = 5;
const FAULTS: usize = 10_000;

struct Scene {
    pool: TestPool,
    connector: TestConnector,
    hosts: Hosts,
    /// Faults that are still to come.
    left: Arc<AtomicUsize>,
    /// The request of each task.
    requests: Mutex<HashMap<usize, AbortHandle>>,
}

fn seed() -> u64 {
    let seed = std::env::var("WHARF_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    println!("WHARF_SEED={seed}");
    seed
}

fn settings(b: Builder) -> Builder {
    b.max_per_host(CAP)
        .connect_timeout(secs(1))
        .ping_timeout(ms(500))
        .close_timeout(secs(2))
        .retry(Backoff::default().max(secs(1)).jitter(0.0))
        .max_lifetime(secs(30))
        .lifetime_jitter(0.0)
        .idle_timeout(secs(5))
        .max_uses(10)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_faults_of_one_crowded_host() {
    let hosts = Hosts { number: 1, max_total: None };
    let status = run(seed(), FAULTS, hosts, settings).await;
    assert!(status.timed_out > 1000, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_faults_of_many_hosts_where_every_loan_begins_with_a_ping() {
    let hosts = Hosts { number: 20, max_total: Some(60) };
    let set = |b| settings(b).health_check(HealthCheck::Always);
    let status = run(seed(), FAULTS, hosts, set).await;
    assert!(status.pings > 1000, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_faults_of_hosts_that_compete_for_a_common_cap() {
    let set = |b| settings(b).health_check(HealthCheck::IdleFor(ms(50)));
    run(seed(), FAULTS, COMPETING, set).await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_faults_under_every_limit() {
    let set = |b| {
        settings(b)
            .max_idle(8)
            .max_idle_per_host(3)
            .min_idle_per_host(1)
            .initial_per_host(2)
            .max_dialing(4)
            .max_dialing_per_host(2)
            .max_waiters_per_host(20)
    };
    run(seed(), FAULTS, COMPETING, set).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_run() {
    let seed = seed();
    let set = |b| settings(b).health_check(HealthCheck::Always);
    assert_eq!(run(seed, 500, COMPETING, set).await, run(seed, 500, COMPETING, set).await);
}

#[derive(Clone, Copy)]
struct Hosts {
    number: u32,
    max_total: Option<usize>,
}

const COMPETING: Hosts = Hosts { number: 5, max_total: Some(12) };

async fn run(
    seed: u64,
    faults: usize,
    hosts: Hosts,
    set: impl FnOnce(Builder) -> Builder,
) -> PoolStatus {
    let mut rng = Rng::with_seed(seed);
    let (pool, connector) = pool(|b| set(b).max_total(hosts.max_total));
    let left = Arc::new(AtomicUsize::new(faults));
    let scene = Scene { pool, connector, hosts, left: left.clone(), requests: Mutex::default() };
    let scene = Arc::new(scene);
    if rng.bool() {
        scene.connector.let_no_error_be_retryable();
    }
    let mut chance = rng.fork();
    scene.connector.leave_to_chance(move |_, _| any_step(&left, &mut chance));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(scene.clone().work(task, rng.fork()));
    }
    tasks.join_all().await;
    scene.connector.leave_to_chance(|_, _| Step::Ok);
    scene.account().await
}

/// Notes a fault.
fn strike(left: &AtomicUsize) {
    let _ = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
}

fn any_step(left: &AtomicUsize, rng: &mut Rng) -> Step {
    let step = match rng.u32(..100) {
        0 => Step::Panic,
        1..10 => Step::Error,
        10..20 => Step::Slow(ms(rng.u64(1..3000))),
        20..25 => Step::Never,
        _ => return Step::Ok,
    };
    strike(left);
    step
}

/// # The work
impl Scene {
    async fn work(self: Arc<Self>, task: usize, mut rng: Rng) {
        while self.left.load(SeqCst) > 0 {
            let goes = rng.u32(..8) == 0;
            let stays = if goes { ms(rng.u64(..1000)) } else { Duration::MAX };
            let request = tokio::time::timeout(stays, self.clone().request(rng.fork()));
            let request = tokio::spawn(request);
            self.requests.lock().unwrap().insert(task, request.abort_handle());
            match request.await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => strike(&self.left),
                Err(error) if error.is_cancelled() => strike(&self.left),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    /// One request: an acquire, a while with the connection, and its end.
    async fn request(self: Arc<Self>, mut rng: Rng) {
        let time_out = ms(rng.u64(..3000));
        let began = Instant::now();
        let answer = self.pool.acquire_within(&rng.u32(..self.hosts.number), time_out).await;
        let took = began.elapsed();
        // The runtime's timers count milliseconds.
        assert!(took <= time_out + ms(1), "back after {took:?} instead of {time_out:?}");
        let hold = ms(rng.u64(1..100));
        tokio::time::sleep(hold).await;
        let Ok(loan) = answer else { return };
        let fate = rng.u32(..200);
        match fate {
            0 => self.connector.kill_all(),
            1..10 => loan.kill(),
            10..20 => {
                loan.bury();
                TestLoan::discard(loan);
            }
            20..60 => {
                // The caller that gets it may be gone before it looks.
                drop(loan);
                return self.cancel(rng.usize(..TASKS));
            }
            _ => return,
        }
        strike(&self.left);
    }

    fn cancel(&self, task: usize) {
        if let Some(request) = self.requests.lock().unwrap().get(&task) {
            request.abort();
        }
    }
}

/// # The end
impl Scene {
    async fn account(&self) -> PoolStatus {
        // Longer than every time-out: all that hangs has been cut off.
        tokio::time::sleep(secs(60)).await;
        assert_balanced(&self.pool, &self.connector);
        for host in 0..self.hosts.number {
            let mut loans = Vec::new();
            while loans.len() < CAP {
                loans.push(self.pool.acquire(&host).await.unwrap());
            }
            assert_eq!(self.pool.status().in_use, CAP, "the full capacity is there");
        }
        let counts = self.connector.counts();
        assert!(counts.peak_of.values().all(|&peak| peak <= CAP), "{:?}", counts.peak_of);
        let total = self.hosts.max_total.unwrap_or(usize::MAX);
        assert!(counts.peak_open <= total, "{} at once", counts.peak_open);
        let closed = self.pool.close_within(secs(60)).await;
        assert!(closed.complete, "{closed:?}");
        assert_balanced(&self.pool, &self.connector);
        let status = self.pool.status();
        assert_eq!((status.idle, self.connector.counts().live()), (0, 0));
        assert_eq!(status.closed, self.connector.counts().made as u64);
        status
    }
}
