//! Suspects, and how pings and heartbeats treat them.

use crate::engine::CallSite;
use std::time::Duration;

use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::super::{Ended, Loan, Returned};
use super::support::{shared, shuffled, with_idle, world};
use crate::policy::close_reason::CloseReason;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::reuse::Reuse;
use crate::policy::time::{Span, Time};

const REFUSED: Answer = Answer::Error { is_open: false };

#[test]
fn the_second_one_found_dead_that_was_not_suspect_makes_its_peers_suspect_too() {
    let mut world = world(|_| {});
    (0..4).for_each(|_| world.borrow(0));
    world.discard(Pick::FIRST);
    assert_eq!(world.host_of(0).connections().generation(), 1);
    // Made after the first was found dead.
    world.borrow(0);
    world.borrow(0);
    world.discard(Pick(4));
    assert_eq!(world.host_of(0).connections().generation(), 2);
    // The death of one that was suspect already changes nothing.
    world.discard(Pick::FIRST);
    assert_eq!(world.host_of(0).connections().generation(), 2);
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

/// The heartbeat keeps its connection from the first scan, which lists the host by a younger one.
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
    // The scan starts. Its visit is still to come.
    world.run(&Op::CarryOut(Pick::FIRST));
    let pinged = world.pings[0].order.connection;
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    carry_out_all(&mut world);
    let closed: Vec<_> = world.closes.iter().map(|(_, order)| order.connection).collect();
    assert_eq!(closed, [pinged]);
}

/// Enough steps for this test: a shuffled world carries out one action at a time.
fn carry_out_all(world: &mut World) {
    (0..8).for_each(|_| world.run(&Op::CarryOut(Pick::FIRST)));
}

/// This many idle connections, with heartbeats in flight.
fn beating(n: usize) -> World {
    let mut world = with_idle(n, |l| l.heartbeat = Some(beats()));
    world.run(&Op::Pass(4000));
    world
}

#[test]
fn at_most_eight_heartbeats_of_a_host_are_under_way() {
    let mut world = beating(10);
    assert_eq!(world.pings.len(), 8);
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    assert_eq!((world.pings.len(), world.closes.len()), (8, 0));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    assert_eq!(world.pings.len(), 7);
}

#[test]
fn a_shared_connection_is_asked_while_it_is_used_and_while_it_drains() {
    let mut world = shared(2, |l| l.heartbeat = Some(beats()));
    world.borrow(0);
    world.run(&Op::Pass(4000));
    assert_eq!(world.pings.len(), 1);
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Retire(0));
    world.run(&Op::Pass(4000));
    assert_eq!(world.pings.len(), 1);
}

#[test]
fn a_late_heartbeat_goes_on_until_it_has_missed_as_many_as_it_may() {
    let mut world = beating(1);
    assert_eq!(world.host_of(0).missed_beats(0), 0);
    world.run(&Op::BeatMissed(Pick::FIRST));
    assert_eq!((world.pings.len(), world.host_of(0).missed_beats(0)), (1, 1));
    world.run(&Op::BeatMissed(Pick::FIRST));
    assert!(world.pings.is_empty());
    assert_eq!(world.closes[0].1.reason, CloseReason::HeartbeatMissed);
    assert_eq!(world.host_of(0).counted().rare.missed_heartbeats, 2);
}

#[test]
fn a_heartbeat_that_is_late_while_somebody_waits_is_given_up() {
    let mut world = world(|l| (l.heartbeat, l.max_per_host) = (Some(beats()), 2));
    world.borrow(0);
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(4000));
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 1, "it may be answered in time");
    world.run(&Op::BeatMissed(Pick::FIRST));
    assert_eq!((world.pings.len(), world.closes.len()), (0, 1));
}

#[test]
fn an_error_in_answer_to_a_heartbeat_is_a_missed_one_while_the_connection_is_open() {
    let error = Op::PingEnded(Pick::FIRST, Answer::Error { is_open: true });
    let mut world = beating(1);
    world.run(&error);
    assert_eq!((world.pings.len(), world.closes.len()), (0, 0));
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 1, "it is suspect");
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    world.return_last();
    for (nth, closes) in [(1, 0), (2, 1)] {
        world.run(&Op::Pass(4000));
        world.run(&error);
        assert_eq!(world.closes.len(), closes, "after {nth} errors in a row");
    }
}

