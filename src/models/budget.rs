//! Caps across hosts: permits that are granted, and connections that make room.

use super::*;

/// Two hosts that share one place.
fn one_place() -> Stage {
    Stage::with(patient().max_total(1))
}

/// The only connection is returned while a waiter joins the queue of the other host: it is closed
/// for that waiter, which dials.
#[test]
fn a_return_makes_room_for_a_waiter_of_another_host() {
    explore(&["room"], || {
        let stage = one_place();
        let loan = stage.loan();
        let mut other = stage.acquire(OTHER);
        let returning = thread::spawn(move || drop(loan));
        assert!(other.poll().is_none(), "it has to dial");
        join(returning);
        stage.watch.check();
        assert_eq!(other.connection().id, 1);
        stage.rests_with(1);
        stage.end();
        "room"
    });
}

/// The permit of a discarded connection is granted to the other host while its only waiter gives
/// up. Either the permit is used and the connection becomes idle, or it is refused and the host is
/// forgotten. The place is free for the next caller.
#[test]
fn a_permit_meets_a_waiter_that_gives_up() {
    explore(&["dialed", "refused"], || {
        let stage = one_place();
        let loan = stage.loan();
        let other = stage.waiter_of(OTHER);
        let giving_up = thread::spawn(move || drop(other));
        PooledConnection::discard(loan);
        join(giving_up);
        let dials = stage.settle().dials;
        let end = if dials == 2 { "dialed" } else { "refused" };
        stage.rests_with(usize::from(end == "dialed"));
        drop(stage.acquire_now(HOST));
        drop(stage.acquire_now(OTHER));
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The same, while another caller waits for the discarded connection: that caller gets the permit
/// in the end, whichever host was granted it first.
#[test]
fn a_permit_that_is_refused_goes_to_the_next_host() {
    explore(&["first", "last"], || {
        let stage = one_place();
        let loan = stage.loan();
        let other = stage.waiter_of(OTHER);
        let waiter = stage.waiter();
        let giving_up = thread::spawn(move || drop(other));
        PooledConnection::discard(loan);
        join(giving_up);
        stage.watch.check();
        Runtime::run();
        let end = if stage.pool.status().dials == 2 { "first" } else { "last" };
        drop(waiter.connection());
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The permit of a discarded connection is granted to the other host while the deadline of its only
/// waiter passes.
#[test]
fn a_permit_meets_a_waiter_whose_time_is_over() {
    explore(&["dialed", "refused"], || {
        let stage =
            Stage::timed(Pool::builder().max_total(1).acquire_timeout(Duration::from_secs(1)));
        let loan = stage.loan();
        let mut other = stage.waiter_of(OTHER);
        Timer::let_time_pass();
        let discarding = thread::spawn(move || PooledConnection::discard(loan));
        assert!(matches!(other.poll(), Some(Err(AcquireError::Timeout(_)))), "its time is over");
        join(discarding);
        let dials = stage.settle().dials;
        stage.rests_with(usize::from(dials == 2));
        stage.end();
        if dials == 2 { "dialed" } else { "refused" }
    });
}

/// A waiter joins the queue of one host while another caller asks for the idle connection of the
/// other host, which has the only place. One is served at once or first, and the other gets the
/// place after it.
#[test]
fn an_eviction_meets_a_newcomer() {
    explore(&["lent", "evicted"], || {
        let stage = one_place();
        drop(stage.loan());
        let (mut newcomer, mut other) = (stage.acquire(HOST), stage.acquire(OTHER));
        let asking = thread::spawn(move || {
            assert!(other.poll().is_none(), "it has to dial");
            other
        });
        let early = newcomer.poll().map(got);
        let other = join(asking);
        stage.watch.check();
        let end = if let Some(got) = early {
            assert_eq!(got.id, 0);
            drop(got);
            drop(other.connection());
            "lent"
        } else {
            drop(other.connection());
            drop(newcomer.connection());
            "evicted"
        };
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The idle connection is closed for the other host while that host's waiter gives up: the place is
/// free for the next caller.
#[test]
fn an_eviction_meets_a_waiter_that_gives_up() {
    explore(&["room for the next"], || {
        let stage = one_place();
        drop(stage.loan());
        let other = stage.waiter_of(OTHER);
        // Runs the close and the dial that it makes room for.
        let closing = thread::spawn(Runtime::run);
        drop(other);
        join(closing);
        stage.settle();
        drop(stage.acquire_now(HOST));
        drop(stage.acquire_now(OTHER));
        stage.rests_with(1);
        stage.end();
        "room for the next"
    });
}

/// Two hosts return their connections at once, and only one may be idle: one is idle in the end.
#[test]
fn two_returns_leave_as_many_idle_as_may_be() {
    explore(&["one"], || {
        let stage = Stage::with(patient().max_idle(1));
        let (one, other) = (stage.loan(), stage.waiter_of(OTHER).connection());
        let returning = thread::spawn(move || drop(one));
        drop(other);
        join(returning);
        stage.rests_with(1);
        stage.end();
        "one"
    });
}

/// Newcomers to two hosts acquire at once, and only one dial may be in flight: both are served, one
/// after the other.
#[test]
fn two_hosts_share_one_dial_at_a_time() {
    explore(&["both"], || {
        let stage = Stage::with(patient().max_dialing(1));
        let (mut one, mut other) = (stage.acquire(HOST), stage.acquire(OTHER));
        let asking = thread::spawn(move || {
            assert!(one.poll().is_none(), "it has to dial");
            one
        });
        assert!(other.poll().is_none(), "it has to dial");
        let one = join(asking);
        stage.watch.check();
        assert_eq!(stage.pool.status().dialing, 1);
        Runtime::run();
        drop((one.connection(), other.connection()));
        stage.rests_with(2);
        stage.end();
        "both"
    });
}

/// A dial fails while a waiter joins the queue of the other host, under a cap on dials: that one dials.
#[test]
fn a_failing_dial_meets_a_waiter_of_another_host() {
    explore(&["served"], || {
        let stage = Stage::with(patient().max_total(1));
        stage.dials(Step::Fails);
        let waiter = stage.waiter();
        let mut dial = Task::new(Runtime::take());
        let mut other = stage.acquire(OTHER);
        let failing = thread::spawn(move || dial.poll().is_some());
        assert!(other.poll().is_none(), "it has to dial");
        assert!(join(failing), "it has failed");
        stage.watch.check();
        stage.dials(Step::Works);
        assert!(matches!(waiter.output(), Err(AcquireError::Connect(_))));
        drop(other.connection());
        stage.rests_with(1);
        stage.end();
        "served"
    });
}

/// The pool is closed while a permit is granted to the other host: its waiter gets `Closed`, the
/// permit is released, and nothing is left.
#[test]
fn closing_meets_a_permit() {
    explore(&["closed"], || {
        let stage = one_place();
        let loan = stage.loan();
        let mut other = stage.waiter_of(OTHER);
        let discarding = thread::spawn(move || PooledConnection::discard(loan));
        let mut close = Task::new(stage.pool.close());
        join(discarding);
        stage.watch.check();
        assert!(matches!(other.poll_if_woken(), Some(Err(AcquireError::Closed))));
        Runtime::run();
        close.poll().expect("nothing is out");
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}

/// The pool is closed while the idle connection of one host is closed for a waiter of the other.
#[test]
fn closing_meets_an_eviction() {
    explore(&["told at once", "woken"], || {
        let stage = one_place();
        drop(stage.loan());
        let mut other = stage.acquire(OTHER);
        let asking = thread::spawn(move || (other.poll(), other));
        let mut close = Task::new(stage.pool.close());
        let (early, other) = join(asking);
        stage.watch.check();
        let end = if early.is_some() { "told at once" } else { "woken" };
        let answer = early.unwrap_or_else(|| other.output());
        assert!(matches!(answer, Err(AcquireError::Closed)));
        Runtime::run();
        close.poll().expect("nothing is out");
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// A host has both places and a waiter. One of its connections is returned while a waiter joins the
/// queue of the other host, which has none. The connection is given up for the other host or handed
/// over once more; both waiters are served.
#[test]
fn a_return_meets_a_host_that_starves() {
    explore(&["given up", "handed over"], || {
        let stage = Stage::with(patient().max_total(2));
        let (one, two) = (stage.loan(), stage.loan());
        let waiter = stage.waiter();
        let mut other = stage.acquire(OTHER);
        let returning = thread::spawn(move || drop(one));
        assert!(other.poll().is_none(), "it has to dial");
        join(returning);
        stage.watch.check();
        let end = if waiter.bell.has_rung() { "handed over" } else { "given up" };
        if end == "handed over" {
            drop(waiter.connection());
            assert_eq!(other.connection().id, 2, "given up in the end");
            drop(two);
        } else {
            assert_eq!(other.connection().id, 2);
            drop(two);
            drop(waiter.connection());
        }
        stage.settle();
        stage.end();
        end
    });
}

/// One second: longer than any tenure in these models.
const TENURE: u64 = 1_000_000_000;

/// The connection has served its tenure. It is returned while the only waiter of the starving host
/// gives up: it is given up in vain, or handed to its own host's waiter, which is served in either
/// case.
#[test]
fn a_return_after_its_tenure_meets_a_waiter_that_gives_up() {
    explore(&["given up", "handed over"], || {
        let stage = one_place();
        let loan = stage.loan();
        let (waiter, other) = (stage.waiter(), stage.waiter_of(OTHER));
        Clock::set_all(TENURE);
        let giving_up = thread::spawn(move || drop(other));
        drop(loan);
        join(giving_up);
        stage.watch.check();
        let end = if waiter.bell.has_rung() { "handed over" } else { "given up" };
        drop(waiter.connection());
        stage.rests_with(1);
        stage.end();
        end
    });
}
