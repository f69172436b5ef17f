//! Dials that are slow, or whose time-out passes: who is told, and when.

use std::time::Duration;

use super::super::programs::world::World;
use super::super::programs::{Op, Pick};
use super::super::{Failed, Progress};
use super::support::{of_quick_server, secs, shuffled, that_is_quick, unlimited, world};
use crate::policy::backoff::Backoff;
use crate::policy::limits::Limits;

fn told(world: &mut World, key: u8) -> u64 {
    world.host_of(key).counted().rare.failed
}

/// The time-out of the first dial has passed this often. Returns whether it goes on.
fn overdue(world: &mut World, times: u32) -> bool {
    let (at, slot) = (world.dials[0].at, world.dials[0].order.slot);
    let took = Duration::from_secs(10) * times;
    let failed = Failed { failure: "timed out", retryable: true, took, timed_out: true };
    world.change(at, |state, section| state.dial_overdue((slot, times), failed, section)).0
}

/// A caller waits for a dial for 10 s, one for 1 s.
fn ten_seconds_later(set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(set);
    world.acquire_of(0);
    world.run(&Op::Pass(9_000));
    world.acquire_of(0);
    world.run(&Op::Pass(1_000));
    world
}

#[test]
fn a_caller_of_a_whole_dial_is_told_of_its_time_out_and_a_newcomer_is_not() {
    let mut world = ten_seconds_later(|_| {});
    assert!(overdue(&mut world, 1), "it goes on");
    assert_eq!(told(&mut world, 0), 1);
}

#[test]
fn nobody_is_told_of_a_time_out_where_another_dial_may_succeed() {
    let mut world = ten_seconds_later(|l| l.retry = true);
    assert!(overdue(&mut world, 1));
    assert_eq!(told(&mut world, 0), 0);
}

#[test]
fn a_dial_goes_on_for_twice_its_time_out_and_after_two_slow_ones_for_four_times() {
    let mut world = world(|l| l.max_per_host = 1);
    world.acquire_of(0);
    world.run(&Op::Pass(2_400));
    assert_eq!((1..5).filter(|times| overdue(&mut world, *times)).count(), 1);
    let mut world = ten_seconds_later(|_| {});
    assert_eq!((1..6).filter(|times| overdue(&mut world, *times)).count(), 3);
}

#[test]
fn a_dial_whose_permit_is_wanted_ends_when_its_time_out_passes() {
    let mut world = world(|l| l.max_dialing = 1);
    world.acquire_of(0);
    world.run(&Op::Pass(2_000));
    world.acquire_of(1);
    assert!(!overdue(&mut world, 1));
}

/// The oldest dial has made room for the next one of the same host.
fn made_room(set: impl FnOnce(&mut Limits)) -> World {
    let mut world = of_quick_server(|l| {
        (l.max_per_host, l.connect_timeout) = (1, secs(10));
        l.backoff = Backoff::default().jitter(0.0);
        set(l);
    });
    world.acquire_of(0);
    world.run(&Op::Pass(1_000));
    assert_eq!(world.host_of(0).counted().usual.dials, 3, "the first showed that it is quick");
    world
}

#[test]
fn a_caller_whose_dial_made_room_is_told_at_the_time_out_unless_another_may_succeed() {
    for (retry, tells) in [(false, 1), (true, 0)] {
        let mut world = made_room(|l| l.retry = retry);
        world.run(&Op::Pass(8_999));
        assert_eq!(told(&mut world, 0), 0);
        world.run(&Op::Pass(1));
        assert_eq!(told(&mut world, 0), tells, "with retry: {retry}");
    }
}

#[test]
fn a_caller_whose_dial_made_room_is_served_by_the_next_and_nobody_is_owed_anything() {
    let mut world = made_room(|_| {});
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::Poll(Pick::FIRST));
    assert_eq!(world.loans.len(), 1);
    world.acquire_of(0);
    world.run(&Op::Pass(20_000));
    assert_eq!(told(&mut world, 0), 0, "it waits for the loan");
}

