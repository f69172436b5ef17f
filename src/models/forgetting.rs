//! Hosts that are forgotten.

use super::*;

/// A host whose last connection was discarded: it is forgotten once the connection is closed, which
/// is the next task.
fn leaving() -> Stage {
    let stage = Stage::new(1);
    PooledConnection::discard(stage.loan());
    stage
}

/// The last connection of a host is closed while a newcomer acquires that has already found the
/// host: the newcomer is served by the host that is in the directory.
#[test]
fn a_newcomer_meets_the_forgetting_of_its_host() {
    explore(&["forgotten", "kept"], || {
        let stage = leaving();
        let mut newcomer = stage.acquire(HOST);
        let old = stage.pool.core().typed_hosts().remove(0);
        let closing = thread::spawn(Runtime::run);
        let early = newcomer.poll().map(got);
        join(closing);
        stage.watch.check();
        assert_eq!(early.unwrap_or_else(|| newcomer.connection()).id, 1);
        let new = stage.pool.core().typed_hosts().remove(0);
        let end = if Arc::ptr_eq(&old, &new) { "kept" } else { "forgotten" };
        drop((old, new));
        stage.rests_with(1);
        assert_eq!(stage.pool.status().dials, 2, "what was counted is not lost");
        stage.end();
        end
    });
}

/// Two newcomers have found a host that is then forgotten: they enter one new host and share its
/// place.
#[test]
fn two_newcomers_meet_the_forgetting_of_their_host() {
    explore(&["served"], || {
        let stage = leaving();
        let (mut first, mut second) = (stage.acquire(HOST), stage.acquire(HOST));
        Runtime::run();
        assert_eq!(stage.pool.core().directory.len(), 0, "it is forgotten");
        let asking = thread::spawn(move || {
            assert!(first.poll().is_none(), "nothing is idle");
            first
        });
        assert!(second.poll().is_none(), "nothing is idle");
        let first = join(asking);
        stage.watch.check();
        assert_eq!(stage.pool.hosts().len(), 1, "one host for one key");
        Runtime::run();
        let (earlier, later) =
            if first.bell.has_rung() { (first, second) } else { (second, first) };
        drop(earlier.connection());
        drop(later.connection());
        stage.rests_with(1);
        assert_eq!(stage.pool.status().dials, 2);
        stage.end();
        "served"
    });
}

/// A waiter gives up, with no connection open, while another caller acquires: the host is forgotten
/// or not, and the newcomer is served.
#[test]
fn a_newcomer_meets_the_last_waiter_that_gives_up() {
    explore(&["served"], || {
        let stage = Stage::new(1);
        stage.dials(Step::Hangs);
        let waiter = stage.waiter();
        // The dial is lost, and the waiter has to dial again.
        Runtime::run();
        stage.dials(Step::Works);
        let mut newcomer = stage.acquire(HOST);
        let giving_up = thread::spawn(move || drop(waiter));
        assert!(newcomer.poll().is_none(), "nothing is idle");
        join(giving_up);
        stage.watch.check();
        assert_eq!(stage.pool.hosts().len(), 1, "one host for one key");
        drop(newcomer.connection());
        stage.rests_with(1);
        stage.end();
        "served"
    });
}

/// A handle on a host is made while the host is forgotten: the handle's host is in the directory,
/// and its cap applies.
#[test]
fn a_handle_meets_the_forgetting_of_its_host() {
    explore(&["remembered"], || {
        let stage = leaving();
        let closing = thread::spawn(Runtime::run);
        let host = stage.pool.host(&HOST);
        host.set_max(2).expect("two are allowed");
        join(closing);
        stage.settle();
        let hosts = stage.pool.hosts();
        assert_eq!((hosts.len(), hosts[0].1.max), (1, 2), "it is the host that has the cap");
        drop(host);
        stage.rests_with(0);
        stage.end();
        "remembered"
    });
}

/// The last use of a connection ends while another caller acquires: the connection is closed, its
/// host is forgotten or not, and the caller gets a new connection.
#[test]
fn a_return_that_ends_a_host_meets_a_newcomer() {
    explore(&["served"], || {
        let stage = Stage::with(patient().max_per_host(1).max_uses(1));
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let returning = thread::spawn(move || {
            drop(loan);
            // The close and its consequences.
            Runtime::run();
        });
        let early = newcomer.poll().map(got);
        join(returning);
        stage.watch.check();
        assert_eq!(early.unwrap_or_else(|| newcomer.connection()).id, 1, "used once");
        stage.rests_with(0);
        assert_eq!(stage.pool.core().directory.len(), 0, "it is forgotten");
        stage.end();
        "served"
    });
}

/// A newcomer's host is forgotten while the pool is closed: the newcomer gets `Closed`, and nothing
/// is left.
#[test]
fn closing_meets_a_newcomer_to_a_forgotten_host() {
    explore(&["closed", "dialed before"], || {
        let stage = leaving();
        let mut newcomer = stage.acquire(HOST);
        Runtime::run();
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let early = newcomer.poll();
        join(closing);
        stage.watch.check();
        let end = if early.is_some() { "closed" } else { "dialed before" };
        let answer = early.unwrap_or_else(|| newcomer.output());
        assert!(matches!(answer, Err(AcquireError::Closed)));
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// The last connection of a host is closed while the last handle is dropped: nothing is left.
#[test]
fn the_last_handle_meets_the_forgetting_of_a_host() {
    explore(&["gone"], || {
        let stage = leaving();
        let Stage { pool, watch } = stage;
        let leaving = thread::spawn(move || drop(pool));
        Runtime::run();
        join(leaving);
        watch.end();
        "gone"
    });
}
