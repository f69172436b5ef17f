//! Leases, and the pings of what carries them.

use super::super::programs::{Op, Pick};
use super::super::*;
use super::support::shared;

#[test]
fn a_lease_that_its_waiter_did_not_take_is_no_use_of_the_connection() {
    let mut world = shared(1, |l| (l.max_per_host, l.max_uses) = (1, 2));
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    world.return_one();
    let (_, host, id) = world.waits.pop().expect("it has a lease in its hand");
    let lease = world.engine.cancel(host.index, id, world.now, &mut world.fx).expect("a lease");
    world.hand_back((host, lease), true);
    world.carry_out();
    assert!(world.closes.is_empty(), "it was used once, and may be twice");
    assert_eq!(world.borrow(0).1.uses, 2);
    world.return_one();
    assert_eq!(world.closes.len(), 1, "it was used twice");
}

#[test]
fn of_a_connection_that_takes_fewer_leases_those_that_fit_stay() {
    let mut world = shared(3, |l| l.max_per_host = 1);
    world.borrow(0);
    world.borrow(0);
    let (host, mut lease) = world.loans.pop().expect("there are two");
    let mut fits = |leases| {
        lease.max_leases = leases;
        world.engine.max_leases_told(host.index, &lease, world.now, &mut world.fx)
    };
    assert!(fits(2));
    assert!(!fits(1));
}

#[test]
fn when_one_that_was_asked_for_a_waiter_is_dead_the_leased_ones_are_asked_too() {
    let mut world = shared(1, |l| (l.max_per_host, l.ping_after) = (3, Span::ZERO));
    for _ in 0..3 {
        world.borrow(0);
    }
    world.return_one();
    world.run(&Op::Acquire(0, false));
    let asked = world.pings.pop().expect("the idle one, before it is lent");
    assert!(world.pings.is_empty());
    world.checked(asked, false);
    world.carry_out();
    assert_eq!(world.pings.len(), 2, "the two that are leased");
}

#[test]
fn a_lowered_cap_lets_no_more_leave_than_are_too_many_beside_those_being_dialed() {
    let mut world = shared(1, |_| {});
    world.borrow(0);
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.host_of(0).leaving, 0);
    world.run(&Op::SetMax(0, 1));
    assert_eq!(world.host_of(0).leaving, 1);
}

#[test]
fn a_connection_that_is_not_used_up_after_all_goes_on() {
    let mut world = shared(2, |l| (l.max_per_host, l.max_uses) = (1, 2));
    world.run(&Op::Acquire(0, false));
    world.run(&Op::Acquire(0, false));
    world.run(&Op::DialDone(Pick::FIRST));
    let [first, second] = [world.waits.remove(0), world.waits.remove(0)];
    world.poll(first);
    world.carry_out();
    world.return_one();
    assert_eq!(world.host_of(0).leaving, 1, "both of its uses are taken");
    let (_, host, id) = second;
    let lease = world.engine.cancel(host.index, id, world.now, &mut world.fx).expect("a lease");
    world.hand_back((host, lease), true);
    world.carry_out();
    world.check();
    assert!(world.closes.is_empty());
    assert_eq!(world.borrow(0).1.uses, 2);
}
