//! Which connections are lent, and to which callers.

use super::super::Loan;
use super::super::programs::world::World;
use super::super::programs::{Op, Pick};
use super::super::{LoanView, Ticket};
use super::support::{secs, shared, shuffled, with_idle, world};
use crate::policy::close_reason::CloseReason;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::Time;

#[test]
fn an_idle_connection_past_its_idle_timeout_is_not_lent() {
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
fn a_waiter_served_before_its_time_out_is_not_counted_as_timed_out() {
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
    assert_eq!((counted.rare.failed, counted.usual.wait_time.nanos() / 1_000_000_000), (1, 5));
}

#[test]
fn a_dial_for_a_waiter_names_its_runtime() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    assert!(world.dials[0].order.runtime.is_some());
}

#[test]
fn a_host_without_deadlines_is_never_scheduled() {
    let mut world = with_idle(1, |_| {});
    world.borrow(0);
    world.run(&Op::Pass(3_000));
    assert_eq!(world.next_look(), Time::NEVER, "the look for a slow dial found nothing");
}

#[test]
fn waiters_that_maintenance_watched_are_woken_when_it_is_lost() {
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
fn a_connection_pinged_for_a_cancelled_waiter_is_closed_above_the_idle_limit() {
    let mut world = world(|l| (l.max_idle_per_host, l.ping_after) = (0, secs(0)));
    world.borrow(0);
    world.run(&Op::SetMax(0, 1));
    world.acquire_of(0);
    world.return_last();
    assert_eq!((world.pings.len(), world.closes.len()), (1, 0), "it is wanted");
    world.run(&Op::Cancel(Pick::FIRST));
    while !world.pings.is_empty() {
        world.run(&Op::PingEnded(Pick::FIRST, super::super::programs::Answer::Yes));
    }
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn idle_connections_above_the_limit_are_closed_when_the_last_waiter_cancels() {
    let mut world =
        world(|l| (l.max_per_host, l.max_idle_per_host, l.ping_after) = (2, 0, secs(0)));
    (0..2).for_each(|_| world.borrow(0));
    world.acquire_of(0);
    (0..2).for_each(|_| world.return_last());
    assert_eq!((world.pings.len(), world.closes.len()), (1, 0), "the other one waits its turn");
    world.run(&Op::Cancel(Pick::FIRST));
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn a_life_is_shorter_by_a_random_share_of_the_jitter() {
    // The random number in these tests is one half.
    let mut world = with_idle(1, |l| (l.max_lifetime, l.lifetime_jitter) = (secs(100), 0.1));
    world.run(&Op::Pass(94_999));
    assert!(world.closes.is_empty());
    world.run(&Op::Pass(1));
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn a_dial_counts_when_it_begins_and_its_time_when_it_succeeds() {
    let mut world = world(|_| {});
    (0..2).for_each(|_| world.acquire_of(0));
    world.run(&Op::DialDone(Pick::FIRST));
    let counted = world.host_of(0).counted().usual;
    assert_eq!((counted.dials, counted.dial_time.nanos() / 1_000_000), (2, 1));
}

#[test]
fn of_those_that_go_idle_at_once_under_a_cap_the_first_is_closed_first() {
    let mut world = shuffled(|l| l.max_idle = 1);
    for key in [0, 1, 2] {
        world.borrow(key);
    }
    // That of host 2 comes first, and that of host 0 last.
    (0..3).for_each(|_| world.return_last());
    (0..8).for_each(|_| world.run(&Op::CarryOut(Pick::FIRST)));
    let closed: Vec<_> = world.closes.iter().map(|(_, order)| order.connection).collect();
    assert_eq!(closed, [2, 1]);
}

#[test]
fn each_lease_on_a_connection_is_told_from_the_others() {
    let mut world = shared(3, |_| {});
    for _ in 0..3 {
        world.borrow(0);
        world.run(&Op::Pass(1000));
    }
    let mut of = |nth: usize| {
        let Loan { ticket, view: LoanView { since, is_first, .. }, .. } = world.loans[nth].1;
        let held = world.now.since(since).as_secs();
        (held, is_first, world.host_of(0).entry_view(ticket).uses)
    };
    assert_eq!([of(0), of(1), of(2)], [(3, true, 1), (2, false, 2), (1, false, 3)]);
}

/// Hosts 0 and 2 have a connection in use each, host 0 for longer, and host 1 waits for one of the
/// two permits.
fn two_for_three() -> World {
    let mut world = world(|l| l.max_total = 2);
    world.borrow(0);
    world.run(&Op::Pass(50));
    world.borrow(2);
    world.acquire_of(1);
    world
}

#[test]
fn the_host_that_has_served_for_longest_gives_its_connection_up_first() {
    let mut world = two_for_three();
    world.run(&Op::Pass(60));
    world.run(&Op::Return(Pick::FIRST, true));
    assert!(world.closes.is_empty(), "its tenure is over, and the turn of host 1 has not come");
    world.acquire_of(0);
    world.run(&Op::Pass(90));
    // That of host 2, and then that of host 0.
    world.run(&Op::Return(Pick::FIRST, true));
    assert!(world.closes.is_empty());
    world.run(&Op::Return(Pick::FIRST, true));
    assert_eq!((world.closes.len(), world.closes[0].1.reason), (1, CloseReason::MadeRoom));
}

#[test]
fn another_host_gives_its_connection_up_when_the_longest_serving_one_keeps_it() {
    let mut world = two_for_three();
    // Its turn, and a further tenure.
    world.run(&Op::Pass(201));
    world.run(&Op::Return(Pick(1), true));
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn a_lease_tells_how_long_its_connection_was_idle_unless_others_use_it() {
    let mut world = shared(2, |_| {});
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(5000));
    (0..2).for_each(|_| world.borrow(0));
    let host = world.host_of(0);
    let idle_for = |lease| host.entry_view(Ticket { slot: 0, lease }).idle_for.as_secs();
    assert_eq!([idle_for(0), idle_for(1)], [5, 0]);
}

#[test]
fn of_those_that_carry_as_few_the_one_is_lent_that_an_exclusive_pool_would_lend() {
    for (reuse, expected) in [(Reuse::MostRecent, 0), (Reuse::LeastRecent, 1)] {
        let mut world = shared(2, |l| (l.spread, l.reuse) = (Spread::LeastLoaded, reuse));
        (0..3).for_each(|_| world.borrow(0));
        // That of the second connection comes first.
        (0..3).for_each(|_| world.return_last());
        world.acquire_of(0);
        assert_eq!(world.loans[0].1.connection, expected);
    }
}

#[test]
fn a_closed_connection_found_by_an_acquire_is_not_counted_as_reused() {
    let mut world = with_idle(2, |_| {});
    world.run(&Op::Acquire(0, true));
    assert_eq!(world.host_of(0).counted().usual.reused, 1, "the second one");
    assert_eq!((world.loans.len(), world.closes.len()), (1, 1));
}

#[test]
fn the_most_that_were_in_use_at_once_are_remembered() {
    let mut world = with_idle(3, |_| {});
    world.run(&Op::Discard(Pick::FIRST));
    assert_eq!(world.host_of(0).counted().usual.peak_in_use, 3);
    let mut world = with_idle(1, |_| {});
    (0..2).for_each(|_| world.acquire_of(0));
    assert_eq!(world.host_of(0).counted().usual.peak_in_use, 1);
}

#[test]
fn a_host_gives_a_connection_up_at_once_for_one_that_has_two_fewer() {
    for (of_other, closes) in [(3, 1), (4, 0)] {
        let mut world = world(|l| l.max_total = 5 + of_other);
        (0..5).for_each(|_| world.borrow(0));
        (0..of_other).for_each(|_| world.borrow(1));
        world.acquire_of(1);
        world.run(&Op::Return(Pick::FIRST, true));
        assert_eq!(world.closes.len(), closes, "five, and {of_other}");
    }
}

#[test]
fn idle_connections_above_the_limit_are_closed_when_the_last_waiter_is_served() {
    let mut world = world(|l| (l.max_per_host, l.max_idle_per_host) = (3, 0));
    (0..3).for_each(|_| world.borrow(0));
    world.run(&Op::Discard(Pick::FIRST));
    world.run(&Op::CloseEnded(Pick::FIRST));
    world.borrow(0);
    world.acquire_of(0);
    // Two suspects, of which one is pinged, and then one that serves the only waiter.
    (0..2).for_each(|_| world.run(&Op::Return(Pick::FIRST, true)));
    assert_eq!((world.pings.len(), world.closes.len()), (1, 0));
    world.run(&Op::Return(Pick::FIRST, true));
    assert_eq!((world.host_of(0).waiting(), world.closes.len()), (0, 1));
}
