//! What is lent, and to whom.

use super::super::programs::world::World;
use super::super::programs::{Op, Pick};
use super::super::*;
use super::support::{secs, shared, world};

/// Whether upkeep has to be told of the loan that begins now.
fn tells_upkeep(world: &mut World) -> bool {
    let Lent::Connection { look, .. } = world.lend(0) else { panic!("something is idle") };
    look
}

#[test]
fn what_is_at_the_end_of_its_time_is_not_lent() {
    for mut world in
        [world(|l| l.idle_timeout = secs(15)), shared(2, |l| l.idle_timeout = secs(15))]
    {
        world.borrow(0);
        world.return_one();
        world.now = world.host_of(0).idle[0].deadline;
        assert!(matches!(world.lend(0), Lent::Stale));
        let id = world.host(0).expect("it is known");
        let tried = world.engine.lend_unpinged(id, world.now, Location::caller());
        assert!(matches!(tried, Lent::Stale));
    }
}

#[test]
fn a_hit_on_a_host_that_lacks_nothing_does_not_tell_upkeep() {
    let two_idle = |max| {
        let mut world = world(|l| (l.min_idle_per_host, l.max_per_host) = (1, max));
        world.borrow(0);
        world.return_one();
        assert_eq!(world.host_of(0).idle.len(), 2);
        world
    };
    let mut with_room = two_idle(3);
    assert!(!tells_upkeep(&mut with_room), "as many are left as there ought to be");
    assert!(tells_upkeep(&mut with_room), "one is missing");
    let mut full = two_idle(2);
    assert!(!tells_upkeep(&mut full));
    assert!(!tells_upkeep(&mut full), "there is no room for the one that is missing");
}

#[test]
fn a_waiter_whose_time_ends_before_the_next_look_has_it_moved() {
    let mut world = world(|l| (l.max_per_host, l.idle_timeout) = (1, secs(60)));
    // Every third one waits for twenty seconds: not the one who dials.
    world.next_tag = 2;
    world.borrow(0);
    world.return_one();
    assert_eq!(world.engine.schedule.next(), Some(world.now.after(secs(60))));
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    assert_eq!(world.engine.schedule.next(), Some(world.now.after(secs(20))));
}

#[test]
fn what_returns_before_who_was_told_to_dial_has_looked_leaves_the_dial_to_the_others() {
    let mut world = world(|l| l.max_per_host = 2);
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    world.run(&Op::Acquire(0, false));
    let dial = world.dials.pop().expect("there is room for one");
    world.engine.dial_lost(dial.host.1.index, world.now, &mut world.fx);
    world.carry_out();
    assert_eq!((world.woken.len(), world.dials.len()), (1, 0), "the oldest is to begin it");
    world.return_one();
    assert_eq!(world.dials.len(), 1, "the oldest is served, and the other waits");
}

#[test]
fn what_came_before_the_time_was_over_counts_as_served() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    world.return_one();
    world.run(&Op::Expire(Pick::FIRST));
    let counters = world.host_of(0).counted();
    assert_eq!((world.loans.len(), counters.served, counters.timed_out), (1, 2, 0));
}

#[test]
fn who_leaves_on_the_way_to_a_dial_leaves_it_to_the_others() {
    let mut world = world(|l| l.max_per_host = 2);
    world.borrow(0);
    world.run(&Op::Acquire(0, false));
    world.run(&Op::Acquire(0, false));
    let dial = world.dials.pop().expect("there is room for one");
    world.engine.dial_lost(dial.host.1.index, world.now, &mut world.fx);
    world.carry_out();
    world.run(&Op::Cancel(Pick::FIRST));
    assert_eq!((world.waits.len(), world.dials.len()), (1, 1));
}

#[test]
fn a_dial_for_a_waiter_names_its_runtime() {
    let mut world = world(|_| {});
    world.run(&Op::Acquire(0, false));
    assert!(world.dials[0].runtime.is_some());
}

#[test]
fn a_closed_pool_whose_host_is_still_held_says_so() {
    let mut world = world(|_| {});
    world.borrow(0);
    world.engine.close(world.now, &mut world.fx);
    assert!(matches!(world.lend(0), Lent::Closed));
}

#[test]
fn whoever_upkeep_watched_is_woken_when_it_is_lost() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    world.next_tag = 2;
    world.run(&Op::Acquire(0, false));
    world.run(&Op::Acquire(0, false));
    world.run(&Op::UpkeepLost);
    assert_eq!(world.woken, [3], "the other waits for as long as it says itself");
}

#[test]
fn what_has_no_end_is_not_looked_at() {
    let mut world = world(|_| {});
    world.next_tag = 1;
    world.borrow(0);
    world.return_one();
    world.borrow(0);
    assert_eq!(world.engine.schedule.next(), None);
}

#[test]
fn a_late_heartbeat_is_given_up_with_the_last_waiter_of_a_pool_that_nobody_holds() {
    let beats = Beats { every: secs(4), max_missed: 2 };
    for leak_after in [Span::FOREVER, secs(7)] {
        let mut world = world(|l| (l.heartbeat, l.leak_after) = (Some(beats), leak_after));
        world.borrow(0);
        world.borrow(0);
        world.return_one();
        world.run(&Op::Pass(4000));
        world.run(&Op::BeatMissed(Pick::FIRST));
        world.run(&Op::Acquire(0, false));
        world.run(&Op::Orphan);
        assert_eq!((world.pings.len(), world.dials.len(), world.waits.len()), (1, 1, 1));
        world.run(&Op::Return(Pick::FIRST));
        assert_eq!(world.pings.len(), 0);
    }
}
