//! Connections that their borrower suspects.

use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::support::{shared, world};
use crate::policy::close_reason::CloseReason;

const REFUSED: Answer = Answer::Error { is_open: true };

/// A connection that takes four leases, with one lease, whose borrower suspects it.
fn doubted() -> World {
    let mut world = shared(4, |l| l.max_per_host = 2);
    world.borrow(0);
    world.run(&Op::Doubt(Pick::FIRST));
    world
}

#[test]
fn a_shared_one_is_pinged_at_once_and_takes_leases_again_when_it_has_answered() {
    let mut world = doubted();
    assert_eq!(world.pings.len(), 1);
    world.acquire_of(0);
    assert_eq!((world.loans.len(), world.waits.len(), world.dials.len()), (1, 1, 0));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    world.acquire_of(0);
    assert_eq!((world.loans.len(), world.waits.len(), world.pings.len()), (3, 0, 0));
}

#[test]
fn another_one_is_dialed_for_those_who_wait_for_longer_than_its_ping_counts() {
    let mut world = doubted();
    world.acquire_of(0);
    world.run(&Op::Pass(249));
    assert_eq!(world.dials.len(), 0);
    world.run(&Op::Pass(2));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn one_that_does_not_answer_gives_its_place_up_and_is_closed_after_its_last_lease() {
    let mut world = doubted();
    world.run(&Op::SetMax(0, 1));
    world.acquire_of(0);
    world.run(&Op::Pass(1000));
    assert_eq!(world.dials.len(), 0, "it has the only place");
    world.run(&Op::PingEnded(Pick::FIRST, REFUSED));
    assert_eq!((world.dials.len(), world.closes.len()), (1, 0));
    world.return_last();
    let reasons: Vec<_> = world.closes.iter().map(|(_, order)| order.reason).collect();
    assert_eq!(reasons, [CloseReason::PingFailed]);
}

#[test]
fn its_peers_are_suspect_only_once_it_has_not_answered() {
    let mut world = shared(1, |_| {});
    (0..3).for_each(|_| world.borrow(0));
    world.return_last();
    world.run(&Op::Doubt(Pick::FIRST));
    world.return_last();
    assert_eq!(
        (world.host_of(0).connections().generation(), world.pings.len()),
        (0, 0),
        "it is still lent"
    );
    world.return_last();
    assert_eq!(world.pings.len(), 1);
    world.run(&Op::PingEnded(Pick::FIRST, REFUSED));
    assert_eq!((world.host_of(0).connections().generation(), world.pings.len()), (1, 2));
}

#[test]
fn an_exclusive_one_is_pinged_when_it_returns() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    world.run(&Op::Doubt(Pick::FIRST));
    assert_eq!(world.pings.len(), 0);
    world.return_last();
    assert_eq!(world.pings.len(), 1);
    world.acquire_of(0);
    assert!(world.loans.is_empty());
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    assert_eq!(world.loans.len(), 1);
}

#[test]
fn an_exclusive_one_is_handed_to_who_waits_after_it_has_answered() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    world.acquire_of(0);
    world.run(&Op::Doubt(Pick::FIRST));
    world.return_last();
    assert_eq!((world.pings.len(), world.woken.len()), (1, 0));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    assert_eq!(world.woken.len(), 1);
}

#[test]
fn the_answer_to_a_heartbeat_will_do() {
    let mut world = shared(4, |l| l.heartbeat = Some(beats()));
    world.borrow(0);
    world.run(&Op::Pass(4000));
    world.run(&Op::Doubt(Pick::FIRST));
    world.acquire_of(0);
    assert_eq!((world.pings.len(), world.loans.len()), (1, 1), "one ping");
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    assert_eq!((world.pings.len(), world.loans.len()), (0, 2));
}
