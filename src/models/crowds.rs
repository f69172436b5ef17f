//! Races of three threads that do not reduce to races of two.

use super::end::close_answers;
use super::heartbeats::{beat, beaten};
use super::pings::{checked, ping};
use super::*;

/// The connection is returned while the first of two waiters gives up and the deadline of the
/// second passes: the second gets it, or it stays idle.
#[test]
fn a_return_meets_a_waiter_that_gives_up_and_one_whose_time_is_over() {
    explore(&["delivered", "timed out"], || {
        let limit = Duration::from_secs(1);
        let stage = Stage::timed(Pool::builder().acquire_timeout(limit).max_per_host(1));
        let loan = stage.loan();
        let (first, mut second) = (stage.waiter(), stage.waiter());
        Timer::let_time_pass();
        let returning = thread::spawn(move || drop(loan));
        let giving_up = thread::spawn(move || drop(first));
        let answer = second.poll().expect("its time is over");
        join(returning);
        join(giving_up);
        stage.watch.check();
        let end = if answer.is_ok() { "delivered" } else { "timed out" };
        drop(answer);
        stage.rests_with(1);
        assert_eq!(stage.hit().id, 0);
        stage.end();
        end
    });
}

/// A dial ends while its waiter gives up and the pool is closed: the connection is closed, and
/// closing waits for that.
#[test]
fn closing_meets_a_dial_whose_waiter_gives_up() {
    explore(&["before", "after"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        let giving_up = thread::spawn(move || drop(waiter));
        let mut close = Task::new(stage.pool.close());
        let at_once = close.poll().is_some();
        join(dialing);
        join(giving_up);
        stage.watch.check();
        if !at_once {
            close.output();
        }
        stage.rests_with(0);
        stage.end();
        if at_once { "before" } else { "after" }
    });
}

/// A heartbeat is answered while a newcomer acquires and the pool is closed: the newcomer gets the
/// connection or `Closed`, and the pool becomes empty. (Bounded: all orders take a minute.)
#[test]
fn closing_meets_the_answer_of_a_heartbeat_and_a_newcomer() {
    explore_bounded(4, &["served", "closed"], || {
        let stage = beaten();
        beat(stage.pool.core());
        let mut ping = Task::new(Runtime::take());
        let mut newcomer = stage.acquire(HOST);
        let answering = thread::spawn(move || assert!(ping.poll().is_some(), "it has ended"));
        let asking = thread::spawn(move || {
            let early = newcomer.poll();
            (newcomer, early)
        });
        let close = Task::new(stage.pool.close());
        join(answering);
        let (newcomer, early) = join(asking);
        stage.watch.check();
        close_answers(stage, || early.unwrap_or_else(|| newcomer.output()), close)
    });
}

/// A connection answers the ping for a waiter while that waiter gives up and the pool is closed: it
/// is closed once, and closing waits for that.
#[test]
fn closing_meets_the_answer_of_a_ping_and_a_waiter_that_gives_up() {
    explore(&["closed"], || {
        let stage = checked();
        let asking = stage.waiter();
        let mut ping = ping();
        let answering = thread::spawn(move || assert!(ping.poll().is_some(), "it has ended"));
        let giving_up = thread::spawn(move || drop(asking));
        let close = Task::new(stage.pool.close());
        join(answering);
        join(giving_up);
        is_closed(stage, close)
    });
}

/// The connection is returned while the only waiter gives up and the pool is closed: it is closed once, and
/// closing waits for that.
#[test]
fn closing_meets_a_return_and_a_waiter_that_gives_up() {
    explore(&["closed"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let returning = thread::spawn(move || drop(loan));
        let giving_up = thread::spawn(move || drop(waiter));
        let close = Task::new(stage.pool.close());
        join(returning);
        join(giving_up);
        is_closed(stage, close)
    });
}

fn is_closed(stage: Stage, mut close: Task<crate::Close>) -> &'static str {
    stage.watch.check();
    if close.poll().is_none() {
        close.output();
    }
    stage.rests_with(0);
    stage.end();
    "closed"
}

/// The connection is returned while the host is retired and the only waiter gives up. A caller that
/// acquires afterwards gets a new connection.
#[test]
fn retiring_meets_a_return_and_a_waiter_that_gives_up() {
    explore(&["retired"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let returning = thread::spawn(move || drop(loan));
        let giving_up = thread::spawn(move || drop(waiter));
        stage.pool.retire(&HOST);
        join(returning);
        join(giving_up);
        let idle = stage.settle().idle;
        stage.rests_with(idle);
        assert_eq!(stage.acquire_now(HOST).id, 1, "the old one is not lent again");
        stage.end();
        "retired"
    });
}
