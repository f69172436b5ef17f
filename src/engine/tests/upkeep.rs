//! What time alone brings about.

use super::super::Warmth;
use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::super::schedule::{Look, Schedule};
use super::support::{secs, with_idle, world};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

#[test]
fn what_stays_for_the_minimum_idle_stays_for_as_long_as_it_answers() {
    let mut world = with_idle(2, |l| {
        (l.min_idle_per_host, l.idle_timeout, l.heartbeat) = (1, secs(15), Some(beats()));
    });
    for _ in 0..10 {
        world.run(&Op::Pass(4000));
        while !world.pings.is_empty() {
            world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
        }
    }
    assert!(!world.closes.is_empty());
    assert_eq!((world.host_of(0).gauges.idle, world.dials.len()), (1, 0));
}

#[test]
fn what_stays_for_the_minimum_idle_and_is_not_asked_is_made_anew() {
    let mut world = with_idle(1, |l| (l.min_idle_per_host, l.idle_timeout) = (1, secs(15)));
    while !world.dials.is_empty() {
        world.run(&Op::DialDone(Pick::FIRST));
    }
    world.run(&Op::Pass(15_000));
    assert!(!world.closes.is_empty());
    assert_eq!(world.closes[0].1.reason, CloseReason::Idle);
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn what_is_lent_alone_is_not_looked_at_for_its_age() {
    let mut world = world(|l| l.max_lifetime = secs(10));
    world.borrow(0);
    world.run(&Op::Pass(9_000));
    world.run(&Op::Pass(60_000));
    assert_eq!(world.next_look(), Time::NEVER);
}

#[test]
fn a_loan_that_is_held_for_long_is_reported_in_time_and_once() {
    let mut world = world(|l| l.leak_after = secs(7));
    world.borrow(0);
    world.run(&Op::Pass(6_999));
    assert_eq!(world.leaks, 0);
    world.run(&Op::Pass(1));
    assert_eq!(world.leaks, 1);
    world.run(&Op::Pass(60_000));
    assert_eq!(world.leaks, 1);
    world.return_last();
    assert_eq!(world.leaks, 0, "and is reported as back");
}

/// Host 1 has what waiters need of two places, of which one is dialed at a time; a wish for host 0 comes last.
fn wished_in_vain(wish: impl FnOnce(&mut World)) -> World {
    let mut world = world(|l| (l.max_total, l.max_dialing) = (2, 1));
    (0..2).for_each(|_| world.acquire_of(1));
    wish(&mut world);
    (0..2).for_each(|_| world.run(&Op::DialDone(Pick::FIRST)));
    (0..2).for_each(|_| world.run(&Op::Poll(Pick::FIRST)));
    assert!(world.woken.is_empty());
    world
}

#[test]
fn a_wish_that_others_leave_no_room_for_is_told_so_within_a_second() {
    let mut world = wished_in_vain(|world| world.run(&Op::Warm(0, 1)));
    world.run(&Op::Pass(1_000));
    assert_eq!(world.woken.len(), 1);
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!(world.told, [Warmth::NoRoom]);
    world.discard(Pick::FIRST);
    assert!(world.dials.is_empty());
}

#[test]
fn the_first_of_all_looks_may_move_forward_or_not() {
    let at = |seconds| Time::START.after(secs(seconds));
    let look = |at| Look { at, waited_for: false };
    let mut schedule = Schedule::new();
    let never = look(Time::NEVER);
    assert!(schedule.change(1, never, Some((look(at(5)), "a"))).0);
    assert!(!schedule.change(2, never, Some((look(at(5)), "b"))).0);
    assert!(!schedule.change(3, never, Some((look(at(6)), "c"))).0);
    assert!(schedule.change(3, look(at(6)), Some((look(at(4)), "c"))).0);
    assert!(!schedule.change(3, look(at(4)), None).0);
    assert_eq!((schedule.next(), schedule.len()), (at(5), 2));
    assert!(!schedule.look_for_room(at(5)));
    assert!(schedule.look_for_room(at(3)));
    assert!(!schedule.look_for_room(at(4)));
    assert_eq!((schedule.takes_room(at(2)), schedule.takes_room(at(3))), (false, true));
    assert_eq!((schedule.pop_due(at(4)), schedule.pop_due(at(5))), (None, Some("a")));
    assert_eq!(Span::from(schedule.next().since(Time::START)), secs(5));
}
