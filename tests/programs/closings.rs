//! `close_within` in the middle of everything.

use fastrand::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::time::Instant;

use crate::act::{Act, act};
use crate::play::Play;
use crate::settings::settings;
use crate::support::{TestPool, ms};
use crate::world::World;
use crate::{Verdict, holds, on_paused_time, seed};

/// What a runtime's timers leave open.
const TICK: u64 = 1;

/// The aim is a thousand of a thousand, and that many are run each time.
#[test]
fn close_within_returns_in_time_whatever_is_under_way() {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let (mut runs, mut complete) = (0, 0);
    while runs < 1000 {
        let settings = settings(rng.bool()).new_tree(&mut runner).unwrap().current();
        let acts: Vec<_> = (0..rng.usize(1..100))
            .map(|_| act().new_tree(&mut runner).unwrap().current())
            .filter(|act| !matches!(act, Act::Close | Act::Leave))
            .collect();
        let (world, verdict) = on_paused_time(async {
            let mut world = World::new(settings);
            let verdict = run(&mut world, &acts, &mut rng).await;
            (world, verdict)
        });
        complete +=
            usize::from(verdict.unwrap_or_else(|broken| {
                panic!("{broken}\n{:?}\n{}", world.settings, world.story)
            }));
        runs += 1;
    }
    println!("{runs} of {runs} in time; in {complete} of them nothing was left");
    assert!((1..runs).contains(&complete), "both ends are seen");
}

/// Says whether nothing was left when the time was over.
async fn run(world: &mut World, acts: &[Act], rng: &mut Rng) -> Verdict<bool> {
    for act in acts {
        world.run(act).await?;
    }
    let pool = world.pool.clone().expect("nobody has dropped it");
    // The borrowers go on: some come back in time.
    for lent in world.loans.drain(..) {
        let held = ms(rng.u64(1..4000));
        tokio::spawn(async move {
            tokio::time::sleep(held).await;
            drop(lent);
        });
    }
    let limit = rng.u64(1..4000);
    let began = Instant::now();
    let report = pool.close_within(ms(limit)).await;
    let took = began.elapsed();
    holds!(took <= ms(limit + TICK), "back after {took:?} instead of {limit} ms");
    holds!(report.complete || took >= ms(limit), "not complete, and back after {took:?}");
    let out = (report.loans.len(), report.dialing, report.closing);
    let status = pool.status();
    let left = (status.in_use, status.dialing, status.closing);
    holds!(out == left, "the report says {out:?} are out, where {status:?}");
    holds!(!report.complete || left == (0, 0, 0), "complete, with {status:?}");
    settle(world, &pool).await?;
    Ok(report.complete)
}

/// When everybody has come back nothing is left.
async fn settle(world: &mut World, pool: &TestPool) -> Verdict {
    world.connector.behave();
    world.asks.all.clear();
    world.handles.clear();
    let end = tokio::time::timeout(ms(60_000), pool.close()).await;
    holds!(end.is_ok(), "it is never empty");
    tokio::time::sleep(ms(60_000)).await;
    let live = world.connector.counts().live();
    holds!(live == 0, "{live} outlive the pool");
    Ok(())
}