#[test]
fn a_connection_that_is_not_open_after_a_heartbeat_is_closed() {
    let mut world = beating(1);
    world.run(&Op::PingEnded(Pick::FIRST, REFUSED));
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn a_late_heartbeat_is_given_up_when_more_wait_than_what_is_on_its_way_will_serve() {
    let mut world = with_idle(2, |l| (l.heartbeat, l.max_per_host) = (Some(beats()), 2));
    world.run(&Op::Pass(3920));
    assert_eq!(world.pings.len(), 2);
    world.run(&Op::BeatMissed(Pick::FIRST));
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 2, "the other one will serve it");
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 1);
}

#[test]
fn connections_that_were_made_together_are_not_pinged_together() {
    let mut world = with_idle(2, |l| l.heartbeat = Some(beats()));
    world.run(&Op::Pass(3599));
    assert!(world.pings.is_empty(), "each comes up to a tenth sooner");
    let mut passed = 0;
    while world.pings.is_empty() {
        world.run(&Op::Pass(1));
        passed += 1;
    }
    assert_eq!(world.pings.len(), 1);
    world.run(&Op::Pass(401 - passed));
    assert_eq!(world.pings.len(), 2);
}

#[test]
fn a_late_heartbeat_is_given_up_where_another_host_wants_its_room() {
    let mut world = world(|l| (l.heartbeat, l.max_total) = (Some(beats()), 1));
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(4000));
    // An earlier scan has found nothing idle here.
    world.acquire_of(1);
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::BeatMissed(Pick::FIRST));
    assert_eq!(world.pings.len(), 1);
    world.acquire_of(1);
    assert_eq!((world.pings.len(), world.closes.len()), (0, 1));
}

#[test]
fn at_most_eight_suspects_of_a_host_are_pinged_that_nobody_needs() {
    let mut world = with_idle(12, |l| l.ping_after = Span::ZERO);
    world.acquire_of(0);
    world.run(&Op::PingEnded(Pick::FIRST, REFUSED));
    let pings = world.host_of(0).all_pings();
    assert_eq!(pings.iter().filter(|(_, ping)| !ping.needed).count(), 8);
}

#[test]
fn a_ping_counts_for_its_waiter_for_a_quarter_of_a_second() {
    let mut world = with_idle(1, |l| l.ping_after = Span::ZERO);
    world.acquire_of(0);
    world.run(&Op::Pass(249));
    assert!(world.dials.is_empty());
    world.run(&Op::Pass(1));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn pings_and_heartbeats_are_counted_when_they_have_ended() {
    let mut world = with_idle(2, |l| (l.ping_after, l.heartbeat) = (Span::ZERO, Some(beats())));
    world.acquire_of(0);
    world.run(&Op::PingEnded(Pick::FIRST, REFUSED));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    world.return_last();
    let counted = world.host_of(0).counted().rare;
    assert_eq!((counted.pings, counted.failed_pings, counted.heartbeats), (2, 1, 0));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::Pass(4000));
    (0..2).for_each(|_| world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes)));
    let counted = world.host_of(0).counted().rare;
    assert_eq!((counted.pings, counted.heartbeats), (2, 2));
}

/// An idle shared connection with its heartbeat in flight.
fn beating_and_shared() -> World {
    let mut world = shared(2, |l| l.heartbeat = Some(beats()));
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(4000));
    assert_eq!(world.pings.len(), 1);
    world
}

#[test]
fn a_ping_that_is_cut_off_closes_a_shared_connection_unless_it_was_a_heartbeat_in_time() {
    let mut in_time = beating_and_shared();
    in_time.run(&Op::CutOff(Pick::FIRST));
    assert!(in_time.closes.is_empty());
    let mut late = beating_and_shared();
    late.run(&Op::BeatMissed(Pick::FIRST));
    late.run(&Op::CutOff(Pick::FIRST));
    assert_eq!(late.closes[0].1.reason, CloseReason::HeartbeatMissed);
    let mut asked = shared(2, |l| l.ping_after = Span::ZERO);
    asked.borrow(0);
    asked.return_last();
    asked.acquire_of(0);
    asked.run(&Op::CutOff(Pick::FIRST));
    assert_eq!(asked.closes[0].1.reason, CloseReason::PingFailed);
}

