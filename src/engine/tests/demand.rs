//! How many are dialed.

use super::super::programs::{Op, Pick};
use super::support::world;

#[test]
fn what_is_on_its_way_to_be_idle_is_not_dialed_again() {
    let mut world = world(|l| l.min_idle_per_host = 2);
    world.run(&Op::Acquire(0, false));
    assert_eq!(world.dials.len(), 3, "one for who waits, and two to spare");
    world.run(&Op::Acquire(0, false));
    assert_eq!(world.dials.len(), 4);
    let dial = world.dials.pop().expect("there are four");
    world.dial_done(&dial);
    world.carry_out();
    assert_eq!(world.dials.len(), 3, "one has come to who waited first");
}

#[test]
fn the_wish_for_more_ends_when_it_is_met_or_nothing_is_on_its_way_to_it() {
    let wish_left = |in_use, dialing, floor| {
        let mut world = world(|_| {});
        world.enter(0);
        let host = world.host_of(0);
        (host.used, host.in_use, host.dialing, host.floor) = (true, in_use, dialing, floor);
        host.settle_floor();
        host.floor
    };
    assert_eq!(wish_left(1, 2, 3), 3, "two are on their way");
    assert_eq!(wish_left(2, 1, 2), 0, "it is met without the one that is on its way");
    assert_eq!(wish_left(5, 2, 4), 0, "it is met by far");
    assert_eq!(wish_left(1, 0, 3), 0, "no dial is on its way");
}

#[test]
fn a_host_that_is_used_is_filled_up_again_after_a_failed_dial() {
    // Something is open, and nobody waits.
    let mut world = world(|l| l.min_idle_per_host = 1);
    world.run(&Op::Acquire(0, false));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::DialFailed(Pick::FIRST));
    world.run(&Op::Pass(39_999));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_host_somebody_waits_for_is_filled_up_again_after_a_failed_dial() {
    // Nothing is open.
    let mut world = world(|l| (l.min_idle_per_host, l.retry) = (1, true));
    world.run(&Op::Acquire(0, false));
    for _ in 0..2 {
        world.engine.dial_failed(0, "refused", true, world.now, &mut world.fx);
        world.dials.pop();
        world.carry_out();
    }
    world.run(&Op::Pass(39_999));
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(world.dials.len(), 1, "one to spare");
}

#[test]
fn no_more_is_warmed_than_may_be_idle_beside_what_is_in_use() {
    let mut world = world(|l| l.max_idle_per_host = 1);
    world.borrow(0);
    world.borrow(0);
    world.run(&Op::Warm(0, 5));
    assert_eq!(world.dials.len(), 1);
}
