//! What can be read of a host.

use super::super::Ticket;
use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::super::status::Causes;
use super::support::{of_quick_server, secs, with_idle, world};

#[test]
fn a_host_tells_its_cap_and_whether_it_has_one() {
    let mut world = world(|_| {});
    world.run(&Op::Hold(0));
    assert_eq!(world.host_of(0).view().max, usize::MAX);
    world.run(&Op::SetMax(0, 3));
    assert_eq!(world.host_of(0).view().max, 3);
}

fn causes(world: &mut World) -> Causes<&'static str> {
    let at = world.find(0).expect("it is known");
    let limits = world.common.limits.clone();
    world.cells[at].state.causes(world.now, &limits)
}

#[test]
fn the_loans_are_told_the_longest_held_first() {
    let mut world = with_idle(2, |_| {});
    for _ in 0..3 {
        world.borrow(0);
        world.run(&Op::Pass(1000));
        if world.loans.len() == 2 {
            // The first one returns, and is lent again.
            world.run(&Op::Return(Pick::FIRST, true));
        }
    }
    world.borrow(0);
    let loans = causes(&mut world).loans;
    let (now, held) = (world.now, |at: usize| loans[at].1.since);
    assert_eq!((loans.len(), now.since(held(0)).as_secs()), (2, 1));
    assert!(held(0) < held(1));
}

#[test]
fn a_time_out_tells_since_when_a_ping_is_under_way_that_is_no_heartbeat() {
    let mut world = with_idle(2, |l| (l.ping_after, l.heartbeat) = (secs(5), Some(beats())));
    world.run(&Op::Pass(4000));
    assert_eq!(causes(&mut world).pinging_since, None);
    world.run(&Op::CutOff(Pick::FIRST));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Error { is_open: true }));
    world.acquire_of(0);
    let now = world.now;
    assert_eq!(causes(&mut world).pinging_since, Some(now));
}

#[test]
fn the_last_proof_of_life_is_a_dial_until_a_ping_is_answered() {
    let mut world = with_idle(1, |l| l.ping_after = secs(5));
    world.borrow(0);
    assert!(world.host_of(0).entry_view(Ticket { slot: 0, lease: 0 }).was_dialed);
    world.return_last();
    world.run(&Op::Pass(5000));
    world.acquire_of(0);
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    world.run(&Op::Poll(Pick::FIRST));
    assert!(!world.host_of(0).entry_view(Ticket { slot: 0, lease: 0 }).was_dialed);
}

#[test]
fn it_counts_how_each_wait_has_ended() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    (0..7).for_each(|_| world.acquire_of(0));
    // Two are served, and one of them gives up before it is polled.
    world.return_last();
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::HandBack(Pick::FIRST, true));
    world.run(&Op::Cancel(Pick(1)));
    world.run(&Op::Expire(Pick(1)));
    world.run(&Op::Close);
    let counted = world.host_of(0).counted();
    let (usual, rare) = (counted.usual, counted.rare);
    assert_eq!((counted.waits_ended(), usual.peak_waiting, usual.served), (8, 7, 2));
    assert_eq!((rare.cancelled, rare.timed_out, rare.shut_out), (2, 1, 3));
}

#[test]
fn the_most_that_waited_at_once_are_remembered() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    assert_eq!(world.host_of(0).counted().usual.peak_waiting, 1);
}

#[test]
fn as_many_wait_as_may_beyond_those_who_will_be_served() {
    for (waiters, refused) in [(0, 3), (2, 1)] {
        let mut world =
            of_quick_server(|l| (l.max_per_host, l.max_waiters_per_host) = (2, waiters));
        (0..5).for_each(|_| world.acquire_of(0));
        assert_eq!((world.waits.len(), world.dials.len()), (2 + waiters, 2));
        assert_eq!(world.host_of(0).counted().rare.refused, refused);
    }
}

#[test]
fn the_loans_held_longest_are_the_same_ones_the_next_time_however_young_others_are() {
    let mut world = world(|_| {});
    (0..20).for_each(|_| world.borrow(0));
    world.run(&Op::Pass(20));
    (0..20).for_each(|_| world.borrow(0));
    let first = |world: &mut World| causes(world).loans.first().map(|(id, _)| *id);
    let oldest = first(&mut world);
    assert_eq!(first(&mut world), oldest);
    assert_eq!(causes(&mut world).view.seen.leases, 40);
}
