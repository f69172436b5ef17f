//! Events that only time causes.

use super::super::Progress;
use super::super::connections::entry::State;
use super::super::programs::{Answer, Op, Pick, beats};
use super::support::{secs, shared, shuffled, shuffled_shared, with_idle, world};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::Time;

#[test]
fn a_connection_kept_for_the_minimum_idle_stays_while_it_answers_pings() {
    let mut world = with_idle(2, |l| {
        (l.min_idle_per_host, l.idle_timeout, l.heartbeat) = (1, secs(15), Some(beats()));
    });
    for _ in 0..10 {
        world.run(&Op::Pass(4000));
        while !world.pings.is_empty() {
            world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
        }
    }
    assert!(!world.closes.is_empty());
    assert_eq!((world.host_of(0).gauges().idle, world.dials.len()), (1, 0));
}

#[test]
fn a_connection_kept_for_the_minimum_idle_is_replaced_if_nothing_pings_it() {
    let mut world = with_idle(1, |l| (l.min_idle_per_host, l.idle_timeout) = (1, secs(15)));
    while !world.dials.is_empty() {
        world.run(&Op::DialDone(Pick::FIRST));
    }
    world.run(&Op::Pass(15_000));
    assert!(!world.closes.is_empty());
    assert_eq!(world.closes[0].1.reason, CloseReason::Idle);
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn an_exclusive_loan_is_not_scheduled_for_its_age() {
    let mut world = world(|l| l.max_lifetime = secs(10));
    world.borrow(0);
    world.run(&Op::Pass(9_000));
    world.run(&Op::Pass(60_000));
    assert_eq!(world.next_look(), Time::NEVER);
}

#[test]
fn a_loan_that_is_held_for_long_is_reported_in_time_and_once() {
    let mut world = world(|l| l.leak_after = secs(7));
    world.borrow(0);
    world.run(&Op::Pass(6_999));
    assert_eq!(world.leaks, 0);
    world.run(&Op::Pass(1));
    assert_eq!(world.leaks, 1);
    world.run(&Op::Pass(60_000));
    assert_eq!(world.leaks, 1);
    world.return_last();
    assert_eq!(world.leaks, 0, "and is reported as back");
}

#[test]
fn a_warm_request_that_others_leave_no_room_for_is_told_so_within_a_second() {
    for min_idle in [0, 1] {
        // Host 1 has all it needs of two places, of which one is dialed at a time; the request for
        // host 0 comes last.
        let mut world = world(|l| {
            (l.max_total, l.max_dialing, l.min_idle_per_host) = (2, 1, min_idle);
        });
        (0..2).for_each(|_| world.acquire_of(1));
        world.run(&Op::Warm(0, 1));
        (0..2).for_each(|_| world.run(&Op::DialDone(Pick::FIRST)));
        (0..2).for_each(|_| world.run(&Op::Poll(Pick::FIRST)));
        assert!(world.woken.is_empty());
        world.run(&Op::Pass(1_000));
        assert_eq!(world.woken.len(), 1);
        world.run(&Op::LookWarm(Pick::FIRST));
        assert_eq!(world.told, [Progress::NoRoom]);
    }
}

#[test]
fn a_shared_connection_drains_at_the_end_of_its_life_also_while_it_is_used() {
    let mut world = shared(2, |l| l.max_lifetime = secs(10));
    world.borrow(0);
    world.run(&Op::Pass(9_999));
    assert_eq!(world.host_of(0).gauges().draining, 0);
    world.run(&Op::Pass(1));
    assert_eq!(world.host_of(0).gauges().draining, 1);
}

#[test]
fn a_connection_draining_for_a_lowered_cap_drains_for_good_at_its_max_lifetime() {
    let mut world = shared(1, |l| l.max_lifetime = secs(10));
    world.borrow(0);
    world.borrow(0);
    world.run(&Op::SetMax(0, 1));
    world.now = world.now.after(secs(11));
    world.maintain();
    let host = world.host_of(0);
    let aged = host.connections().slots(|entry| entry.state == State::Draining(CloseReason::Age));
    assert_eq!((host.gauges().draining, aged.len()), (2, 2));
}

#[test]
fn a_host_that_is_waited_for_is_looked_at_first() {
    let mut world = world(|l| (l.max_per_host, l.max_lifetime) = (1, secs(10)));
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(3_000));
    assert!(!world.host_of(0).look().waited_for);
    world.borrow(0);
    // Every third caller has a deadline, later than the noted look.
    world.acquire_of(0);
    assert!(world.host_of(0).look().waited_for);
}

#[test]
fn a_connection_past_its_lifetime_is_not_lent_where_maintenance_is_late() {
    let limit = |limits: &mut Limits| limits.max_lifetime = secs(60);
    for mut world in [shuffled(limit), shuffled_shared(2, limit)] {
        world.borrow(0);
        world.return_last();
        world.run(&Op::Late(59_000));
        world.acquire_of(0);
        assert_eq!(world.loans.len(), 1, "it is lent once more");
        world.return_last();
        world.run(&Op::Late(1000));
        world.acquire_of(0);
        assert_eq!((world.loans.len(), world.dials.len()), (0, 1));
    }
}

#[test]
fn no_more_connections_than_the_minimum_are_kept_past_their_idle_time_out() {
    let mut world = with_idle(2, |limits| {
        limits.min_idle_per_host = 1;
        limits.idle_timeout = secs(15);
        limits.heartbeat = Some(beats());
    });
    for _ in 0..16 {
        world.run(&Op::Pass(1000));
        while !world.pings.is_empty() {
            world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
        }
    }
    world.acquire_of(0);
    // Of three: one was made for the minimum.
    assert_eq!((world.loans.len(), world.closes.len()), (1, 2));
}

#[test]
fn a_connection_that_returns_shortly_before_the_end_of_its_life_is_watched_among_many() {
    let mut world = world(|limits| {
        limits.idle_timeout = secs(60);
        limits.max_lifetime = secs(100);
    });
    (0..3).for_each(|_| world.borrow(0));
    // Two are idle for too long soon; those that are added are not.
    for seconds in [8, 41] {
        world.return_last();
        world.run(&Op::Pass(seconds * 1000));
    }
    (0..70).for_each(|_| world.run(&Op::Add(0)));
    world.run(&Op::Pass(14_000));
    assert_eq!(world.closes.len(), 1, "the times of all were looked at");
    world.return_last();
    world.run(&Op::Pass(41_000));
    let closed = world.closes.iter().filter(|(_, order)| order.reason == CloseReason::Age);
    assert_eq!(closed.count(), 1, "at the end of its life");
}
