//! Dials.

use super::heartbeats::beat as maintenance_an_hour_later;
use super::*;

/// Two newcomers acquire from a new host with one place at once: one dial serves both.
#[test]
fn two_newcomers_share_one_place() {
    explore(&["served"], || {
        let stage = Stage::new(1);
        let (mut first, mut second) = (stage.acquire(HOST), stage.acquire(HOST));
        let asking = thread::spawn(move || {
            assert!(first.poll().is_none(), "nothing is idle");
            first
        });
        assert!(second.poll().is_none(), "nothing is idle");
        let first = join(asking);
        stage.watch.check();
        Runtime::run();
        assert!(first.bell.has_rung() != second.bell.has_rung(), "one is served");
        let (earlier, later) =
            if first.bell.has_rung() { (first, second) } else { (second, first) };
        drop(earlier.connection());
        drop(later.connection());
        stage.rests_with(1);
        assert_eq!(stage.pool.status().dials, 1);
        stage.end();
        "served"
    });
}

/// A dial ends while its waiter gives up: the connection becomes idle.
#[test]
fn a_dial_whose_waiter_gives_up_goes_idle() {
    explore(&["handed over", "not"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let bell = waiter.bell.clone();
        let dialing = thread::spawn(Runtime::run);
        drop(waiter);
        join(dialing);
        stage.rests_with(1);
        assert_eq!(stage.hit().id, 0);
        assert_eq!(stage.pool.status().dials, 1);
        stage.end();
        if bell.has_rung() { "handed over" } else { "not" }
    });
}

/// A dial ends while the waiter that caused it gives up and another one joins: the connection
/// serves that one.
#[test]
fn a_dial_whose_waiter_gives_up_serves_the_next() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let dialing = thread::spawn(Runtime::run);
        let giving_up = thread::spawn(move || drop(waiter));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(dialing);
        join(giving_up);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0);
        drop(got);
        stage.rests_with(1);
        assert_eq!(stage.pool.status().dials, 1);
        stage.end();
        end
    });
}

/// A dial ends while another connection is returned: the waiter gets whichever comes first, and the
/// other becomes idle.
#[test]
fn a_dial_and_a_return_serve_a_waiter_once() {
    explore(&["by the return", "by the dial"], || {
        let stage = Stage::new(2);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        drop(loan);
        join(dialing);
        stage.watch.check();
        let got = waiter.connection();
        let status = stage.settle();
        assert_eq!((status.idle, status.in_use), (1, 1));
        let end = if got.id == 0 { "by the return" } else { "by the dial" };
        drop(got);
        stage.rests_with(2);
        stage.end();
        end
    });
}

