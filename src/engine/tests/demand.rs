//! How many are dialed.

use super::super::programs::Op;
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
