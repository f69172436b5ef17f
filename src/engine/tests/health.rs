//! Doubts, and what is found out about them.

use super::super::programs::world::World;
use super::super::programs::{Op, Pick};
use super::super::*;
use super::support::{secs, shared, world};

fn suspects(world: &mut World) -> usize {
    let host = world.host_of(0);
    host.idle.iter().filter(|c| c.health.doubts != host.doubts).count()
}

#[test]
fn the_second_one_that_nobody_had_doubted_makes_its_peers_suspect_too() {
    let mut world = world(|_| {});
    for _ in 0..4 {
        world.borrow(0);
    }
    world.run(&Op::Discard(Pick::FIRST));
    // Made, or found well, after the first was found dead.
    world.borrow(0);
    world.borrow(0);
    let doubts = world.host_of(0).doubts;
    assert_eq!(doubts, 1);
    let (host, newest) = world.loans.pop().expect("there are five");
    world.engine.discard(host.index, newest, world.now, &mut world.fx);
    world.carry_out();
    assert_eq!(world.host_of(0).doubts, 2);
    world.return_one();
    assert_eq!(suspects(&mut world), 1);
    // One that was doubted already is no news.
    world.run(&Op::Discard(Pick::FIRST));
    assert_eq!(world.host_of(0).doubts, 2);
}

#[test]
fn a_heartbeat_that_got_lost_says_nothing_of_a_connection_that_others_use() {
    let beats = Beats { every: secs(4), max_missed: 2 };
    let mut world = shared(2, |l| (l.heartbeat, l.max_per_host) = (Some(beats), 1));
    world.borrow(0);
    world.run(&Op::Pass(4000));
    let beat = world.pings.pop().expect("its time has come");
    world.checked(beat, false);
    world.carry_out();
    assert!(world.closes.is_empty());
    world.borrow(0);
    assert_eq!((world.made, world.loans.len()), (1, 2), "it is as good as before");
}

#[test]
fn what_answers_with_an_error_while_somebody_waits_is_not_lent() {
    let beats = Beats { every: secs(4), max_missed: 2 };
    let mut world = world(|l| (l.heartbeat, l.max_per_host) = (Some(beats), 1));
    world.borrow(0);
    world.return_one();
    world.run(&Op::Pass(4000));
    world.run(&Op::Acquire(0, false));
    world.run(&Op::BeatFailed(Pick::FIRST, true));
    assert_eq!((world.closes.len(), world.dials.len()), (1, 1), "a dial takes its place");
}

#[test]
fn the_time_of_a_wait_counts_that_ended_with_an_error() {
    let mut world = world(|_| {});
    world.run(&Op::Acquire(0, false));
    world.run(&Op::Late(5000));
    let dial = world.dials.pop().expect("it dials");
    let (at, now) = (dial.host.1.index, world.now);
    world.engine.dial_failed(at, "refused", true, now, &mut world.fx);
    world.carry_out();
    let wait = world.waits.pop().expect("it has its answer");
    world.poll(wait);
    let counters = world.host_of(0).counted();
    assert_eq!((counters.failed, counters.wait_time.as_secs()), (1, 5));
}

#[test]
fn of_two_whose_pings_have_failed_each_waits_before_all_others() {
    let mut world = world(|l| (l.max_per_host, l.ping_after) = (2, Span::ZERO));
    world.borrow(0);
    world.borrow(0);
    world.return_one();
    world.return_one();
    for _ in 0..3 {
        world.run(&Op::Acquire(0, false));
    }
    assert_eq!((world.asked.len(), world.waits.len()), (2, 1));
    world.run(&Op::Asked(Pick::FIRST, false));
    world.run(&Op::Asked(Pick::FIRST, false));
    let last_first: Vec<_> = world.waits.iter().rev().map(|&(_, _, id)| id).collect();
    assert_eq!(last_first.len(), 3);
    assert_eq!(world.host_of(0).waiters.queued(), last_first);
}
