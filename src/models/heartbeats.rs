//! Heartbeats.

use super::*;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::time::Time;

/// One place, with one idle connection whose heartbeat will be due.
pub(super) fn beaten() -> Stage {
    let stage = Stage::with(patient().max_per_host(1).heartbeat(Heartbeat::default()));
    drop(stage.loan());
    stage.rests_with(1);
    stage
}

/// Runs maintenance an hour later: the heartbeat is due.
pub(super) fn beat<C: Connector>(core: &Arc<PoolCore<C>>) {
    core.any().change_all(&mut |state, section| {
        section.now = Time::from_nanos(3_600_000_000_000);
        state.maintain(section);
    });
}

/// A waiter acquires while a heartbeat is sent: it gets the connection at once, or after the
/// answer, which only this task's runtime knows of.
#[test]
fn a_newcomer_meets_a_heartbeat_that_begins() {
    explore(&["lent", "handed over"], || {
        let stage = beaten();
        let core = stage.pool.core().clone();
        let mut newcomer = stage.acquire(HOST);
        let beating = thread::spawn(move || beat(&core));
        let early = newcomer.poll().map(got);
        join(beating);
        stage.watch.check();
        let end = if early.is_some() { "lent" } else { "handed over" };
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0, "no other was dialed");
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A heartbeat is answered while a newcomer acquires: the connection never stays idle while a
/// caller waits.
#[test]
fn a_newcomer_meets_the_answer_of_a_heartbeat() {
    explore(&["lent", "handed over"], || {
        let stage = beaten();
        beat(stage.pool.core());
        let mut newcomer = stage.acquire(HOST);
        let answering = thread::spawn(Runtime::run);
        let early = newcomer.poll().map(got);
        join(answering);
        stage.watch.check();
        let end = if early.is_some() { "lent" } else { "handed over" };
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0, "no other was dialed");
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A heartbeat fails while a newcomer acquires: the newcomer gets a new connection, or the old one
/// after another ping, because it is suspect.
#[test]
fn a_newcomer_meets_the_failure_of_a_heartbeat() {
    explore(&["dialed", "asked again"], || {
        let stage = beaten();
        beat(stage.pool.core());
        stage.pings(Step::Fails);
        let mut ping = Task::new(Runtime::take());
        let mut newcomer = stage.acquire(HOST);
        let failing = thread::spawn(move || ping.poll().is_some());
        let early = newcomer.poll().map(got);
        assert!(join(failing), "it has failed");
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        // The second ping fails too.
        assert_eq!(got.id, 1, "a new one");
        drop(got);
        let status = stage.settle();
        assert_eq!((status.idle, status.missed_heartbeats), (1, 1));
        stage.end();
        if status.failed_pings == 1 { "asked again" } else { "dialed" }
    });
}

/// A heartbeat is answered while the pool is closed, and while the only waiter gives up.
#[test]
fn closing_meets_the_answer_of_a_heartbeat() {
    explore(&["closed"], || {
        let stage = beaten();
        beat(stage.pool.core());
        let waiter = stage.waiter();
        let answering = thread::spawn(Runtime::run);
        let closing = stage.pool.close();
        drop(waiter);
        join(answering);
        stage.watch.check();
        let mut closing = Task::new(closing);
        if closing.poll().is_none() {
            closing.output();
        }
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}

/// A heartbeat that is never answered is stopped when the pool closes, at any time.
#[test]
fn closing_gives_up_a_heartbeat_on_its_way() {
    explore(&["before it began", "while it waited"], || {
        let stage = beaten();
        beat(stage.pool.core());
        stage.pings(Step::Hangs);
        let mut ping = Task::new(Runtime::take());
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let at_once = ping.poll().is_some();
        join(closing);
        if !at_once {
            assert!(ping.poll_if_woken().is_some(), "it is told, and ends");
        }
        stage.rests_with(0);
        stage.end();
        if at_once { "before it began" } else { "while it waited" }
    });
}

/// A waiter that arrives when a heartbeat is late gets a new connection: the late one makes room
/// for it.
#[test]
fn a_newcomer_does_not_wait_for_a_late_heartbeat() {
    explore(&["it came first", "it came later"], || {
        let stage = beaten();
        beat(stage.pool.core());
        stage.pings(Step::Hangs);
        let mut ping = Task::new(Runtime::take());
        assert!(ping.poll().is_none());
        let mut newcomer = stage.acquire(HOST);
        let missing = thread::spawn(move || {
            Timer::let_time_pass();
            let early = ping.poll().is_some();
            (ping, early)
        });
        assert!(newcomer.poll().is_none());
        let (mut ping, early) = join(missing);
        if !early {
            assert!(ping.poll_if_woken().is_some(), "it is told, and ends");
        }
        assert_eq!(newcomer.connection().id, 1);
        stage.rests_with(1);
        stage.end();
        if early { "it came first" } else { "it came later" }
    });
}

/// A heartbeat's runtime ends while a caller acquires: its place is free for a dial.
#[test]
fn a_newcomer_meets_a_heartbeat_that_is_lost() {
    explore(&["dialed"], || {
        let stage = beaten();
        beat(stage.pool.core());
        stage.pings(Step::Hangs);
        let mut newcomer = stage.acquire(HOST);
        let losing = thread::spawn(Runtime::run);
        let early = newcomer.poll().map(got);
        join(losing);
        stage.watch.check();
        assert_eq!(early.unwrap_or_else(|| newcomer.connection()).id, 1);
        stage.rests_with(1);
        stage.end();
        "dialed"
    });
}
