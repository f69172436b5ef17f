//! What is lent, and to whom.

use super::super::programs::{Op, Pick};
use super::support::{secs, shared, with_idle, world};
use crate::policy::reuse::Reuse;
use crate::policy::time::Time;

#[test]
fn what_is_at_the_end_of_its_time_is_not_lent() {
    for mut world in
        [world(|l| l.idle_timeout = secs(15)), shared(2, |l| l.idle_timeout = secs(15))]
    {
        world.borrow(0);
        world.return_last();
        world.now = world.now.after(secs(15));
        world.run(&Op::Try(0, false));
        assert_eq!((world.loans.len(), world.closes.len()), (0, 1));
    }
}

#[test]
fn the_most_recently_used_is_lent_first_or_the_least_recently_used() {
    for (reuse, expected) in [(Reuse::MostRecent, 0), (Reuse::LeastRecent, 1)] {
        let mut world = with_idle(2, |l| l.reuse = reuse);
        world.acquire_of(0);
        // The second was returned first.
        assert_eq!(world.loans[0].1.connection, expected);
    }
}

#[test]
fn what_came_before_the_time_was_over_counts_as_served() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    world.acquire_of(0);
    world.return_last();
    world.run(&Op::Expire(Pick::FIRST));
    let counted = world.host_of(0).counted();
    assert_eq!((world.loans.len(), counted.usual.served, counted.rare.timed_out), (1, 2, 0));
}

#[test]
fn the_time_of_a_wait_counts_that_ended_with_an_error() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    world.run(&Op::Pass(5000));
    world.run(&Op::DialFailed(Pick::FIRST, false));
    world.run(&Op::Poll(Pick::FIRST));
    let counted = world.host_of(0).counted();
    assert_eq!((counted.rare.failed, counted.usual.wait_time.as_secs()), (1, 5));
}

#[test]
fn a_dial_for_a_waiter_names_its_runtime() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    assert!(world.dials[0].order.runtime.is_some());
}

#[test]
fn what_has_no_end_is_not_looked_at() {
    let mut world = with_idle(1, |_| {});
    world.borrow(0);
    assert_eq!(world.next_look(), Time::NEVER);
}

#[test]
fn those_whom_maintenance_watched_are_woken_when_it_is_lost() {
    let mut world = world(|l| l.max_per_host = 1);
    // Every third caller is watched.
    (0..4).for_each(|_| world.acquire_of(0));
    world.run(&Op::MaintenanceLost);
    assert_eq!(world.woken, [3], "the others wait for as long as they say themselves");
}

#[test]
fn a_host_beyond_its_minimum_idle_looks_at_the_oldest_in_time() {
    let mut world = world(|l| (l.min_idle_per_host, l.idle_timeout) = (1, secs(15)));
    world.borrow(0);
    world.run(&Op::Pass(10_000));
    world.return_last();
    world.run(&Op::Pass(6_000));
    assert_eq!(world.closes.len(), 1, "of two, the one that was idle for longer");
}

#[test]
fn what_goes_idle_for_one_who_gives_up_is_closed_above_the_limit() {
    let mut world = world(|l| (l.max_idle_per_host, l.ping_after) = (0, secs(0)));
    world.borrow(0);
    world.run(&Op::SetMax(0, 1));
    world.acquire_of(0);
    world.return_last();
    world.run(&Op::Cancel(Pick::FIRST));
    while !world.pings.is_empty() {
        world.run(&Op::PingEnded(Pick::FIRST, super::super::programs::Answer::Yes));
    }
    assert_eq!(world.closes.len(), 1);
}
