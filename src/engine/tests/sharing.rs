//! Leases, and what carries them.

use super::super::programs::{Op, Pick};
use super::support::{secs, shared};
use crate::policy::time::Time;

#[test]
fn a_lease_that_its_waiter_did_not_take_is_no_use_of_the_connection() {
    let mut world = shared(1, |l| (l.max_per_host, l.max_uses) = (1, 3));
    world.borrow(0);
    world.acquire_of(0);
    world.return_last();
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::HandBack(Pick::FIRST, true));
    assert!(world.closes.is_empty(), "it was used once, and may be three times");
    world.borrow(0);
    world.return_last();
    assert!(world.closes.is_empty());
    world.borrow(0);
    world.return_last();
    assert_eq!(world.closes.len(), 1, "it was used three times");
}

#[test]
fn of_a_connection_that_takes_fewer_leases_those_that_fit_stay() {
    let mut world = shared(3, |l| l.max_per_host = 1);
    world.borrow(0);
    world.borrow(0);
    let host = world.host_of(0);
    assert!(host.takes_its_leases(0, 2));
    assert!(!host.takes_its_leases(0, 1));
}

#[test]
fn a_lowered_cap_lets_no_more_leave_than_are_too_many_beside_those_being_dialed() {
    let mut world = shared(1, |_| {});
    world.borrow(0);
    world.borrow(0);
    world.acquire_of(0);
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.host_of(0).gauges.draining, 0);
    world.run(&Op::SetMax(0, 1));
    assert_eq!(world.host_of(0).gauges.draining, 1);
}

#[test]
fn peers_are_asked_once_a_second_while_somebody_waits_and_not_otherwise() {
    let mut world = shared(1, |l| l.max_per_host = 1);
    world.borrow(0);
    world.run(&Op::Pass(1000));
    assert_eq!(world.next_look(), Time::NEVER);
    world.acquire_of(0);
    let waits_since = world.now;
    for second in 1..=3 {
        assert_eq!(world.next_look(), waits_since.after(secs(second)));
        world.now = world.next_look();
        world.maintain();
    }
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::Pass(1000));
    assert_eq!(world.next_look(), Time::NEVER);
}