#[test]
fn a_heartbeat_in_time_that_is_cut_off_closes_an_exclusive_connection() {
    let mut world = beating(1);
    world.run(&Op::CutOff(Pick::FIRST));
    assert_eq!(world.closes[0].1.reason, CloseReason::HeartbeatMissed);
}

#[test]
fn a_lease_outlives_a_ping_that_the_end_of_the_pool_stops() {
    let mut world = beating_and_shared();
    world.borrow(0);
    world.run(&Op::BeatMissed(Pick::FIRST));
    world.run(&Op::Orphan);
    assert_eq!((world.pings.len(), world.closes.len()), (0, 0));
    world.return_last();
    assert_eq!(world.closes[0].1.reason, CloseReason::PoolClosed);
}

#[test]
fn a_ping_stops_when_its_connection_is_found_dead_and_when_the_pool_ends() {
    let mut found_dead = beating_and_shared();
    found_dead.borrow(0);
    found_dead.run(&Op::Discard(Pick::FIRST));
    assert_eq!((found_dead.pings.len(), found_dead.closes.len()), (0, 1));
    let mut ended = beating(1);
    ended.run(&Op::Orphan);
    assert_eq!((ended.pings.len(), ended.closes.len()), (0, 1));
}

#[test]
fn no_suspect_is_pinged_in_a_pool_that_has_ended() {
    let mut world = shared(2, |l| (l.heartbeat, l.pings_at_once) = (Some(beats()), 1));
    (0..5).for_each(|_| world.borrow(0));
    (0..2).for_each(|at| world.run(&Op::Return(Pick(at), true)));
    world.run(&Op::Pass(4000));
    // The two others are suspect, and are pinged after this one.
    world.run(&Op::BeatMissed(Pick::FIRST));
    assert_eq!(world.pings.len(), 1);
    world.run(&Op::Orphan);
    assert!(world.pings.is_empty());
}

#[test]
fn a_returned_connection_is_reset_for_a_waiter_or_if_it_may_stay_idle() {
    let mut waited_for = world(|l| (l.max_per_host, l.max_idle_per_host) = (1, 0));
    waited_for.borrow(0);
    waited_for.acquire_of(0);
    waited_for.run(&Op::ReturnToReset(Pick::FIRST));
    assert_eq!((waited_for.pings.len(), waited_for.closes.len()), (1, 0));
    let mut above = world(|l| l.max_idle_per_host = 0);
    above.borrow(0);
    above.run(&Op::ReturnToReset(Pick::FIRST));
    assert_eq!((above.pings.len(), above.closes.len()), (0, 1));
    let mut ended = world(|_| {});
    ended.borrow(0);
    ended.run(&Op::Orphan);
    ended.run(&Op::ReturnToReset(Pick::FIRST));
    assert_eq!((ended.pings.len(), ended.closes.len()), (0, 1));
    let mut kept = world(|_| {});
    kept.borrow(0);
    kept.run(&Op::ReturnToReset(Pick::FIRST));
    assert_eq!((kept.pings.len(), kept.closes.len()), (1, 0));
}

#[test]
fn connections_with_heartbeats_return_on_the_fast_path() {
    // Each of them has another interval.
    let mut world = with_idle(8, |l| (l.heartbeat, l.reuse) = (Some(beats()), Reuse::LeastRecent));
    for _ in 0..16 {
        let World { cells, common, now, .. } = &mut world;
        *now = now.after(Span::from_nanos(1_000_000));
        let state = &mut cells[0].state;
        let loan =
            state.lend_as(*now, CallSite::caller(), common, |loan| loan).expect("all are idle");
        let Loan { ticket, connection, .. } = loan;
        let ended = Ended { ticket, connection, max_leases: 1 };
        assert!(matches!(state.give_back(ended, *now, common), Returned::Idle));
    }
}

#[test]
fn a_heartbeat_of_the_longest_interval_is_never_due() {
    let mut world = with_idle(8, |l| l.heartbeat = Some(Heartbeat::every(Duration::MAX).beats()));
    // The deadlines of those who waited for the dials have passed.
    world.run(&Op::Pass(60_000));
    assert_eq!(world.next_look(), Time::NEVER);
}
