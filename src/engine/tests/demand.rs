//! How many connections are dialed.

use super::super::programs::{Op, Pick};
use super::support::{shared, world};

#[test]
fn dials_in_flight_count_towards_the_minimum_idle() {
    let mut world = world(|l| l.min_idle_per_host = 2);
    world.acquire_of(0);
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(world.dials.len(), 2, "two to spare");
    world.acquire_of(0);
    assert_eq!(world.dials.len(), 3, "one for the waiter");
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(world.dials.len(), 2, "one has come to the waiter");
}

#[test]
fn a_crowd_that_one_shared_connection_will_carry_is_no_reason_for_more_to_spare() {
    let mut world = shared(100, |l| l.min_idle_per_host = 1);
    (0..20).for_each(|_| world.acquire_of(0));
    assert_eq!(world.dials.len(), 1, "nothing is known of its server");
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!((world.dials.len(), world.host_of(0).waiting()), (0, 0), "it has room for more");
}

#[test]
fn a_host_that_is_used_is_filled_up_again_after_a_failed_dial() {
    let mut world = world(|l| l.min_idle_per_host = 1);
    world.acquire_of(0);
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::DialFailed(Pick::FIRST, false));
    assert!(world.dials.is_empty(), "it backs off");
    world.run(&Op::Pass(500));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn the_minimum_idle_of_a_host_that_nobody_has_is_restored_when_its_last_connection_dies() {
    let mut world = world(|l| (l.max_per_host, l.min_idle_per_host) = (1, 1));
    world.borrow(0);
    world.discard(Pick::FIRST);
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_host_that_nobody_has_and_that_has_nothing_is_not_filled_up() {
    let mut world = world(|l| l.min_idle_per_host = 1);
    world.acquire_of(0);
    world.run(&Op::DialFailed(Pick::FIRST, false));
    world.run(&Op::DialFailed(Pick::FIRST, false));
    world.run(&Op::Pass(39_999));
    assert!(world.dials.is_empty());
}

#[test]
fn no_more_is_warmed_than_may_be_idle_beside_what_is_in_use() {
    let mut world = world(|l| l.max_idle_per_host = 1);
    world.borrow(0);
    world.borrow(0);
    world.run(&Op::Warm(0, 5));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_lost_dial_is_begun_again_by_the_next_that_looks_or_comes() {
    let mut world = world(|l| l.min_idle_per_host = 1);
    world.acquire_of(0);
    world.run(&Op::DialLost(Pick::FIRST));
    assert!(world.dials.is_empty(), "nothing is spawned where a dial was lost");
    world.run(&Op::Poll(Pick::FIRST));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn one_that_is_served_on_the_way_to_a_dial_leaves_it_to_the_others() {
    let mut world = world(|l| l.max_per_host = 2);
    world.borrow(0);
    world.acquire_of(0);
    world.acquire_of(0);
    world.run(&Op::DialLost(Pick::FIRST));
    assert_eq!((world.woken.len(), world.dials.len()), (2, 0), "one of them is to begin it");
    world.return_last();
    assert_eq!(world.dials.len(), 1, "the oldest is served, and the other waits");
}

#[test]
fn one_that_gives_up_on_the_way_to_a_dial_leaves_it_to_the_others() {
    let mut world = world(|l| l.max_per_host = 2);
    world.borrow(0);
    world.acquire_of(0);
    world.acquire_of(0);
    world.run(&Op::DialLost(Pick::FIRST));
    world.run(&Op::Cancel(Pick::FIRST));
    assert_eq!((world.waits.len(), world.dials.len()), (1, 1));
}

#[test]
fn room_is_made_for_a_host_that_fails_while_nobody_else_wants_it() {
    let mut world = world(|l| l.max_total = 2);
    world.borrow(1);
    world.return_last();
    world.acquire_of(0);
    world.run(&Op::DialFailed(Pick::FIRST, true));
    world.borrow(2);
    world.return_last();
    world.acquire_of(0);
    world.run(&Op::Pass(1000));
    assert_eq!(world.closes.len(), 1, "the least recently used one");
}

#[test]
fn a_dial_counts_for_its_waiter_until_it_is_slow() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    world.run(&Op::Pass(2_499));
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::Pass(1));
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_dial_that_hangs_counts_for_a_second_for_all_who_would_share_it() {
    let mut world = shared(5, |_| {});
    world.acquire_of(0);
    world.run(&Op::Pass(999));
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::Pass(1));
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_new_shared_connection_no_longer_counts_as_a_dial_in_flight() {
    let mut world = shared(2, |_| {});
    (0..2).for_each(|_| world.borrow(0));
    (0..4).for_each(|_| world.acquire_of(0));
    assert_eq!(world.dials.len(), 2, "two for each");
}

#[test]
fn the_last_one_to_leave_takes_its_queue_along() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    // The first one allocates the rare counters, which the fast path needs.
    for _ in 0..2 {
        world.acquire_of(0);
        world.run(&Op::Cancel(Pick::FIRST));
        assert!(world.host_of(0).queue().is_none());
    }
    assert_eq!(world.host_of(0).counted().rare.cancelled, 2);
}
