//! Suspects, and what is found out about them.

use super::super::programs::{Answer, Op, Pick, beats};
use super::support::{shared, world};
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
