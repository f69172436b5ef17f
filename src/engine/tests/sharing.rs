//! Leases, and the connections that carry them.

use std::sync::Arc;

use super::super::connections::entry::State;
use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick};
use super::super::{Asking, Seat};
use super::support::{secs, shared};
use crate::policy::limits::Limits;
use crate::policy::order::Order;
use crate::policy::time::{Span, Time};

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
fn a_lease_that_ends_serves_nobody_while_the_others_are_as_many_as_its_connection_takes() {
    let mut world = shared(4, |l| l.max_per_host = 1);
    (0..4).for_each(|_| world.borrow(0));
    (0..2).for_each(|_| world.acquire_of(0));
    world.run(&Op::Carry(2));
    for (others, served) in [(3, 0), (2, 0), (1, 1)] {
        world.return_last();
        let waiting = world.host_of(0).waiting();
        assert_eq!(2 - waiting, served, "with {others} others of two");
    }
}

#[test]
fn a_lowered_cap_lets_no_more_leave_than_are_too_many_beside_those_being_dialed() {
    let mut world = shared(1, |_| {});
    world.borrow(0);
    world.borrow(0);
    world.acquire_of(0);
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.host_of(0).gauges().draining, 0);
    world.run(&Op::SetMax(0, 1));
    assert_eq!(world.host_of(0).gauges().draining, 1);
}

