//! Closing the pool and dropping its handles.

use super::*;

/// The only loan is returned, and its connection closed, while a task closes the pool and waits:
/// the connection is closed once, and the task is woken.
#[test]
fn closing_waits_for_a_return() {
    explore(&["empty at once", "woken"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let returning = thread::spawn(move || {
            drop(loan);
            Runtime::run();
        });
        let mut close = Task::new(stage.pool.close());
        let early = close.poll();
        let end = if early.is_some() { "empty at once" } else { "woken" };
        join(returning);
        stage.watch.check();
        early.unwrap_or_else(|| close.output());
        assert!(stage.pool.is_closed());
        assert_eq!(stage.watch.ledger.closed.load(SeqCst), 1);
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// The loan that a waiter waits for is returned while the pool is closed: the waiter gets it or
/// `Closed`, and the pool becomes empty.
#[test]
fn closing_answers_a_waiter_during_a_return() {
    explore(&["served", "closed"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let returning = thread::spawn(move || drop(loan));
        let close = Task::new(stage.pool.close());
        join(returning);
        stage.watch.check();
        close_answers(stage, || waiter.output(), close)
    });
}

/// A dial ends while the pool is closed: its waiter gets the connection or `Closed`, and the pool
/// becomes empty.
#[test]
fn closing_waits_for_a_dial() {
    explore(&["served", "closed"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        let close = Task::new(stage.pool.close());
        join(dialing);
        stage.watch.check();
        close_answers(stage, || waiter.output(), close)
    });
}

/// A dial that never ends is cut off when the pool closes, at any time, and its waiter gets
/// `Closed`.
#[test]
fn closing_cuts_off_a_dial() {
    explore(&["before it began", "while it waited"], || {
        let stage = Stage::new(1);
        stage.dials(Step::Hangs);
        let mut waiter = stage.waiter();
        let mut dial = Task::new(Runtime::take());
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let at_once = dial.poll().is_some();
        join(closing);
        if !at_once {
            assert!(dial.poll_if_woken().is_some(), "it is told, and ends");
        }
        assert!(matches!(waiter.poll_if_woken(), Some(Err(AcquireError::Closed))));
        stage.rests_with(0);
        stage.end();
        if at_once { "before it began" } else { "while it waited" }
    });
}

pub(super) fn close_answers(
    stage: Stage,
    answer: impl FnOnce() -> Answer,
    mut close: Task<crate::Close>,
) -> &'static str {
    let end = match answer() {
        Ok(got) => {
            assert!(close.poll().is_none(), "a loan is out");
            drop(got);
            close.output();
            "served"
        }
        Err(AcquireError::Closed) => {
            Runtime::run();
            close.poll().expect("nothing is out");
            "closed"
        }
        Err(error) => panic!("{error}"),
    };
    stage.rests_with(0);
    stage.end();
    end
}

/// Two tasks close the pool at once while its connection is idle: it is closed once, and both see
/// the pool empty.
#[test]
fn two_may_close_a_pool() {
    explore(&["closed"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || {
            let mut close = Task::new(pool.close());
            let early = close.poll();
            (close, early)
        });
        let mut close = Task::new(stage.pool.close());
        let early = close.poll();
        let (other, other_early) = join(closing);
        stage.watch.check();
        Runtime::run();
        early.unwrap_or_else(|| close.output());
        other_early.unwrap_or_else(|| other.output());
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}

/// Two tasks close the pool at once while a newcomer acquires: a task sees the pool empty only when
/// no connection is lent any more. (Bounded: all orders take too long.)
#[test]
fn two_may_close_a_pool_while_a_newcomer_asks() {
    explore_bounded(4, &["empty", "not yet"], || {
        let stage = Stage::new(1);
        let mut newcomer = stage.acquire(HOST);
        let asking = thread::spawn(move || (newcomer.poll(), newcomer));
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let mut close = Task::new(stage.pool.close());
        let is_empty = close.poll().is_some();
        let made = stage.watch.ledger.made.load(SeqCst);
        let (early, newcomer) = join(asking);
        Runtime::run();
        if is_empty {
            assert_eq!(stage.watch.ledger.made.load(SeqCst), made, "made when all was over");
        }
        join(closing);
        stage.watch.check();
        drop(early.unwrap_or_else(|| newcomer.output()));
        if !is_empty {
            close.output();
        }
        stage.rests_with(0);
        stage.end();
        if is_empty { "empty" } else { "not yet" }
    });
}

/// A newcomer acquires while the pool is closed: it gets the idle connection or `Closed`, and is
/// never left waiting.
#[test]
fn a_newcomer_at_the_end_is_answered() {
    explore(&["lent", "closed"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let asking = thread::spawn(move || (newcomer.poll(), newcomer));
        let mut close = Task::new(stage.pool.close());
        let (answer, newcomer) = join(asking);
        stage.watch.check();
        let end = match answer.unwrap_or_else(|| newcomer.output()) {
            Ok(got) => {
                drop(got);
                "lent"
            }
            Err(AcquireError::Closed) => "closed",
            Err(error) => panic!("{error}"),
        };
        Runtime::run();
        close.poll().expect("nothing is out");
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// A newcomer finds nothing idle and joins the queue while the pool is closed: it gets `Closed`, at
/// once or after being woken.
#[test]
fn a_newcomer_that_waits_at_the_end_is_answered() {
    explore(&["at once", "woken"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let asking = thread::spawn(move || (newcomer.poll(), newcomer));
        let mut close = Task::new(stage.pool.close());
        let (early, newcomer) = join(asking);
        stage.watch.check();
        let end = if early.is_some() { "at once" } else { "woken" };
        let answer = early.unwrap_or_else(|| newcomer.output());
        assert!(matches!(answer, Err(AcquireError::Closed)));
        drop(loan);
        Runtime::run();
        close.poll().expect("nothing is out");
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// The last handle is dropped while the only loan is returned: nothing stays idle, and nothing is
/// left of the pool.
#[test]
fn the_last_handle_leaves_nothing_behind_during_a_return() {
    explore(&["gone"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let Stage { pool, watch } = stage;
        let returning = thread::spawn(move || drop(loan));
        drop(pool);
        join(returning);
        watch.end();
        "gone"
    });
}

/// The last handle is dropped while the only loan is returned and a waiter is polled once it is
/// woken: the waiter is served, and then nothing is left.
#[test]
fn the_last_handle_leaves_waiters_to_be_served() {
    explore(&["served early", "served"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        let Stage { pool, watch } = stage;
        let returning = thread::spawn(move || drop(loan));
        let leaving = thread::spawn(move || drop(pool));
        let early = waiter.poll_if_woken().map(got);
        let end = if early.is_some() { "served early" } else { "served" };
        join(returning);
        join(leaving);
        watch.check();
        let got = early.unwrap_or_else(|| waiter.connection());
        assert_eq!(got.id, 0);
        drop(got);
        watch.end();
        end
    });
}

/// The last handle is dropped while an acquire made with it is polled for the first time: the
/// acquire is served, from the idle list or by a dial, and then nothing is left.
#[test]
fn the_last_handle_leaves_acquires_to_be_served() {
    explore(&["hit", "dial"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let Stage { pool, watch } = stage;
        let leaving = thread::spawn(move || drop(pool));
        let early = newcomer.poll().map(got);
        join(leaving);
        watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        let end = if got.id == 0 { "hit" } else { "dial" };
        drop(got);
        watch.end();
        end
    });
}

/// The two last handles, a pool and a host, are dropped at once while the only loan is returned:
/// one of them is the last, and nothing is left.
#[test]
fn of_two_handles_that_go_at_once_one_is_the_last() {
    explore(&["gone"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let host = stage.pool.host(&HOST);
        let Stage { pool, watch } = stage;
        let returning = thread::spawn(move || drop(loan));
        let leaving = thread::spawn(move || drop(host));
        drop(pool);
        join(returning);
        join(leaving);
        watch.end();
        "gone"
    });
}
