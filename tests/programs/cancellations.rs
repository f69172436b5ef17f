//! Callers that give up, by the million: at any point of any wait, however dials, pings and closes end.

use std::time::Duration;

use fastrand::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::act::{Act, Outcome};
use crate::play::Play;
use crate::settings::{HOSTS, Settings, settings};
use crate::support::Stage;
use crate::world::World;
use crate::{Verdict, on_paused_time, seed, times};

/// In one world.
const CANCELLATIONS: usize = 500;

/// In the end of each world all gauges are zero and every slot is usable; on the way no answer comes
/// after its time. The aim is a million.
#[test]
fn callers_that_go_at_any_point_take_nothing_along_and_nobody_is_answered_late() {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let (mut cancelled, mut timed, mut late) = (0, 0, Duration::ZERO);
    while cancelled < times(1_000_000) {
        let settings = settings(rng.bool()).new_tree(&mut runner).unwrap().current();
        // Every caller that is woken looks before time passes, so that none is late by its own fault.
        let settings = Settings { eager: true, ..settings };
        let (world, verdict) = on_paused_time(async {
            let mut world = World::new(settings);
            let verdict = run(&mut world, &mut rng).await;
            (world, verdict)
        });
        verdict.unwrap_or_else(|broken| panic!("{broken}\n{:?}\n{}", world.settings, world.story));
        cancelled += world.cancelled;
        timed += world.timed;
        late = late.max(world.latest);
    }
    println!("{cancelled} cancellations, {timed} answers in time, the latest {late:?} after it");
    assert!(timed > 0, "no answer had a time");
}

async fn run(world: &mut World, rng: &mut Rng) -> Verdict {
    while world.cancelled < CANCELLATIONS {
        world.run(&any_act(rng)).await?;
    }
    world.finish().await
}

fn any_act(rng: &mut Rng) -> Act {
    let host = rng.u32(..HOSTS);
    let which = rng.usize(..);
    match rng.u32(..100) {
        0..34 => Act::Ask(host, rng.bool().then(|| rng.u64(..1000))),
        34..36 => Act::AskLater(host),
        36..62 => Act::Cancel(which),
        62..76 => Act::Return(which),
        76..78 => Act::Discard(which),
        78..80 => Act::Die(which),
        80..86 => Act::Next(any_stage(rng), any_outcome(rng)),
        86..94 => Act::Yield,
        94..99 => Act::Pass(rng.u64(1..100)),
        _ => Act::Pass(rng.u64(100..3000)),
    }
}

fn any_stage(rng: &mut Rng) -> Stage {
    *rng.choice(&[Stage::Connect, Stage::Ping, Stage::Close]).unwrap()
}

fn any_outcome(rng: &mut Rng) -> Outcome {
    match rng.u32(..6) {
        0..2 => Outcome::Fails,
        2..4 => Outcome::Slow(rng.u64(1..2500)),
        4 => Outcome::Never,
        _ => Outcome::Panics,
    }
}
