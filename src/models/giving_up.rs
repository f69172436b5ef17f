//! Waiters that give up.

use super::*;

/// A connection is returned while the only waiter gives up: it may have been handed to the waiter
/// already, and is idle in the end.
#[test]
fn a_connection_for_a_waiter_that_gives_up_goes_idle() {
    explore(&["handed over", "not"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let bell = waiter.bell.clone();
        let giving_up = thread::spawn(move || drop(waiter));
        drop(loan);
        join(giving_up);
        stage.rests_with(1);
        let again = stage.hit();
        assert_eq!(again.id, 0);
        drop(again);
        stage.end();
        if bell.has_rung() { "handed over" } else { "not" }
    });
}

/// A connection is returned while the first of two waiters gives up, and the second is polled once
/// it is woken: the connection reaches the second.
#[test]
fn a_connection_for_a_waiter_that_gives_up_goes_to_the_next() {
    explore(&["handed over twice", "handed over"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let (first, mut second) = (stage.waiter(), stage.waiter());
        let bell = first.bell.clone();
        let giving_up = thread::spawn(move || drop(first));
        let returning = thread::spawn(move || drop(loan));
        let early = second.poll_if_woken().map(got);
        join(giving_up);
        join(returning);
        stage.watch.check();
        let got = early.unwrap_or_else(|| second.connection());
        assert_eq!(got.id, 0);
        let status = stage.settle();
        assert_eq!((status.in_use, status.waiting, status.cancelled), (1, 0, 1));
        drop(got);
        stage.rests_with(1);
        stage.end();
        if bell.has_rung() { "handed over twice" } else { "handed over" }
    });
}

/// The connection is returned while the only waiter gives up and a newcomer acquires: the newcomer
/// gets it, and no other is dialed.
#[test]
fn a_connection_for_a_waiter_that_gives_up_goes_to_a_newcomer() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let giving_up = thread::spawn(move || drop(waiter));
        let returning = thread::spawn(move || drop(loan));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(giving_up);
        join(returning);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0);
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A waiter's deadline passes while the connection is returned: the waiter gets it, or the pool
/// keeps it.
#[test]
fn a_connection_for_a_waiter_whose_time_is_over_is_not_lost() {
    explore(&["delivered", "timed out"], || {
        let limit = Duration::from_secs(1);
        let stage = Stage::timed(Pool::builder().acquire_timeout(limit).max_per_host(1));
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        Timer::let_time_pass();
        let returning = thread::spawn(move || drop(loan));
        let answer = waiter.poll().expect("its time is over");
        join(returning);
        stage.watch.check();
        let end = match answer {
            Ok(got) => {
                assert_eq!(stage.settle().in_use, 1);
                drop(got);
                "delivered"
            }
            Err(AcquireError::Timeout(_)) => "timed out",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(1);
        assert_eq!(stage.pool.status().timed_out, u64::from(end == "timed out"));
        assert_eq!(stage.hit().id, 0);
        stage.end();
        end
    });
}

/// The deadline of the first of two waiters passes while the connection is returned: no matter who
/// gets it first, the second has it in the end.
#[test]
fn a_connection_for_a_waiter_whose_time_is_over_reaches_the_next() {
    explore(&["delivered", "timed out"], || {
        let limit = Duration::from_secs(1);
        let stage = Stage::timed(Pool::builder().acquire_timeout(limit).max_per_host(1));
        let loan = stage.loan();
        let (mut first, second) = (stage.waiter(), stage.waiter());
        Timer::let_time_pass();
        let returning = thread::spawn(move || drop(loan));
        let answer = first.poll().expect("its time is over");
        join(returning);
        stage.watch.check();
        let end = if answer.is_ok() { "delivered" } else { "timed out" };
        drop(answer);
        drop(second.connection());
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The newest of two waiters is to be served, because the time of the oldest is over. It gives up while
/// the connection is returned, and the oldest is polled: the connection is with the oldest, or idle.
#[test]
fn a_connection_for_the_newest_that_gives_up_is_not_lost() {
    explore(&["to the newest", "to the oldest", "idle"], || {
        let stage = Stage::timed(patient().order(Order::Deadlines).max_per_host(1));
        let loan = stage.loan();
        let limit = Duration::from_secs(1);
        let mut oldest = Task::new(stage.pool.acquire(&HOST).at_most(limit));
        assert!(oldest.poll().is_none(), "nothing is idle");
        let newest = stage.waiter();
        let bell = newest.bell.clone();
        Timer::let_time_pass();
        let giving_up = thread::spawn(move || drop(newest));
        let returning = thread::spawn(move || drop(loan));
        let answer = oldest.poll().expect("its time is over");
        join(giving_up);
        join(returning);
        stage.watch.check();
        let end = match answer {
            Ok(got) => {
                assert_eq!(got.id, 0);
                drop(got);
                "to the oldest"
            }
            Err(AcquireError::Timeout(_)) if bell.has_rung() => "to the newest",
            Err(AcquireError::Timeout(_)) => "idle",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(1);
        assert_eq!(stage.hit().id, 0);
        stage.end();
        end
    });
}
