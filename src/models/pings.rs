//! Pings for waiters. They are tasks of the pool: they continue when the caller gives up.

use super::*;
use crate::policy::health_check::HealthCheck;

/// One place, with one idle connection that must answer before it is lent.
pub(super) fn checked() -> Stage {
    checked_with(patient())
}

fn checked_with(builder: Builder) -> Stage {
    let settings = builder.max_per_host(1).health_check(HealthCheck::Always).ping_timeout(None);
    let stage = Stage::with(settings);
    drop(stage.loan());
    stage.rests_with(1);
    stage
}

/// The next ping to run.
pub(super) fn ping() -> Task<Pin<Box<dyn Future<Output = ()> + Send>>> {
    Task::new(Runtime::take())
}

/// The connection answers while the only waiter, for which it is pinged, joins the queue: it is
/// lent once it has answered.
#[test]
fn an_answer_reaches_the_waiter_that_asked() {
    explore(&["collected", "woken"], || {
        let stage = checked();
        let mut asking = stage.waiter();
        let mut ping = ping();
        asking.bell = Bell::new();
        let answering = thread::spawn(move || ping.poll().is_some());
        let early = asking.poll().map(got);
        assert!(join(answering), "it has answered");
        stage.watch.check();
        let end = if early.is_some() { "collected" } else { "woken" };
        let got = early.unwrap_or_else(|| asking.connection());
        assert_eq!(got.id, 0, "no other was dialed");
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The connection answers while another caller acquires: it serves the first caller and then, after
/// a second ping, the other.
#[test]
fn a_newcomer_meets_the_answer_of_a_ping() {
    explore(&["in order"], || {
        let stage = checked();
        let asking = stage.waiter();
        let mut ping = ping();
        let mut newcomer = stage.acquire(HOST);
        let answering = thread::spawn(move || ping.poll().is_some());
        assert!(newcomer.poll().is_none(), "it is not its turn");
        assert!(join(answering), "it has answered");
        stage.watch.check();
        assert!(!newcomer.bell.has_rung(), "it is not its turn");
        drop(asking.connection());
        drop(newcomer.connection());
        stage.rests_with(1);
        assert_eq!((stage.pool.status().dials, stage.pool.status().pings), (1, 2));
        stage.end();
        "in order"
    });
}

/// The connection answers while the waiter for which it is pinged gives up: the ping is not cut
/// off, and the connection is idle in the end.
#[test]
fn an_answer_meets_a_waiter_that_gives_up() {
    explore(&["handed over", "not"], || {
        let stage = checked();
        let asking = stage.waiter();
        let bell = asking.bell.clone();
        let mut ping = ping();
        let giving_up = thread::spawn(move || drop(asking));
        assert!(ping.poll().is_some(), "it has answered");
        join(giving_up);
        stage.rests_with(1);
        let status = stage.pool.status();
        assert_eq!((status.pings, status.failed_pings, status.dials), (1, 0, 1));
        assert_eq!(stage.loan().id, 0, "it was not closed");
        stage.end();
        if bell.has_rung() { "handed over" } else { "not" }
    });
}

/// The connection answers while the waiter for which it is pinged gives up and another one waits:
/// that one gets it. If it was handed over before, it is pinged once more.
#[test]
fn an_answer_for_a_waiter_that_gives_up_reaches_the_next() {
    explore(&["handed over twice", "handed over"], || {
        let stage = checked();
        let (asking, second) = (stage.waiter(), stage.waiter());
        let bell = asking.bell.clone();
        let mut ping = ping();
        let giving_up = thread::spawn(move || drop(asking));
        assert!(ping.poll().is_some(), "it has answered");
        join(giving_up);
        stage.watch.check();
        assert_eq!(second.connection().id, 0, "no other was dialed");
        stage.rests_with(1);
        let end = if bell.has_rung() { "handed over twice" } else { "handed over" };
        assert_eq!(stage.pool.status().pings, 1 + u64::from(bell.has_rung()));
        stage.end();
        end
    });
}

/// The connection answers while the deadline of the waiter for which it is pinged passes: it is
/// delivered, or stays idle.
#[test]
fn an_answer_meets_a_waiter_whose_time_is_over() {
    explore(&["delivered", "timed out"], || {
        let stage = checked_with(Pool::builder().acquire_timeout(Duration::from_secs(1)));
        let mut asking = stage.waiter();
        let mut ping = ping();
        Timer::let_time_pass();
        let answering = thread::spawn(move || ping.poll().is_some());
        let answer = asking.poll().expect("its time is over");
        assert!(join(answering), "it has answered");
        stage.watch.check();
        let end = if answer.is_ok() { "delivered" } else { "timed out" };
        drop(answer);
        stage.rests_with(1);
        let status = stage.pool.status();
        assert_eq!((status.dials, status.failed_pings), (1, 0), "the ping was not cut off");
        stage.end();
        end
    });
}

/// A ping fails while a newcomer acquires: the first caller gets a new connection, and then the
/// newcomer.
#[test]
fn a_newcomer_meets_the_failure_of_a_ping() {
    explore(&["dialed"], || {
        let stage = checked();
        let asking = stage.waiter();
        stage.pings(Step::Fails);
        let mut ping = ping();
        let mut newcomer = stage.acquire(HOST);
        let failing = thread::spawn(move || ping.poll().is_some());
        assert!(newcomer.poll().is_none(), "it is not its turn");
        assert!(join(failing), "it has failed");
        stage.watch.check();
        stage.pings(Step::Works);
        let got = asking.connection();
        assert_eq!(got.id, 1, "a new one");
        drop(got);
        assert_eq!(newcomer.connection().id, 1);
        stage.rests_with(1);
        stage.end();
        "dialed"
    });
}

/// A ping fails while the waiter that it is for gives up: the connection is closed, and its
/// replacement is idle.
#[test]
fn a_failing_ping_meets_a_waiter_that_gives_up() {
    explore(&["dialed", "not"], || {
        let stage = checked();
        let asking = stage.waiter();
        stage.pings(Step::Fails);
        let mut ping = ping();
        let giving_up = thread::spawn(move || drop(asking));
        assert!(ping.poll().is_some(), "it has failed");
        join(giving_up);
        let dials = stage.settle().dials;
        stage.rests_with(usize::from(dials == 2));
        stage.end();
        if dials == 2 { "dialed" } else { "not" }
    });
}

/// A ping's runtime ends while a newcomer acquires: the connection is closed, and a replacement is
/// dialed for the first caller.
#[test]
fn a_newcomer_meets_a_ping_that_is_lost() {
    explore(&["dialed"], || {
        let stage = checked();
        let asking = stage.waiter();
        stage.pings(Step::Hangs);
        let mut ping = ping();
        let mut newcomer = stage.acquire(HOST);
        let losing = thread::spawn(move || assert!(ping.poll().is_none(), "it hangs"));
        assert!(newcomer.poll().is_none(), "it is not its turn");
        join(losing);
        stage.watch.check();
        stage.pings(Step::Works);
        let got = asking.connection();
        assert_eq!(got.id, 1, "a new one");
        drop(got);
        assert_eq!(newcomer.connection().id, 1);
        stage.rests_with(1);
        stage.end();
        "dialed"
    });
}

/// The connection answers while the host is retired: its waiter has it already, or gets a new one. The
/// old one is closed in either case.
#[test]
fn retiring_meets_the_answer_of_a_ping() {
    explore(&["the old one", "a new one"], || {
        let stage = checked();
        let asking = stage.waiter();
        let mut ping = ping();
        let pool = stage.pool.clone();
        let retiring = thread::spawn(move || pool.retire(&HOST));
        assert!(ping.poll().is_some(), "it has answered");
        join(retiring);
        stage.watch.check();
        let got = asking.connection();
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop(got);
        stage.rests_with(usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// The connection answers while the pool is closed: its waiter gets the connection or `Closed`, and
/// the connection is closed in either case.
#[test]
fn closing_meets_the_answer_of_a_ping() {
    explore(&["served", "closed"], || {
        let stage = checked();
        let asking = stage.waiter();
        let mut ping = ping();
        let answering = thread::spawn(move || ping.poll().is_some());
        let close = Task::new(stage.pool.close());
        assert!(join(answering), "it has answered, or was cut off");
        stage.watch.check();
        super::end::close_answers(stage, || asking.output(), close)
    });
}

/// A ping that is never answered is cut off when the pool closes, at any time. Its waiter gets
/// `Closed`.
#[test]
fn closing_cuts_off_a_ping() {
    explore(&["before it began", "while it waited"], || {
        let stage = checked();
        let mut asking = stage.waiter();
        stage.pings(Step::Hangs);
        let mut ping = ping();
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let at_once = ping.poll().is_some();
        join(closing);
        if !at_once {
            assert!(ping.poll_if_woken().is_some(), "it is told, and ends");
        }
        assert!(matches!(asking.poll_if_woken(), Some(Err(AcquireError::Closed))));
        stage.rests_with(0);
        stage.end();
        if at_once { "before it began" } else { "while it waited" }
    });
}

/// The last handle is dropped while the connection answers for which a waiter waits: the waiter is
/// served, and then nothing is left.
#[test]
fn the_last_handle_leaves_a_ping_to_its_waiter() {
    explore(&["served"], || {
        let stage = checked();
        let asking = stage.waiter();
        let mut ping = ping();
        let Stage { pool, watch } = stage;
        let leaving = thread::spawn(move || drop(pool));
        assert!(ping.poll().is_some(), "it has answered");
        join(leaving);
        watch.check();
        assert_eq!(asking.connection().id, 0, "no other was dialed");
        watch.end();
        "served"
    });
}

/// The last handle is dropped while the waiter of a ping gives up: the ping is not needed any more
/// and is cut off, and nothing is left.
#[test]
fn a_ping_that_nobody_needs_is_cut_off_at_the_end() {
    explore(&["cut off"], || {
        let stage = checked();
        let asking = stage.waiter();
        stage.pings(Step::Hangs);
        let mut ping = ping();
        assert!(ping.poll().is_none(), "it hangs");
        let Stage { pool, watch } = stage;
        let leaving = thread::spawn(move || drop(pool));
        drop(asking);
        join(leaving);
        assert!(ping.poll_if_woken().is_some(), "it is told, and ends");
        watch.end();
        "cut off"
    });
}