#[test]
fn peers_are_asked_once_a_second_while_somebody_waits_and_not_otherwise() {
    let mut world = shared(1, |l| l.max_per_host = 1);
    world.borrow(0);
    world.run(&Op::Pass(3000));
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

#[test]
fn draining_connections_give_up_as_many_slots_as_the_cap() {
    let mut world = shared(1, |l| l.max_per_host = 2);
    (0..2).for_each(|_| world.borrow(0));
    world.run(&Op::Retire(0));
    assert_eq!(world.host_of(0).gauges().places, 0);
    (0..2).for_each(|_| world.borrow(0));
    world.run(&Op::Retire(0));
    assert_eq!(world.host_of(0).gauges().places, 2, "what drains holds all that it may");
    world.acquire_of(0);
    assert!(world.dials.is_empty());
    world.run(&Op::Return(Pick::FIRST, true));
    world.run(&Op::CloseEnded(Pick::FIRST));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_last_use_that_was_none_leaves_the_connection_open_where_it_has_a_place() {
    for (others, closes) in [(0, 0), (1, 1)] {
        let mut world = shared(1, |l| (l.max_per_host, l.max_uses) = (1, 2));
        world.borrow(0);
        world.acquire_of(0);
        world.return_last();
        assert_eq!(world.host_of(0).gauges().draining, 1, "it was lent for the last time");
        world.run(&Op::Cancel(Pick::FIRST));
        (0..others).for_each(|_| world.borrow(0));
        world.run(&Op::HandBack(Pick::FIRST, true));
        assert_eq!(world.closes.len(), closes, "with {others} in its place");
    }
}

#[test]
fn of_those_with_room_the_oldest_is_lent_first_however_it_was_used() {
    let mut world = shared(2, |_| {});
    (0..3).for_each(|_| world.borrow(0));
    assert_eq!(world.loans[2].1.connection, 1);
    // The first of the two is the last to be returned.
    (0..3).for_each(|_| world.return_last());
    world.acquire_of(0);
    assert_eq!(world.loans[0].1.connection, 0);
}

/// Hosts 0 and 2 have a connection with two leases each, and host 1 wants one of the two permits.
fn two_of_whom_one_makes_room(set: impl FnOnce(&mut Limits)) -> World {
    let mut world = shared(2, |l| {
        l.max_total = 2;
        set(l);
    });
    for key in [0, 0, 2, 2] {
        world.borrow(key);
    }
    world.acquire_of(1);
    world.run(&Op::Pass(1000));
    // One lease of each.
    world.run(&Op::Return(Pick(0), true));
    world.run(&Op::Return(Pick(1), true));
    world
}

#[test]
fn one_connection_that_drains_is_room_enough_for_one_who_wants_it() {
    let mut world = two_of_whom_one_makes_room(|_| {});
    assert_eq!(world.host_of(0).gauges().draining, 1);
    assert_eq!(world.host_of(2).gauges().draining, 0);
    // Its last lease.
    world.run(&Op::Return(Pick(0), true));
    world.run(&Op::CloseEnded(Pick::FIRST));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn for_each_one_who_wants_room_one_connection_drains() {
    let mut world = shared(2, |l| l.max_total = 3);
    for key in [0, 0, 0, 0, 2, 2] {
        world.borrow(key);
    }
    world.acquire_of(1);
    world.acquire_of(3);
    world.run(&Op::Pass(1000));
    world.run(&Op::Return(Pick(0), true));
    world.run(&Op::Return(Pick(4), true));
    assert_eq!(world.host_of(0).gauges().draining, 1);
    assert_eq!(world.host_of(2).gauges().draining, 1);
}

/// Whether a waiter needs the first ping of host 0.
fn is_needed(world: &mut World) -> bool {
    let mut pings = world.host_of(0).all_pings().iter();
    pings.next().is_some_and(|(_, ping)| ping.needed)
}

#[test]
fn a_connection_draining_to_make_room_is_lent_again_after_a_ping_if_the_room_is_not_needed() {
    let mut world = two_of_whom_one_makes_room(|l| l.max_per_host = 1);
    world.run(&Op::Cancel(Pick::FIRST));
    assert_eq!((world.host_of(0).gauges().draining, world.pings.len()), (0, 1));
    assert!(!is_needed(&mut world));
    world.run(&Op::Try(0, false));
    assert_eq!(world.loans.len(), 2, "it is pinged first");
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Try(0, false));
    assert_eq!(world.loans.len(), 3);
}

#[test]
fn a_connection_draining_to_make_room_serves_its_own_host_once_no_other_needs_the_room() {
    let mut world = two_of_whom_one_makes_room(|l| l.max_per_host = 1);
    world.acquire_of(0);
    assert_eq!(world.host_of(0).gauges().draining, 1, "host 1 came first");
    world.run(&Op::Cancel(Pick::FIRST));
    assert_eq!((world.host_of(0).gauges().draining, world.pings.len()), (0, 1));
    assert!(is_needed(&mut world), "somebody waits for its answer");
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    assert_eq!(world.loans.len(), 3);
}

#[test]
fn a_connection_draining_to_make_room_stays_draining_if_the_cap_leaves_no_slot() {
    let mut world = shared(2, |l| l.max_total = 4);
    (0..6).for_each(|_| world.borrow(0));
    (0..2).for_each(|_| world.borrow(1));
    world.acquire_of(1);
    // Host 0 has two more than host 1, and gives one up at once.
    world.run(&Op::Return(Pick::FIRST, true));
    assert_eq!(world.host_of(0).gauges().draining, 1);
    world.run(&Op::SetMax(0, 2));
    world.run(&Op::Cancel(Pick::FIRST));
    assert_eq!((world.host_of(0).gauges().draining, world.pings.len()), (1, 0));
}

#[test]
fn a_raised_cap_brings_back_draining_connections_oldest_first() {
    let of = |raised| {
        let mut world = shared(1, |_| {});
        (0..4).for_each(|_| world.borrow(0));
        world.run(&Op::SetMax(0, 1));
        assert_eq!(world.host_of(0).gauges().draining, 3);
        world.run(&Op::SetMax(0, raised));
        let entries = world.host_of(0).connections().iter();
        let drains = |state| matches!(state, State::Draining(_));
        let draining = entries.filter(|(_, entry)| drains(entry.state)).map(|(_, entry)| entry.id);
        draining.collect::<Vec<_>>()
    };
    assert_eq!((of(2), of(3), of(4)), (vec![3, 4], vec![4], vec![]));
}

#[test]
fn a_ping_brings_as_many_leases_as_its_connection_takes() {
    let mut world = shared(3, |l| l.ping_after = secs(0));
    world.borrow(0);
    world.return_last();
    (0..3).for_each(|_| world.acquire_of(0));
    assert_eq!((world.pings.len(), world.dials.len()), (1, 0));
    world.acquire_of(0);
    assert_eq!((world.pings.len(), world.dials.len()), (1, 1));
}

#[test]
fn an_answer_of_a_closed_peer_is_not_taken_for_that_of_its_successor() {
    let mut world = shared(1, |l| l.max_per_host = 1);
    world.run(&Op::Hold(0));
    world.borrow(0);
    let at = world.find(0).expect("it is known");
    let peers = world.cells[at].state.full_peers(Asking::Caller, &world.common);
    world.return_last();
    world.run(&Op::CloseIdle);
    world.run(&Op::CloseEnded(Pick::FIRST));
    world.borrow(0);
    world.change(at, |state, section| state.heard(&peers[0], 0, section));
    assert_eq!(world.host_of(0).gauges().in_use, 1, "the one that came after it");
}

#[test]
fn a_look_at_a_connection_is_no_proof_of_its_life() {
    let mut world = shared(2, |l| (l.max_per_host, l.ping_after) = (2, Span::ZERO));
    world.run(&Op::Warm(0, 2));
    (0..2).for_each(|_| world.run(&Op::DialDone(Pick::FIRST)));
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 1, "it waits for the answer of one of them");
    world.run(&Op::Inspect(0));
    assert_eq!(world.host_of(0).waiting(), 1, "the other one was not asked");
}

/// Returns who has a lease and has not seen it yet.
fn served(world: &World) -> Option<Pick> {
    let is_served = |seat: &Seat<_>| matches!(seat, Seat::Served(_));
    let at = world.waits.iter().position(|wait| is_served(&wait.waiter.seat.lock()))?;
    Some(Pick(u8::try_from(at).expect("few wait")))
}

#[test]
fn under_overload_a_patient_waiter_for_a_lease_is_served_though_each_return_needs_a_ping() {
    let mut world = shared(2, |l| {
        (l.max_per_host, l.ping_after, l.order) = (1, Span::ZERO, Order::Adaptive);
    });
    (0..2).for_each(|_| world.borrow(0));
    world.acquire_of(0);
    let patient = world.waits[0].waiter.clone();
    for _ in 0..64 {
        world.acquire_of(0);
        world.run(&Op::Pass(10));
        world.run(&Op::Cancel(Pick(1)));
    }
    // One leaves who was served: the next turn is an odd one.
    (0..2).for_each(|_| world.acquire_of(0));
    world.return_last();
    world.run(&Op::Cancel(served(&world).expect("one in two")));
    world.run(&Op::HandBack(Pick::FIRST, true));
    for _ in 0..20 {
        while let Some(next) = served(&world) {
            if Arc::ptr_eq(&world.waits[usize::from(next.0)].waiter, &patient) {
                return;
            }
            world.run(&Op::Poll(next));
        }
        world.acquire_of(0);
        world.return_last();
    }
    panic!("twenty others were served");
}
