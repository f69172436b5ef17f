//! Pings for those who wait. They are tasks of the pool: the caller's end changes nothing for them.

use super::*;
use crate::policy::health_check::HealthCheck;

/// One place, and one idle connection in it that must answer before it is lent.
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

/// The ping that is to run next.
pub(super) fn ping() -> Task<Pin<Box<dyn Future<Output = ()> + Send>>> {
    Task::new(Runtime::take())
}

/// The connection answers while the only waiter joins that it is for: it is lent once it has answered.
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

/// The connection answers while another one asks: it serves the one that came first, and then the other,
/// which a second ping is for.
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

/// The connection answers while the waiter gives up that it was asked for: the ping is not cut off, and
/// the connection is idle in the end.
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

/// The connection answers while the waiter gives up that it was asked for, and another one waits: that
/// one gets it. If it was handed over before, it is pinged once more.
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

/// The connection answers while the time of the waiter is over that it was asked for: it is delivered,
/// or stays idle.
#[test]
fn an_answer_meets_a_waiter_whose_time_is_over() {
    explore(&["delivered", "timed out"], || {
        let stage = checked_with(Pool::builder().acquire_timeout(Duration::from_secs(1)));
        let mut asking = stage.waiter();
        // Maintenance began with the waiter's time. Here it does not run.
        drop(Runtime::take());
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

/// A ping fails while a newcomer asks: the one that asked first gets a new connection, and then the newcomer.
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

/// A ping fails while the waiter gives up that it was asked for: the connection is closed, and what
/// was dialed in its place is idle.
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

/// A ping's runtime ends while a newcomer asks: the connection is closed, and its place is dialed for the
/// one that asked first.
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

/// The connection answers while the pool is closed: its waiter gets the connection or `Closed`, and the
/// connection is closed in either case.
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

/// A ping that is never answered is cut off when the pool closes, whenever that is. Its waiter is told.
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

/// The last handle goes while the connection answers that a waiter waits for: it is served, and then
/// nothing is left.
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

/// The last handle goes while the waiter gives up that a ping is for: nobody wants to know any more, so
/// that it is told to stop, and nothing is left.
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
