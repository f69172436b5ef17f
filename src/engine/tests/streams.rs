//! Long leases: connections that drain for age, and take leases again where nothing else has room.

use proptest::prelude::*;

use super::super::connections::entry::{Holds, State};
use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, Program};
use super::program;
use super::support::{secs, shared};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;

/// The connections of host 0 that drain for age: their ids, and whether each has a place.
fn aged(world: &mut World) -> Vec<(u64, bool)> {
    let entries = world.host_of(0).connections().iter().map(|(_, entry)| entry);
    let aged = entries.filter(|entry| entry.state == State::Draining(CloseReason::Age));
    aged.map(|entry| (entry.id, entry.holds == Holds::Place)).collect()
}

/// This many connections for three leases each, which are ten seconds old in the end and have one.
fn with_aged(n: usize, set: impl FnOnce(&mut Limits)) -> World {
    let mut world = shared(3, |l| {
        l.max_lifetime = secs(10);
        set(l);
    });
    for _ in 0..n {
        world.borrow(0);
        world.run(&Op::Pass(11_000));
    }
    world
}

#[test]
fn the_youngest_aged_connection_serves_those_who_wait_and_the_next_one_those_who_are_too_many() {
    let mut world = with_aged(4, |l| l.max_per_host = 2);
    assert_eq!(aged(&mut world), [(1, false), (2, false), (3, true), (4, true)]);
    (0..2).for_each(|_| world.acquire_of(0));
    assert_eq!(aged(&mut world), [(1, false), (2, false), (3, true)]);
    world.acquire_of(0);
    assert_eq!(aged(&mut world), [(1, false), (2, false)]);
    assert_eq!((world.pings.len(), world.dials.len()), (2, 0));
    (0..2).for_each(|_| world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes)));
    assert_eq!(world.host_of(0).waiting(), 0);
    // They live for as long again.
    world.run(&Op::Pass(9_999));
    assert_eq!(aged(&mut world).len(), 2);
    world.run(&Op::Pass(1));
    assert_eq!(aged(&mut world).len(), 4);
}

#[test]
fn an_aged_connection_without_a_place_takes_that_of_one_that_drains_for_good() {
    let mut world = with_aged(1, |l| (l.max_per_host, l.max_uses) = (1, 2));
    // It is used up.
    (0..2).for_each(|_| world.borrow(0));
    assert_eq!(aged(&mut world), [(1, false)]);
    world.acquire_of(0);
    assert_eq!((aged(&mut world).len(), world.pings.len()), (0, 1));
    let host = world.host_of(0);
    assert_eq!((host.gauges().places, host.gauges().draining), (1, 1));
}

#[test]
fn an_aged_connection_is_taken_back_when_its_leases_last_for_a_second() {
    let set = |l: &mut Limits| (l.max_per_host, l.max_total, l.max_lifetime) = (1, 1, secs(10));
    let mut world = shared(3, set);
    world.borrow(0);
    world.run(&Op::Pass(10_000));
    world.acquire_of(0);
    world.run(&Op::Pass(999));
    assert_eq!((aged(&mut world).len(), world.pings.len()), (1, 0), "it may end soon");
    world.run(&Op::Pass(1));
    assert_eq!((aged(&mut world).len(), world.pings.len()), (0, 1));
}

#[test]
fn an_aged_connection_waits_for_a_close_that_makes_room() {
    let mut world = with_aged(2, |l| l.max_per_host = 1);
    world.run(&Op::Return(Pick(1), true));
    world.acquire_of(0);
    assert_eq!((aged(&mut world).len(), world.pings.len(), world.closes.len()), (1, 0, 1));
    world.run(&Op::CloseEnded(Pick::FIRST));
    assert_eq!((aged(&mut world).len(), world.dials.len()), (1, 1), "a new one is better");
}

#[test]
fn an_aged_connection_that_is_used_up_or_full_takes_no_lease_again() {
    for leases in [1, 3] {
        let mut world = shared(leases, |l| {
            (l.max_per_host, l.max_uses, l.max_lifetime) = (1, 4, secs(10));
        });
        for _ in 0..2 {
            (0..leases).for_each(|_| world.borrow(0));
            world.run(&Op::Pass(11_000));
        }
        world.acquire_of(0);
        assert_eq!((aged(&mut world).len(), world.pings.len()), (2, 0), "for {leases} leases");
    }
}

/// A program for one or two connections for a few leases, which become too old soon and keep many of
/// their leases.
fn with_streams(with_budget: bool) -> impl Strategy<Value = Program> {
    (program(true, with_budget), 1..3usize, 2..4usize).prop_map(
        move |(mut program, max, leases)| {
            let (most, limits) = (usize::MAX, &mut program.setup.limits);
            (limits.max_per_host, limits.max_lifetime, limits.max_dialing) = (max, secs(2), most);
            limits.min_idle_per_host = limits.min_idle_per_host.min(max);
            limits.initial_per_host = limits.initial_per_host.min(max);
            limits.max_waiters_per_host = most;
            (program.setup.leases, program.setup.hosts) = (Some(leases), 1 + u8::from(with_budget));
            for (at, op) in program.ops.iter_mut().enumerate() {
                match op {
                    Op::Return(..) if at % 3 > 0 => *op = Op::DialDone(Pick::FIRST),
                    Op::Retire(_) | Op::Discard(_) => *op = Op::Pass(700),
                    _ => {}
                }
            }
            program
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_program_with_long_leases_on_aged_connections_keeps_the_invariants(
        program in prop_oneof![with_streams(false), with_streams(true)]
    ) {
        program.run();
    }
}
