//! Tasks that hold connections and wait for others.

#![allow(clippy::unnecessary_box_returns)] // A loan stays in its box.

use crate::engine::CallSite;
use std::sync::Arc;
use std::time::Duration;

use super::super::programs::world::{Loan, Plain, World};
use super::super::programs::{Answer, Op, Pick};
use super::super::{
    Actions, Borrower, Deadlock, Joined, Nested, Seat, SelfWait, Task, Until, Waiter,
};
use super::support::{secs, shared, world};
use crate::policy::heartbeat::Heartbeat;
use crate::policy::limits::Limits;
use crate::policy::time::Time;

fn noted(set: impl FnOnce(&mut Limits)) -> impl FnOnce(&mut Limits) {
    |limits| {
        limits.deadlock_after = secs(1);
        set(limits);
    }
}

/// A host whose tasks ask one after the other.
struct Tasks {
    world: World,
    actions: Actions<Plain>,
}

impl Tasks {
    /// With `max` connections, all idle.
    fn among(max: usize) -> Self {
        let mut world = world(noted(|l| l.max_per_host = max));
        (0..max).for_each(|_| world.borrow(0));
        (0..max).for_each(|_| world.return_last());
        Tasks { world, actions: Actions::default() }
    }

    /// Goes on in a section by the long way, as all do that are noted.
    fn section<R>(
        &mut self,
        f: impl FnOnce(&mut super::super::HostState<Plain>, &mut super::super::Section<'_, Plain>) -> R,
    ) -> R {
        let mut actions = Actions::default();
        let mut section =
            World::section(&self.world.common, &0, (self.world.now, 0.5), &mut actions);
        let state = &mut self.world.cells[0].state;
        let result = f(state, &mut section);
        state.finish(&mut section);
        state.check_finished(&section);
        self.actions = actions;
        result
    }

    fn lend(&mut self, task: u64) -> Loan {
        let borrower = by(task);
        self.section(|state, section| state.lend_any(borrower, section)).expect("one is idle")
    }

    fn join(&mut self, task: u64) -> Arc<Waiter<Plain>> {
        let until = Until::OwnTimer(Time::NEVER);
        let waiter = Arc::new(Waiter::new(self.world.now, until, by(task), 0));
        let joined = self.section(|state, section| state.join(&waiter, section));
        assert!(matches!(joined, Joined::Queued { .. }), "nothing is idle");
        waiter
    }

    fn give_back(&mut self, loan: Loan) {
        let how = super::super::Use::Ended { max_leases: 1 };
        self.section(|state, section| state.returned(loan, how, section));
    }

    fn give_up(&mut self, waiter: &Waiter<Plain>) {
        let seat = self.section(|state, section| state.give_up(waiter, true, section));
        assert!(seat.is_none(), "it has got nothing");
    }

    /// Whether maintenance tells of a deadlock after so long.
    fn tells_after(&mut self, millis: u64) -> bool {
        let span = crate::policy::time::Span::from_nanos(millis * 1_000_000);
        self.world.now = self.world.now.after(span);
        self.section(|state, section| state.maintain(section));
        self.deadlock().is_some()
    }

    fn nested(&self) -> Option<Nested> {
        match self.actions.self_wait.as_deref() {
            Some(SelfWait::Nested(nested)) => Some(*nested),
            _ => None,
        }
    }

    fn deadlock(&self) -> Option<&Deadlock> {
        match self.actions.self_wait.as_deref() {
            Some(SelfWait::Deadlock(deadlock)) => Some(deadlock),
            _ => None,
        }
    }

    fn held_by_waiting(&self) -> usize {
        self.world.cells[0].state.held_by_waiting()
    }
}

fn by(task: u64) -> Borrower {
    Borrower { call_site: CallSite::caller(), task: Some(Task::new(task)) }
}

fn served(waiter: &Waiter<Plain>) -> Loan {
    match std::mem::replace(&mut *waiter.seat.lock(), Seat::Gone) {
        Seat::Served(loan) => loan,
        _ => panic!("it was not served"),
    }
}

#[test]
fn a_task_that_waits_for_itself_is_told_of_after_a_second_and_once() {
    let mut tasks = Tasks::among(1);
    let loan = tasks.lend(1);
    let waiter = tasks.join(1);
    let nested = tasks.nested().expect("it holds one");
    assert_eq!((nested.loans, nested.max), (1, 1));
    assert!(tasks.deadlock().is_none(), "it may come back");
    let look = tasks.world.cells[0].state.look().at;
    assert_eq!(look, tasks.world.now.after(secs(1)), "maintenance looks");
    assert!(!tasks.tells_after(999));
    assert!(tasks.tells_after(1));
    let deadlock = tasks.deadlock().unwrap();
    assert_eq!((deadlock.loans, deadlock.sides.len(), deadlock.sides[0].loans), (1, 1, 1));
    assert!(!tasks.tells_after(5000), "it was told");
    assert_eq!(tasks.held_by_waiting(), 1);
    tasks.give_up(&waiter);
    assert_eq!(tasks.held_by_waiting(), 0);
    let again = tasks.join(1);
    assert!(tasks.tells_after(1000), "it is another");
    tasks.give_back(loan);
    let _ = served(&again);
}

#[test]
fn two_tasks_that_hold_one_each_wait_for_each_other_and_three_places_are_enough() {
    for (connections, is_told) in [(2, true), (3, false)] {
        let mut tasks = Tasks::among(connections);
        let _held: Vec<_> = (0..connections as u64).map(|task| tasks.lend(task)).collect();
        let _one = tasks.join(0);
        assert!(!tasks.tells_after(2000), "the other does not wait");
        let _two = tasks.join(1);
        assert!(tasks.nested().is_some());
        assert_eq!((tasks.tells_after(1000), tasks.held_by_waiting()), (is_told, 2));
    }
}

#[test]
fn a_waiter_that_holds_nothing_is_no_deadlock() {
    let mut tasks = Tasks::among(1);
    let loan = tasks.lend(1);
    let other = tasks.join(2);
    assert!(tasks.nested().is_none());
    assert!(!tasks.tells_after(5000));
    tasks.give_back(loan);
    let _loan = served(&other);
    let _again = tasks.join(1);
    assert!(tasks.nested().is_none(), "it has given back what it held");
    assert_eq!(tasks.held_by_waiting(), 0);
}

/// It runs several futures, of which one holds and others wait.
#[test]
fn only_the_first_wait_of_a_task_says_what_it_holds() {
    let mut tasks = Tasks::among(1);
    let _loan = tasks.lend(1);
    let _first = tasks.join(1);
    assert!(tasks.nested().is_some());
    let _second = tasks.join(1);
    assert!(tasks.nested().is_none());
}

/// The first of two futures has its connection while the second waits: it may come back or not.
#[test]
fn a_task_with_several_futures_is_told_of_when_none_comes_back_for_a_second() {
    let mut tasks = Tasks::among(1);
    let mut loan = tasks.lend(7);
    let waiters: Vec<_> = (0..6).map(|_| tasks.join(1)).collect();
    assert!(tasks.nested().is_none());
    for waiter in &waiters[..4] {
        tasks.give_back(loan);
        loan = served(waiter);
        assert!(!tasks.tells_after(900), "they come back");
    }
    assert!(tasks.tells_after(100), "this one does not");
    tasks.give_back(loan);
    let _loan = served(&waiters[4]);
    assert!(!tasks.tells_after(900));
    assert!(tasks.tells_after(100), "it is another");
}

#[test]
fn a_dial_or_a_close_on_its_way_is_no_deadlock() {
    let mut tasks = Tasks::among(2);
    let (_one, two) = (tasks.lend(1), tasks.lend(2));
    let _waiter = tasks.join(1);
    let reason = crate::policy::close_reason::CloseReason::Age;
    tasks.section(|state, section| {
        state.returned(two, super::super::Use::Over(reason), section);
    });
    assert!(!tasks.tells_after(5000), "its place will be free");
}

#[test]
fn a_lowered_cap_may_make_a_deadlock() {
    let mut tasks = Tasks::among(2);
    let (_one, two) = (tasks.lend(1), tasks.lend(2));
    tasks.section(|state, section| state.set_max(1, section));
    let _waiter = tasks.join(1);
    assert!(!tasks.tells_after(5000));
    tasks.section(|state, section| state.detach(two.ticket, section));
    assert!(tasks.tells_after(1000));
}

#[test]
fn the_pools_own_look_at_a_connection_is_no_task() {
    let mut tasks = Tasks::among(1);
    let loan = tasks.lend(1);
    tasks.give_back(loan);
    let id = tasks.world.cells[0].state.idle_ids()[0];
    let place = CallSite::caller();
    let _loan = tasks.section(|state, section| state.inspect(id, place, section));
    let _waiter = tasks.join(1);
    assert!(tasks.nested().is_none());
    assert!(!tasks.tells_after(5000));
}

#[test]
fn leases_are_held_as_loans_are() {
    let mut world = shared(2, noted(|l| l.max_per_host = 1));
    // Tasks by their tags: each fifth is the same.
    (0..2).for_each(|_| world.borrow(0));
    (0..5).for_each(|_| world.acquire_of(0));
    assert_eq!(world.deadlocks, 0);
    world.run(&Op::Pass(1500));
    assert_eq!((world.deadlocks, world.host_of(0).held_by_waiting()), (1, 2));
    world.run(&Op::Return(Pick::FIRST, true));
    world.run(&Op::Pass(900));
    assert_eq!(world.deadlocks, 1);
}

/// Two leases on a connection that drains without a place, held by the tasks 1 and 2, two on one that came after it, held
/// by 3 and 4, and all of them wait, apart from the first.
fn all_wait_but_one(set: impl FnOnce(&mut Limits), drain: &Op) -> World {
    let mut world = shared(2, noted(|l| (l.max_per_host = 1, set(l)).1));
    (0..2).for_each(|_| world.borrow(0));
    world.run(drain);
    (0..2).for_each(|_| world.borrow(0));
    (0..5).for_each(|_| world.acquire_of(0));
    world.run(&Op::Cancel(Pick(1)));
    let gauges = &world.host_of(0).gauges();
    assert_eq!((gauges.places, gauges.permits, world.waits.len()), (1, 2, 4));
    world
}

#[test]
fn a_draining_connection_without_a_slot_serves_nobody() {
    let mut world = all_wait_but_one(|_| {}, &Op::Retire(0));
    world.run(&Op::Pass(1500));
    assert_eq!((world.deadlocks, world.host_of(0).held_by_waiting()), (1, 2));
}

#[test]
fn a_draining_connection_without_a_slot_lets_another_give_up_its_slot() {
    let mut world = all_wait_but_one(|l| l.max_uses = 2, &Op::Pass(0));
    world.run(&Op::Pass(5000));
    assert_eq!((world.deadlocks, world.host_of(0).held_by_waiting()), (0, 3));
    world.acquire_of(0);
    world.acquire_of(0);
    world.run(&Op::Pass(1500));
    assert_eq!((world.deadlocks, world.host_of(0).held_by_waiting()), (1, 4));
}

#[test]
fn a_ping_of_what_is_in_use_only_delays_it() {
    let beats = Heartbeat::every(Duration::from_millis(700)).beats();
    let mut world = shared(1, noted(|l| (l.max_per_host, l.heartbeat) = (1, Some(beats))));
    world.borrow(0);
    (0..5).for_each(|_| world.acquire_of(0));
    world.run(&Op::Pass(1500));
    world.acquire_of(0);
    assert_eq!((world.pings.len(), world.deadlocks), (1, 0), "it may be dead");
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    assert_eq!(world.deadlocks, 1);
}

/// Each of the tasks waits twice, so that the one that gets the lease waits at once.
#[test]
fn a_second_begins_anew_with_each_lease() {
    for returned in 0..2 {
        let mut world = shared(2, noted(|l| l.max_per_host = 1));
        (0..2).for_each(|_| world.borrow(0));
        (0..10).for_each(|_| world.acquire_of(0));
        world.run(&Op::Pass(1500));
        world.run(&Op::Return(Pick(returned), true));
        world.run(&Op::Pass(900));
        assert_eq!(world.deadlocks, 1);
        world.run(&Op::Pass(200));
        assert_eq!(world.deadlocks, 2, "it is another");
    }
}

#[test]
fn nothing_is_noted_where_it_is_off() {
    let mut world = world(|l| l.max_per_host = 1);
    world.borrow(0);
    world.acquire_of(0);
    world.return_last();
    assert!(!world.host_of(0).notes_tasks());
}