/// A dial of `warm` ends while `warm` is polled: `warm` notices.
#[test]
fn warming_is_told_of_its_dial() {
    explore(&["at once", "woken"], || {
        let stage = Stage::new(1);
        let mut warm = Task::new(stage.pool.warm(&HOST, 1));
        let dialing = thread::spawn(Runtime::run);
        let early = warm.poll();
        let end = if early.is_some() { "at once" } else { "woken" };
        join(dialing);
        stage.watch.check();
        early.unwrap_or_else(|| warm.output()).expect("it works");
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The pool is closed while `warm` is polled for its dial: `warm` ends at once.
#[test]
fn warming_is_told_of_the_end() {
    explore(&["closed"], || {
        let stage = Stage::new(1);
        let mut warm = Task::new(stage.pool.warm(&HOST, 1));
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let early = warm.poll();
        join(closing);
        stage.watch.check();
        // It must not wait for the dial to end.
        let result = early.or_else(|| warm.poll_if_woken()).expect("it is told");
        assert!(matches!(result, Err(WarmError::Closed)));
        drop(warm);
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}

/// A connection is added while a newcomer acquires: the newcomer gets that one or its own dial, and
/// the other becomes idle.
#[test]
fn an_added_connection_meets_a_newcomer() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(2);
        let ledger = stage.watch.ledger.clone();
        let pool = stage.pool.clone();
        let adding = thread::spawn(move || {
            let added = pool.add(&HOST, Connection::new(&ledger));
            added.expect("there is room");
        });
        let mut newcomer = stage.acquire(HOST);
        let early = newcomer.poll().map(got);
        join(adding);
        stage.watch.check();
        let end = if early.is_some() { "lent" } else { "handed over" };
        drop(early.unwrap_or_else(|| newcomer.connection()));
        let dials = stage.settle().dials;
        stage.rests_with(1 + usize::try_from(dials).expect("a few"));
        stage.end();
        end
    });
}

/// A dial fails while another waiter joins: the first gets the error; the newcomer gets it too, or
/// a dial of its own after the backoff.
#[test]
fn a_waiter_that_joins_during_a_failing_dial_is_not_forgotten() {
    explore(&["an error", "a connection"], || {
        let stage = Stage::new(1);
        stage.dials(Step::Fails);
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let dialing = thread::spawn(Runtime::run);
        let early = newcomer.poll();
        join(dialing);
        stage.watch.check();
        stage.dials(Step::Works);
        maintenance_an_hour_later(stage.pool.core()); // The backoff is over.
        assert!(matches!(waiter.output(), Err(AcquireError::Connect(_))));
        let end = match early.unwrap_or_else(|| newcomer.output()) {
            Ok(_) => "a connection",
            Err(AcquireError::Connect(_)) => "an error",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(usize::from(end == "a connection"));
        stage.end();
        end
    });
}

/// A dial fails while the only other connection is discarded: the waiter that it would have served
/// gets the error, or a new dial after the backoff.
#[test]
fn a_waiter_behind_a_failing_dial_and_a_discard_is_not_forgotten() {
    explore(&["the error", "a new dial"], || {
        let stage = Stage::new(2);
        let loan = stage.loan();
        stage.dials(Step::Fails);
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        PooledConnection::discard(loan);
        join(dialing);
        stage.watch.check();
        stage.dials(Step::Works);
        maintenance_an_hour_later(stage.pool.core()); // The backoff is over.
        let end = match waiter.output() {
            Ok(_) => "a new dial",
            Err(AcquireError::Connect(_)) => "the error",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(usize::from(end == "a new dial"));
        stage.end();
        end
    });
}

/// A dial ends while it becomes slow, and another one begins: the waiter gets the first
/// one, and the second becomes idle.
#[test]
fn a_dial_that_becomes_slow_as_it_ends_serves_its_waiter() {
    explore(&["it was slow", "not"], || {
        let stage = Stage::new(2);
        let waiter = stage.waiter();
        let core = stage.pool.core().clone();
        let dialing = thread::spawn(Runtime::run);
        maintenance_an_hour_later(&core);
        drop(core);
        join(dialing);
        stage.watch.check();
        drop(waiter.connection());
        let dials = stage.settle().dials;
        stage.rests_with(usize::try_from(dials).expect("a few"));
        stage.end();
        if dials == 2 { "it was slow" } else { "not" }
    });
}

/// A dial ends while it is cut off, because it has taken hopelessly longer than usual: its waiter
/// gets it, or that of the next dial.
#[test]
fn a_dial_that_is_cut_off_as_it_ends_leaves_no_waiter_behind() {
    explore(&["cut off", "not"], || {
        let stage = Stage::new(2);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let core = stage.pool.core().clone();
        Clock::set_all(3_600_000_000_000);
        let dialing = thread::spawn(Runtime::run);
        maintenance_an_hour_later(&core);
        let was_cut_off = core.typed_hosts()[0].look(|state| {
            let dials = state.dials();
            dials.slots().any(|slot| dials.is_cut_off(slot))
        });
        drop(core);
        join(dialing);
        stage.watch.check();
        drop(waiter.connection());
        drop(loan);
        stage.rests_with(2);
        stage.end();
        if was_cut_off { "cut off" } else { "not" }
    });
}

/// A dial is lost with its runtime while its waiter is polled in another task: that task is woken
/// and dials again.
#[test]
fn a_dial_that_is_lost_wakes_its_waiter() {
    explore(&["dials again"], || {
        let stage = Stage::new(1);
        stage.dials(Step::Hangs);
        let mut waiter = stage.waiter();
        waiter.bell = Bell::new();
        let dialing = thread::spawn(Runtime::run);
        assert!(waiter.poll().is_none(), "nothing was dialed");
        join(dialing);
        stage.watch.check();
        stage.dials(Step::Works);
        drop(waiter.connection());
        stage.rests_with(1);
        stage.end();
        "dials again"
    });
}

/// A dial is lost with its runtime while its waiter gives up and another one is queued: that one
/// dials.
#[test]
fn a_dial_that_is_lost_with_its_waiter_is_begun_by_the_next() {
    explore(&["dials again"], || {
        let stage = Stage::new(1);
        stage.dials(Step::Hangs);
        let (first, second) = (stage.waiter(), stage.waiter());
        let dialing = thread::spawn(Runtime::run);
        drop(first);
        join(dialing);
        stage.watch.check();
        stage.dials(Step::Works);
        drop(second.connection());
        stage.rests_with(1);
        stage.end();
        "dials again"
    });
}
