//! Hosts with many connections, and sections that come before maintenance.

use std::time::Duration;

use super::super::Purpose;
use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::support::{secs, shared, with_idle, world};
use crate::policy::time::Span;

#[test]
fn of_many_connections_one_that_was_lent_at_a_look_ends_at_the_end_of_its_life_too() {
    let mut world = world(|l| l.max_lifetime = secs(300));
    for _ in 0..200 {
        world.borrow(0);
        world.run(&Op::Pass(1000));
    }
    // All but the 51st become idle.
    world.loans.swap(0, 50);
    while world.loans.len() > 1 {
        world.run(&Op::Return(Pick(1), true));
    }
    // The first one ends: a look at all.
    world.run(&Op::Pass(101_000));
    assert!(!world.closes.is_empty());
    world.run(&Op::Return(Pick::FIRST, true));
    world.run(&Op::Pass(100_000));
    let now = world.now;
    let host = world.host_of(0);
    assert!(host.connections().idle().all(|slot| host.entry(slot).expires > now));
}

#[test]
fn a_caller_of_warm_is_told_that_there_is_no_room_although_sections_come_before_maintenance() {
    let mut world = world(|l| (l.max_total, l.max_dialing, l.min_idle_per_host) = (2, 1, 1));
    (0..2).for_each(|_| world.acquire_of(1));
    world.run(&Op::Warm(0, 1));
    (0..2).for_each(|_| world.run(&Op::DialDone(Pick::FIRST)));
    (0..2).for_each(|_| world.run(&Op::Poll(Pick::FIRST)));
    assert!(world.woken.is_empty());
    let at = world.find(0).expect("it is known");
    // Ten seconds.
    for _ in 0..100 {
        world.now = world.now.after(Span::from(Duration::from_millis(100)));
        world.change(at, |_, _| ());
        world.maintain();
    }
    assert_eq!(world.woken.len(), 1);
}

#[test]
fn suspicion_ends_when_no_connection_with_room_is_suspect() {
    let mut world = with_idle(3, |l| (l.heartbeat, l.pings_at_once) = (Some(beats()), 1));
    world.borrow(0);
    world.run(&Op::Pass(3_900));
    while world.pings.is_empty() {
        world.run(&Op::Pass(10));
    }
    // It is lent.
    world.run(&Op::Doubt(Pick::FIRST));
    world.run(&Op::BeatMissed(Pick::FIRST));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    let purposes: Vec<_> = world.pings.iter().map(|ping| ping.order.purpose).collect();
    assert_eq!(purposes, [Purpose::Heartbeat]);
}

/// A host whose heartbeats are answered slowly, so that more run at once.
fn with_slow_beats() -> World {
    let mut world = with_idle(100, |l| l.heartbeat = Some(beats()));
    for _ in 0..40 {
        world.run(&Op::Pass(500));
        for _ in 0..world.pings.len() {
            world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
        }
    }
    world
}

fn pings_for(world: &World, purpose: Purpose) -> usize {
    world.pings.iter().filter(|ping| ping.order.purpose == purpose).count()
}

#[test]
fn resets_run_a_few_at_a_time_although_heartbeats_are_many() {
    let mut world = with_slow_beats();
    (0..60).for_each(|_| world.borrow(0));
    (0..60).for_each(|_| world.run(&Op::ReturnToReset(Pick::FIRST)));
    assert_eq!(pings_for(&world, Purpose::Reset), 8);
}

#[test]
fn suspects_are_pinged_a_few_at_a_time_although_heartbeats_are_many() {
    let mut world = with_slow_beats();
    (0..2).for_each(|_| world.borrow(0));
    world.run(&Op::Discard(Pick::FIRST));
    world.run(&Op::Doubt(Pick::FIRST));
    assert_eq!(pings_for(&world, Purpose::Health), 8);
}

#[test]
fn a_host_in_which_nothing_ends_is_not_looked_at_each_idle_time_out() {
    let mut world = shared(1, |l| {
        (l.idle_timeout, l.max_lifetime) = (Span::from(Duration::from_millis(100)), secs(1000));
    });
    (0..80).for_each(|_| world.borrow(0));
    world.return_last();
    world.run(&Op::Pass(150));
    let (mut looks, until) = (0, world.now.after(secs(100)));
    while world.next_look() < until {
        world.now = world.next_look();
        world.maintain();
        looks += 1;
    }
    assert!(looks < 10, "{looks} looks");
}

#[test]
fn a_host_gives_its_memory_back_after_a_burst() {
    let mut world = world(|_| {});
    (0..300).for_each(|_| world.borrow(0));
    let room = |world: &mut World| world.host_of(0).connections().entries().capacity();
    assert!(room(&mut world) >= 300);
    // The first one stays.
    (0..299).for_each(|_| world.return_last());
    world.run(&Op::CloseIdle);
    (0..299).for_each(|_| world.run(&Op::CloseEnded(Pick::FIRST)));
    assert_eq!(world.host_of(0).connections().len(), 1);
    assert!(room(&mut world) <= 4, "for {} connections", room(&mut world));
}
