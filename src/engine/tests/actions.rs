//! Which actions there are to carry out.

use std::rc::Rc;

use super::super::programs::world::Plain;
use super::super::{Actions, Deadlock, SelfWait};
use crate::policy::time::Time;

#[test]
fn each_action_alone_is_something_to_carry_out() {
    let decide: [fn(&mut Actions<Plain>); 12] = [
        |actions| actions.granted.push(7),
        |actions| actions.make_room = true,
        |actions| actions.stop_draining = Some(7),
        |actions| actions.give_way = Some(7),
        |actions| actions.wake.push(7),
        |actions| actions.stop.push(Rc::default()),
        |actions| actions.recheck = true,
        |actions| actions.ask_peers = true,
        |actions| actions.maintain = true,
        |actions| actions.room_at = Some(Time::START),
        |actions| actions.forget = true,
        |actions| {
            let deadlock = Deadlock { loans: 0, sides: Vec::new() };
            actions.self_wait = Some(Box::new(SelfWait::Deadlock(deadlock)));
        },
    ];
    for (nth, decide) in decide.into_iter().enumerate() {
        let mut actions = Actions::default();
        assert!(actions.is_empty());
        decide(&mut actions);
        assert!(!actions.is_empty(), "{nth}");
    }
}

#[test]
fn actions_that_only_drop_something_are_not_empty() {
    let mut actions = Actions::<Plain>::default();
    actions.unused.wakers.push(7);
    assert!(!actions.is_empty());
    let mut actions = Actions::<Plain>::default();
    actions.unused.failures.push("a failure");
    assert!(!actions.is_empty());
}
