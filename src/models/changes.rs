//! Changes of caps and generations.

use super::*;

/// The cap is lowered to one while one of two loans is returned: one connection stays.
#[test]
fn a_cap_that_is_lowered_during_a_return_holds_in_the_end() {
    explore(&["lowered"], || {
        let stage = Stage::new(2);
        let (one, other) = (stage.loan(), stage.loan());
        let host = stage.pool.host(&HOST);
        let returning = thread::spawn(move || drop(one));
        host.set_max(1).expect("one is allowed");
        join(returning);
        let status = stage.settle();
        assert_eq!((status.idle, status.in_use), (0, 1), "the loan has the one place");
        drop(other);
        stage.rests_with(1);
        drop(host);
        stage.end();
        "lowered"
    });
}

/// The cap is lowered to one while one of two loans is returned and a waiter waits: the waiter gets
/// one connection or the other, and one connection stays.
#[test]
fn a_cap_that_is_lowered_during_a_hand_over_leaves_no_waiter_behind() {
    explore(&["served by the first", "served by the second"], || {
        let stage = Stage::new(2);
        let (one, other) = (stage.loan(), stage.loan());
        let waiter = stage.waiter();
        let host = stage.pool.host(&HOST);
        let returning = thread::spawn(move || drop(one));
        host.set_max(1).expect("one is allowed");
        join(returning);
        let status = stage.settle();
        let end = match (status.in_use, status.waiting) {
            (2, 0) => "served by the first",
            (1, 1) => "served by the second",
            counts => panic!("{counts:?}"),
        };
        drop(other);
        drop(waiter.connection());
        stage.rests_with(1);
        drop(host);
        stage.end();
        end
    });
}

/// The cap is raised to two while the loan that a waiter waits for is returned: the waiter is
/// served once, and a dial that was started for it leaves an idle connection.
#[test]
fn a_cap_that_is_raised_during_a_return_serves_the_waiter_once() {
    explore(&["by the return", "with a dial to spare"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let host = stage.pool.host(&HOST);
        let returning = thread::spawn(move || drop(loan));
        host.set_max(2).expect("two are allowed");
        join(returning);
        stage.watch.check();
        drop(waiter.connection());
        let status = stage.settle();
        let end = if status.dials == 1 { "by the return" } else { "with a dial to spare" };
        stage.rests_with(usize::try_from(status.dials).expect("a few"));
        drop(host);
        stage.end();
        end
    });
}

/// The host is retired while its connection is returned: the connection is closed and never lent
/// again.
#[test]
fn a_connection_returned_while_its_host_is_retired_is_closed() {
    explore(&["retired"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let returning = thread::spawn(move || drop(loan));
        stage.pool.retire(&HOST);
        join(returning);
        stage.rests_with(0);
        stage.end();
        "retired"
    });
}

/// The host is retired while its connection is returned to a waiter: the waiter has it already, or
/// gets a new one. The old one is closed in either case.
#[test]
fn retiring_meets_a_hand_over() {
    explore(&["the old one", "a new one"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let returning = thread::spawn(move || drop(loan));
        stage.pool.retire(&HOST);
        join(returning);
        stage.watch.check();
        let got = waiter.connection();
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop(got);
        stage.rests_with(usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// The host is retired while a dial ends: its waiter has the connection already, or gets one that
/// was dialed later. The old one is closed in either case.
#[test]
fn retiring_meets_a_dial() {
    explore(&["the old one", "a new one"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let mut dial = Task::new(Runtime::take());
        let dialing = thread::spawn(move || dial.poll().is_some());
        stage.pool.retire(&HOST);
        assert!(join(dialing), "it is done");
        stage.watch.check();
        let got = waiter.connection();
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop(got);
        stage.rests_with(usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// The host is retired while a newcomer acquires: it gets the old connection or a new one.
#[test]
fn retiring_meets_a_newcomer() {
    explore(&["the old one", "a new one"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let pool = stage.pool.clone();
        let retiring = thread::spawn(move || pool.retire(&HOST));
        let early = newcomer.poll().map(got);
        join(retiring);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop(got);
        stage.rests_with(usize::from(end == "a new one"));
        stage.end();
        end
    });
}
