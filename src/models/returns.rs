//! Waiters against returns.

use super::*;

/// The central race: a waiter joins the queue while the only connection is returned. The connection
/// is lent, or handed over and the waiter woken; no wake-up is lost.
#[test]
fn a_waiter_that_joins_during_a_return_gets_the_connection() {
    explore(&["handed over", "lent"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let returning = thread::spawn(move || drop(loan));
        let at_once = newcomer.poll();
        let end = if at_once.is_some() { "lent" } else { "handed over" };
        let early = at_once.or_else(|| newcomer.poll_if_woken());
        join(returning);
        stage.watch.check();
        let got = early.map_or_else(|| newcomer.connection(), got);
        assert_eq!(got.id, 0, "no other was dialed");
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// Two waiters join while the only connection is returned, and the first to get it passes it on:
/// both get it.
#[test]
fn two_waiters_that_join_during_a_return_both_get_the_connection() {
    explore(&["both", "first", "second", "neither"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let (mut first, mut second) = (stage.acquire(HOST), stage.acquire(HOST));
        let returning = thread::spawn(move || drop(loan));
        let joining = thread::spawn(move || {
            let served = first.poll().is_some();
            (first, served)
        });
        let second_served = second.poll().is_some();
        let (first, first_served) = join(joining);
        join(returning);
        stage.watch.check();
        let end = match (first_served, second_served) {
            (true, true) => "both",
            (true, false) => "first",
            (false, true) => "second",
            (false, false) => "neither",
        };
        // The one behind is served when the other has returned the connection.
        let mut left: Vec<_> = [(first, first_served), (second, second_served)]
            .into_iter()
            .filter_map(|(task, served)| (!served).then_some(task))
            .collect();
        left.sort_by_key(|task| !task.bell.has_rung());
        for task in left {
            assert_eq!(task.connection().id, 0);
        }
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A waiter is polled by another task than before while the connection is handed to it: the last
/// task that polled it and got `Pending` is woken.
#[test]
fn a_waiter_that_changes_tasks_during_a_return_is_woken_in_the_new_one() {
    explore(&["collected", "woken"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        waiter.bell = Bell::new();
        let returning = thread::spawn(move || drop(loan));
        let early = waiter.poll();
        let end = if early.is_some() { "collected" } else { "woken" };
        join(returning);
        stage.watch.check();
        drop(early.map_or_else(|| waiter.connection(), got));
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A newcomer acquires while the connection for which another caller waits is returned: it never
/// overtakes.
#[test]
fn a_newcomer_does_not_overtake_during_a_return() {
    explore(&["in order"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let returning = thread::spawn(move || drop(loan));
        assert!(newcomer.poll().is_none(), "somebody waits already");
        join(returning);
        stage.watch.check();
        assert!(!newcomer.bell.has_rung(), "it is not its turn");
        drop(waiter.connection());
        drop(newcomer.connection());
        stage.rests_with(1);
        stage.end();
        "in order"
    });
}

/// Two returns race with a poll of each of two waiters: each gets one connection, and the second is
/// never served before the first.
#[test]
fn two_returns_serve_two_waiters_in_order() {
    explore(&["neither yet", "the first", "both"], || {
        let stage = Stage::new(2);
        let (one, other) = (stage.loan(), stage.loan());
        let (mut first, mut second) = (stage.waiter(), stage.waiter());
        let returning = thread::spawn(move || drop(one));
        let also_returning = thread::spawn(move || drop(other));
        // Polled without being woken: this model is about the order only.
        let second_got = second.poll();
        let first_got = first.poll();
        let end = match (&first_got, &second_got) {
            (None, Some(_)) => panic!("the second was served before the first"),
            (None, None) => "neither yet",
            (Some(_), None) => "the first",
            (Some(_), Some(_)) => "both",
        };
        join(returning);
        join(also_returning);
        stage.watch.check();
        let first_got = first_got.map_or_else(|| first.connection(), got);
        let second_got = second_got.map_or_else(|| second.connection(), got);
        assert_eq!(first_got.id + second_got.id, 1, "one each");
        assert_eq!(stage.settle().in_use, 2);
        drop((first_got, second_got));
        stage.rests_with(2);
        stage.end();
        end
    });
}

/// The connection is discarded while a waiter joins the queue: the waiter gets its place and a new
/// connection.
#[test]
fn a_waiter_that_joins_during_a_discard_gets_a_new_connection() {
    explore(&["before", "after"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let discarding = thread::spawn(move || PooledConnection::discard(loan));
        assert!(newcomer.poll().is_none(), "nothing is idle");
        let end = if stage.pool.status().in_use == 0 { "after" } else { "before" };
        join(discarding);
        stage.watch.check();
        let got = newcomer.connection();
        assert_eq!(got.id, 1);
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// `retain` inspects and keeps the idle connection while a newcomer acquires: the newcomer gets it,
/// before or after.
#[test]
fn a_connection_that_is_looked_at_goes_to_a_newcomer() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let pool = stage.pool.clone();
        let looking = thread::spawn(move || pool.retain(|_, _, _| true));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(looking);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0);
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// `retain` inspects and closes the idle connection while a newcomer acquires: the newcomer gets it
/// before, or a new one afterwards.
#[test]
fn a_connection_that_is_not_retained_makes_room_for_a_newcomer() {
    explore(&["lent", "a new one"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let pool = stage.pool.clone();
        let looking = thread::spawn(move || pool.retain(|_, _, _| false));
        let early = newcomer.poll().map(got);
        join(looking);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        let end = if got.id == 0 { "lent" } else { "a new one" };
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}