#[test]
fn a_newcomer_at_the_cap_of_a_host_with_an_old_slow_dial_gets_the_next_dial_at_once() {
    let mut world = of_quick_server(|l| l.max_per_host = 1);
    world.acquire_of(0);
    world.run(&Op::Pass(500));
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::Pass(20_000));
    let dials = world.host_of(0).counted().usual.dials;
    world.acquire_of(0);
    assert_eq!(world.host_of(0).counted().usual.dials, dials + 1);
}

/// The server refuses each dial.
fn refuses(world: &mut World) {
    while !world.dials.is_empty() {
        world.run(&Op::DialFailed(Pick::FIRST, false));
    }
}

#[test]
fn a_connection_that_was_found_dead_does_not_show_that_loans_come_back() {
    for (ends, tells) in [(Op::Discard(Pick::FIRST), 1), (Op::Return(Pick::FIRST, true), 0)] {
        let mut world = world(|_| {});
        (0..2).for_each(|_| world.borrow(0));
        (0..2).for_each(|_| world.acquire_of(0));
        refuses(&mut world);
        world.run(&Op::Pass(2_000));
        world.run(&ends);
        refuses(&mut world);
        world.run(&Op::Pass(1_500));
        refuses(&mut world);
        assert_eq!(told(&mut world, 0).min(1), tells, "{ends:?}");
    }
}

#[test]
fn a_dial_that_succeeds_after_it_was_cut_off_forgives_nothing() {
    let mut world = that_is_quick(shuffled(|l| l.max_per_host = 1));
    world.acquire_of(0);
    world.run(&Op::Pass(1_000));
    assert!(world.dials[0].order.stop.get(), "it is to make room");
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(world.host_of(0).dials().pace().troubles(), 1);
}

#[test]
fn a_host_that_failed_is_remembered_as_long_as_an_idle_connection_or_its_pause() {
    let pause = Duration::from_secs(4);
    for (idle, kept) in [(secs(1), 4_000), (secs(10), 10_000), (unlimited().idle_timeout, 90_000)] {
        let mut world = world(|l| {
            l.idle_timeout = idle;
            l.backoff = Backoff::default().initial(pause).jitter(0.0);
        });
        world.acquire_of(0);
        world.run(&Op::DialFailed(Pick::FIRST, false));
        world.run(&Op::Poll(Pick::FIRST));
        world.run(&Op::Pass(kept - 10));
        assert!(world.find(0).is_some(), "{idle:?}");
        world.run(&Op::Pass(10));
        assert!(world.find(0).is_none(), "{idle:?}");
    }
}

#[test]
fn a_caller_of_warm_after_slow_dials_is_told_that_there_is_no_permit() {
    let mut world = shuffled(|l| l.max_total = 1);
    world.acquire_of(0);
    world.run(&Op::Pass(2_500));
    world.run(&Op::Hold(0));
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::DialFailed(Pick::FIRST, true));
    world.borrow(1);
    world.run(&Op::Pass(10_000));
    world.run(&Op::Warm(0, 1));
    for _ in 0..3 {
        world.run(&Op::Pass(1_000));
        world.run(&Op::LookWarm(Pick::FIRST));
    }
    assert_eq!(world.told, [Progress::NoRoom]);
}

#[test]
fn a_caller_of_warm_waits_for_slow_dials_also_after_one_has_succeeded() {
    let mut world = of_quick_server(|l| (l.max_per_host, l.max_total) = (3, 3));
    world.run(&Op::Warm(0, 3));
    world.run(&Op::Pass(1_500));
    assert_eq!(world.dials.len(), 3, "the last one is in the place of the first");
    world.run(&Op::DialDone(Pick(2)));
    world.run(&Op::DialDone(Pick(0)));
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!((world.told.len(), world.warmers.len()), (0, 1), "the other dials go on");
    while !world.dials.is_empty() {
        world.run(&Op::DialDone(Pick::FIRST));
    }
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!(world.told, [Progress::Reached]);
}
