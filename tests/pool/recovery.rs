//! Random trouble, with random limits: afterwards each host is served again soon, and nothing is left over.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf::{Backoff, Builder, Host};

use crate::support::*;

/// Longer than two of the longest pauses.
const SOON: Duration = secs(12);

/// Each limit is set in one of four pools.
fn limits(rng: &mut Rng, b: Builder) -> Builder {
    let cap = rng.usize(1..5);
    let mut one_in_four = || rng.u8(..4) == 0;
    let mut b = b.max_per_host(cap).acquire_timeout(secs(5));
    if one_in_four() {
        b = b.max_total(2);
    }
    if one_in_four() {
        b = b.max_dialing(2);
    }
    if one_in_four() {
        b = b.max_dialing_per_host(1);
    }
    if one_in_four() {
        b = b.min_idle_per_host(1);
    }
    if one_in_four() {
        b = b.initial_per_host(1);
    }
    if one_in_four() {
        b = b.retry(Backoff::default());
    }
    if one_in_four() {
        b = b.max_waiters_per_host(2);
    }
    b
}

fn any_step(stage: Stage, rng: &mut Rng) -> Step {
    match (stage, rng.u8(..8)) {
        (Stage::Connect, 0) => Step::Error,
        (Stage::Connect, 1..=3) => Step::Never,
        (Stage::Connect, 4) => Step::Slow(secs(3)),
        (Stage::Connect, 5) => Step::SlowError(ms(700)),
        (Stage::Close, 6) => Step::Slow(ms(500)),
        _ => Step::Slow(ms(20)),
    }
}

async fn any_request(host: Host<TestConnector>, mut rng: Rng) {
    let (time_out, held) = (ms(rng.u64(100..6000)), ms(rng.u64(..1500)));
    match rng.u8(..12) {
        0 => host.retire(),
        1 => host.set_max(rng.usize(1..5)).unwrap(),
        2 => drop(tokio::time::timeout(secs(20), host.warm(2)).await),
        _ => {
            if let Ok(loan) = host.acquire_within(time_out).await {
                sleep(held).await;
                drop(loan);
            }
        }
    }
}

async fn trouble_and_recovery(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let (pool, connector) = pool(|b| limits(&mut rng, b));
    let hosts = [pool.host(&0), pool.host(&1)];
    let mut chance = rng.fork();
    connector.leave_to_chance(move |_, stage| any_step(stage, &mut chance));
    let mut requests = JoinSet::new();
    for _ in 0..60 {
        match rng.u8(..12) {
            0 => connector.kill_all(),
            1 => pool.close_idle(),
            _ => drop(requests.spawn(any_request(hosts[rng.usize(..2)].clone(), rng.fork()))),
        }
        sleep(ms(rng.u64(..900))).await;
    }
    connector.leave_to_chance(|_, _| Step::Slow(ms(20)));
    requests.shutdown().await;
    let back = Instant::now();
    for host in &hosts {
        while let Err(error) = host.acquire_within(secs(5)).await {
            assert!(back.elapsed() < SOON, "seed {seed}, {:?}: {error}", back.elapsed());
            sleep(ms(10)).await;
        }
    }
    assert!(back.elapsed() < SOON, "seed {seed}: after {:?}", back.elapsed());
    sleep(secs(120)).await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn after_any_trouble_each_host_is_served_again() {
    for seed in 0..300 {
        trouble_and_recovery(seed).await;
    }
}
