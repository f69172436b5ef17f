//! What the owner asks for.

use super::super::programs::world::World;
use super::super::programs::{Op, Pick};
use super::super::*;
use super::support::world;

/// So many idle connections of host 0.
fn with_idle(n: usize, set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(set);
    for _ in 0..n {
        world.borrow(0);
    }
    for _ in 0..n {
        world.return_one();
    }
    world
}

#[test]
fn a_cap_that_what_is_open_fits_closes_nothing() {
    let mut world = with_idle(3, |_| {});
    world.run(&Op::SetMax(0, 3));
    assert!(world.closes.is_empty());
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.closes.len(), 1);
}

fn add(world: &mut World, key: u32) -> Room<usize> {
    let at = world.enter(key).index;
    let room = world.engine.add(at, world.made, 1, world.now, &mut world.fx);
    world.made += usize::from(room == Room::Taken);
    world.carry_out();
    world.check();
    room
}

#[test]
fn an_added_connection_must_fit_every_cap_on_idle_ones() {
    let mut world = with_idle(1, |l| l.max_idle_per_host = 1);
    assert_eq!(add(&mut world, 0), Room::Full(1));
    assert_eq!(add(&mut world, 1), Room::Taken);
    let mut world = with_idle(1, |l| l.max_idle = 2);
    assert_eq!(add(&mut world, 1), Room::Taken);
    assert_eq!(add(&mut world, 1), Room::Full(2));
}

#[test]
fn an_added_connection_for_who_waits_need_not_fit_among_the_idle() {
    let mut world = with_idle(0, |l| (l.max_idle_per_host, l.max_idle) = (0, 0));
    world.run(&Op::Acquire(0, false));
    assert_eq!(add(&mut world, 0), Room::Taken);
    assert_eq!(add(&mut world, 0), Room::Full(1), "nobody waits");
}

#[test]
fn what_was_only_looked_at_comes_back_where_as_many_are_idle_as_may_be() {
    let mut world = with_idle(2, |l| l.max_idle = 2);
    world.run(&Op::Look(0));
    world.run(&Op::EndLook(Pick::FIRST, true));
    assert!(world.closes.is_empty());
    world.run(&Op::Look(0));
    assert_eq!(add(&mut world, 1), Room::Taken);
    world.run(&Op::EndLook(Pick::FIRST, true));
    assert_eq!(world.closes.len(), 1, "its place was taken meanwhile");
}

#[test]
fn the_wish_for_one_is_met_while_another_is_still_being_dialed() {
    let mut world = world(|_| {});
    world.run(&Op::Warm(0, 2));
    world.run(&Op::Warm(0, 1));
    assert_eq!((world.dials.len(), world.warmers.len()), (2, 2));
    world.run(&Op::DialDone(Pick::FIRST));
    let warmer = world.warmers.pop().expect("the one who wants one");
    world.look_warm(warmer);
    assert_eq!(world.warmers.len(), 1);
}

#[test]
fn the_end_is_told_where_nothing_is_open() {
    let mut empty = world(|_| {});
    empty.engine.close(empty.now, &mut empty.fx);
    assert!(empty.fx.drained);
}

#[test]
fn the_end_is_told_when_the_last_dial_is_lost() {
    let mut world = world(|_| {});
    world.run(&Op::Acquire(0, false));
    world.run(&Op::Close);
    let dial = world.dials.pop().expect("it dials");
    world.engine.dial_lost(dial.host.1.index, world.now, &mut world.fx);
    assert!(world.fx.drained);
}

#[test]
fn a_host_is_forgotten_at_the_end_of_its_backoff() {
    let mut world = world(|_| {});
    world.run(&Op::Acquire(0, false));
    world.run(&Op::DialFailed(Pick::FIRST));
    let wait = world.waits.pop().expect("it has its answer");
    world.poll(wait);
    world.carry_out();
    world.now = world.host_of(0).failing.as_ref().expect("it has failed").until;
    world.look_after();
    assert_eq!(world.engine.hosts.len(), 0);
}

/// What one is told who wants so many of host 0, at once or when the dials have ended that are given:
/// whether each succeeds.
fn told(world: &mut World, n: usize, dials: &[bool]) -> Warmth<&'static str> {
    world.run(&Op::Warm(0, n));
    for &succeeds in dials {
        let end = if succeeds { Op::DialDone } else { Op::DialFailed };
        world.run(&end(Pick::FIRST));
    }
    if let Some(warmer) = world.warmers.pop() {
        world.look_warm(warmer);
    }
    assert!(world.warmers.is_empty(), "nothing is being dialed");
    world.told.pop().expect("it has been told")
}

/// A host with one in use, whose last dial has failed.
fn failing(set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(set);
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    world.run(&Op::DialFailed(Pick::FIRST));
    world.run(&Op::Cancel(Pick::FIRST));
    assert!(world.dials.is_empty());
    world
}

#[test]
fn a_wish_whose_dial_has_failed_is_told_so_whichever_ended_first() {
    assert_eq!(told(&mut world(|_| {}), 2, &[true, false]), Warmth::Failed("refused"));
    // After a success the missing one is tried once more.
    assert_eq!(told(&mut world(|_| {}), 2, &[false, true, false]), Warmth::Failed("refused"));
    assert_eq!(told(&mut world(|_| {}), 2, &[false, true, true]), Warmth::Reached);
}

#[test]
fn a_wish_is_told_of_an_older_failure_while_the_host_backs_off() {
    assert_eq!(told(&mut failing(|_| {}), 2, &[]), Warmth::Failed("refused"));
}

#[test]
fn a_wish_is_told_of_the_caps_where_these_are_in_the_way() {
    // Of the host.
    let mut world = failing(|l| l.max_per_host = 2);
    assert_eq!(add(&mut world, 0), Room::Taken);
    assert_eq!(told(&mut world, 3, &[]), Warmth::NoRoom);
    // Of all.
    let mut world = failing(|l| l.max_total = 2);
    assert_eq!(add(&mut world, 1), Room::Taken);
    assert_eq!(told(&mut world, 2, &[]), Warmth::NoRoom);
    // On what is idle beside what is in use: the backoff is over.
    let mut world = failing(|l| l.max_idle_per_host = 0);
    world.now = world.host_of(0).failing.as_ref().expect("it has failed").until;
    assert_eq!(told(&mut world, 2, &[]), Warmth::NoRoom);
}

#[test]
fn a_wish_is_told_of_its_failed_dial_also_when_the_backoff_is_over() {
    let mut world = world(|_| {});
    world.run(&Op::Warm(0, 1));
    world.run(&Op::DialFailed(Pick::FIRST));
    world.run(&Op::Late(39_999));
    let warmer = world.warmers.pop().expect("it has not looked");
    world.look_warm(warmer);
    assert_eq!(world.told, [Warmth::Failed("refused")]);
}
