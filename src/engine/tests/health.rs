//! Suspects, and what is found out about them.

use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::support::{shared, shuffled, world};
use crate::policy::time::Span;

const REFUSED: Answer = Answer::Error { is_open: false };

#[test]
fn the_second_one_found_dead_that_was_not_suspect_makes_its_peers_suspect_too() {
    let mut world = world(|_| {});
    (0..4).for_each(|_| world.borrow(0));
    world.discard(Pick::FIRST);
    assert_eq!(world.host_of(0).generation, 1);
    // Made after the first was found dead.
    world.borrow(0);
    world.borrow(0);
    world.discard(Pick(4));
    assert_eq!(world.host_of(0).generation, 2);
    // One that was suspect already is no news.
    world.discard(Pick::FIRST);
    assert_eq!(world.host_of(0).generation, 2);
}

#[test]
fn an_error_in_answer_to_a_heartbeat_while_somebody_waits_closes_the_connection() {
    let mut world = world(|l| (l.heartbeat, l.max_per_host) = (Some(beats()), 1));
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(4000));
    world.acquire_of(0);
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Error { is_open: true }));
    assert_eq!((world.closes.len(), world.dials.len()), (1, 1), "a dial takes its place");
}

#[test]
fn a_late_heartbeat_is_given_up_where_it_keeps_a_waiter_from_a_connection() {
    let mut world = world(|l| (l.heartbeat, l.max_per_host) = (Some(beats()), 2));
    world.borrow(0);
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(4000));
    world.run(&Op::BeatMissed(Pick::FIRST));
    world.acquire_of(0);
    assert!(world.pings.is_empty(), "it keeps somebody waiting");
}

#[test]
fn no_heartbeat_begins_in_a_pool_that_has_ended() {
    let mut world = shared(2, |l| l.heartbeat = Some(beats()));
    world.borrow(0);
    world.run(&Op::Orphan);
    world.run(&Op::Pass(20_000));
    assert!(world.pings.is_empty());
}

#[test]
fn when_one_that_was_pinged_for_a_waiter_is_dead_its_peers_are_pinged() {
    let mut world = world(|l| l.ping_after = Span::ZERO);
    (0..3).for_each(|_| world.acquire_of(0));
    (0..3).for_each(|_| world.run(&Op::DialDone(Pick::FIRST)));
    (0..3).for_each(|_| world.run(&Op::Poll(Pick::FIRST)));
    (0..3).for_each(|_| world.return_last());
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 1, "one, before it is lent");
    world.run(&Op::PingEnded(Pick::FIRST, REFUSED));
    assert_eq!((world.pings.len(), world.dials.len()), (2, 1), "a dial takes its place");
}

/// The heartbeat keeps its connection from the scan before, which lists the host by a younger one.
#[test]
fn one_that_answers_a_heartbeat_on_the_way_of_a_scan_is_the_one_that_makes_room() {
    let mut world = shuffled(|l| (l.heartbeat, l.max_total) = (Some(beats()), 3));
    world.borrow(0);
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(3000));
    world.borrow(1);
    world.return_last();
    world.run(&Op::Pass(1000));
    world.return_last();
    assert_eq!(world.pings.len(), 1);
    world.acquire_of(2);
    carry_out_all(&mut world);
    assert_eq!(world.closes.len(), 1, "that of host 1: it is older than the other of host 0");
    world.run(&Op::CloseEnded(Pick::FIRST));
    carry_out_all(&mut world);
    world.acquire_of(3);
    // The scan begins. Its visit is still to come.
    world.run(&Op::CarryOut(Pick::FIRST));
    let pinged = world.pings[0].order.loan.connection;
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    carry_out_all(&mut world);
    let closed: Vec<_> = world.closes.iter().map(|(_, order)| order.loan.connection).collect();
    assert_eq!(closed, [pinged]);
}

/// As many steps as there are of it here: a shuffled world carries out one at a time.
fn carry_out_all(world: &mut World) {
    (0..8).for_each(|_| world.run(&Op::CarryOut(Pick::FIRST)));
}
