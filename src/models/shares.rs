//! Leases on shared connections.

use super::heartbeats::beat;
use super::*;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::shared_connector::SharedConnector;
use crate::pool::builder::Shared;
use crate::pool::shared::share::Shares;
use crate::pool::shared::{AcquireLease, Lease, SharedPool};

/// The scripted connector with connections that carry two leases.
struct Double(Scripted);

#[async_trait]
impl Connector for Double {
    type Key = u8;
    type Connection = Arc<Connection>;
    type Error = fmt::Error;

    async fn connect(&self, host: &u8) -> Result<Arc<Connection>, fmt::Error> {
        self.0.connect(host).await.map(Arc::new)
    }

    async fn ping(&self, _: &mut Arc<Connection>) -> Result<(), fmt::Error> {
        self.0.0.answer().await
    }

    fn notices_close(&self) -> bool {
        true
    }

    async fn close(&self, conn: Arc<Connection>) {
        let conn = Arc::into_inner(conn).expect("nobody uses it when it is closed");
        self.0.close(conn).await;
    }
}

impl SharedConnector for Double {
    fn max_leases(&self, _: &Arc<Connection>) -> usize {
        2
    }
}

/// A shared pool with one place, and its ledger.
struct SharedStage {
    pool: SharedPool<Double>,
    watch: Watch<Shares<Double>>,
}

type LeaseTask = Task<AcquireLease<Double>>;

impl SharedStage {
    fn new() -> Self {
        SharedStage::with(SharedPool::builder().max_per_host(1))
    }

    fn with(builder: Builder<Shared>) -> Self {
        let ledger = Ledger::new();
        let builder = builder.acquire_timeout(None).connect_timeout(None).close_timeout(None);
        let builder = builder.idle_timeout(None).max_lifetime(None);
        let pool =
            builder.build(Double(Scripted(ledger.clone()))).expect("these settings are fine");
        pool.shares().core().maintenance.sleeps_on();
        let watch = Watch { core: Arc::downgrade(pool.shares().core()), ledger };
        SharedStage { pool, watch }
    }

    fn acquire(&self) -> LeaseTask {
        Task::new(self.pool.acquire(&HOST))
    }

    fn waiter(&self) -> LeaseTask {
        let mut acquire = self.acquire();
        assert!(acquire.poll().is_none(), "there is no room");
        acquire
    }

    /// Takes a lease on an open connection, or on a new one.
    fn lease(&self) -> Lease<Double> {
        let mut acquire = self.acquire();
        match acquire.poll() {
            Some(lease) => lease.expect("a lease"),
            None => acquire.output().expect("a lease"),
        }
    }

    /// Runs all tasks and checks that no caller waits, nothing is lent, this many connections are
    /// idle, and this many were made.
    fn rests_with(&self, idle: usize, made: usize) {
        self.watch.check();
        Runtime::run();
        self.watch.check();
        let status = self.pool.status();
        let rest = (status.idle, status.in_use, status.leases, status.waiting, status.closing);
        assert_eq!(rest, (idle, 0, 0, 0, 0), "at rest");
        assert_eq!(self.watch.ledger.made.load(SeqCst), made);
    }

    fn end(self) {
        let SharedStage { pool, watch } = self;
        let core = pool.shares().core().clone();
        drop(pool);
        watch.end_of(core);
    }
}

/// The last two leases end at once: the connection becomes idle, once.
#[test]
fn two_leases_that_end_at_once_leave_one_idle_connection() {
    explore(&["idle"], || {
        let stage = SharedStage::new();
        let (one, two) = (stage.lease(), stage.lease());
        let ending = thread::spawn(move || drop(one));
        drop(two);
        join(ending);
        stage.rests_with(1, 1);
        stage.end();
        "idle"
    });
}

/// A lease ends while a newcomer acquires: the newcomer joins the others, takes the idle
/// connection, or is handed the lease. No other connection is dialed.
#[test]
fn a_newcomer_meets_the_end_of_the_last_lease() {
    explore(&["at once"], || {
        let stage = SharedStage::new();
        let lease = stage.lease();
        let mut newcomer = stage.acquire();
        let ending = thread::spawn(move || drop(lease));
        let got = newcomer.poll().expect("there is room all the time").expect("a lease");
        join(ending);
        drop(got);
        stage.rests_with(1, 1);
        stage.end();
        "at once"
    });
}

/// A lease of a full connection ends while a newcomer acquires.
#[test]
fn a_newcomer_meets_the_end_of_a_lease_on_a_full_connection() {
    explore(&["lent", "handed over"], || {
        let stage = SharedStage::new();
        let (one, two) = (stage.lease(), stage.lease());
        let mut newcomer = stage.acquire();
        let ending = thread::spawn(move || drop(one));
        let early = newcomer.poll();
        join(ending);
        let end = if early.is_some() { "lent" } else { "handed over" };
        let got = early.unwrap_or_else(|| newcomer.output()).expect("a lease");
        drop((got, two));
        stage.rests_with(1, 1);
        stage.end();
        end
    });
}

/// A lease of a full connection ends while the only waiter gives up: the lease is not lost.
#[test]
fn the_end_of_a_lease_meets_a_waiter_that_gives_up() {
    explore(&["handed over", "not"], || {
        let stage = SharedStage::new();
        let (one, two) = (stage.lease(), stage.lease());
        let waiter = stage.waiter();
        let bell = waiter.bell.clone();
        let giving_up = thread::spawn(move || drop(waiter));
        drop(one);
        join(giving_up);
        let again = stage.acquire().poll().expect("there is room").expect("a lease");
        drop((again, two));
        stage.rests_with(1, 1);
        stage.end();
        if bell.has_rung() { "handed over" } else { "not" }
    });
}

/// The last lease ends while its host is retired: the connection is closed, once, and the next caller
/// gets a new one.
#[test]
fn retiring_meets_the_end_of_the_last_lease() {
    explore(&["closed"], || {
        let stage = SharedStage::new();
        let lease = stage.lease();
        let pool = stage.pool.clone();
        let retiring = thread::spawn(move || pool.retire(&HOST));
        drop(lease);
        join(retiring);
        stage.rests_with(0, 1);
        drop(stage.lease());
        stage.rests_with(1, 2);
        stage.end();
        "closed"
    });
}

/// A newcomer acquires while the host, which has a lease, is retired: it joins the old connection,
/// or waits for its end and gets a new one.
#[test]
fn retiring_meets_a_newcomer() {
    explore(&["the old one", "a new one"], || {
        let stage = SharedStage::new();
        let lease = stage.lease();
        let mut newcomer = stage.acquire();
        let pool = stage.pool.clone();
        let retiring = thread::spawn(move || pool.retire(&HOST));
        let early = newcomer.poll();
        join(retiring);
        drop(lease);
        let end = if early.is_some() { "the old one" } else { "a new one" };
        drop(early.unwrap_or_else(|| newcomer.output()).expect("a lease"));
        stage.rests_with(usize::from(end == "a new one"), 1 + usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// One borrower discards while the other returns: the connection is closed once, after both. The
/// waiter may already have a lease on it, or gets a new one.
#[test]
fn a_discard_meets_the_end_of_another_lease_and_a_waiter() {
    explore(&["the old one", "a new one"], || {
        let stage = SharedStage::new();
        let (one, two) = (stage.lease(), stage.lease());
        let waiter = stage.waiter();
        let discarding = thread::spawn(move || Lease::discard(one));
        drop(two);
        join(discarding);
        stage.watch.check();
        let got = waiter.output().expect("a lease");
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop(got);
        stage.rests_with(usize::from(end == "a new one"), 1 + usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// The pool is closed while a lease ends: closing waits for it.
#[test]
fn closing_meets_the_end_of_a_lease() {
    explore(&["closed"], || {
        let stage = SharedStage::new();
        let (one, two) = (stage.lease(), stage.lease());
        let ending = thread::spawn(move || drop(one));
        let mut close = Task::new(stage.pool.close());
        assert!(close.poll().is_none(), "a lease is out");
        drop(two);
        join(ending);
        close.output();
        stage.rests_with(0, 1);
        stage.end();
        "closed"
    });
}

/// A lease ends while its host is retired and a newcomer acquires: the newcomer joins the old
/// connection before that is closed, or gets a new one.
#[test]
fn retiring_meets_the_end_of_a_lease_and_a_newcomer() {
    explore(&["the old one", "a new one"], || {
        let stage = SharedStage::new();
        let lease = stage.lease();
        let mut newcomer = stage.acquire();
        let pool = stage.pool.clone();
        let retiring = thread::spawn(move || pool.retire(&HOST));
        let ending = thread::spawn(move || drop(lease));
        let early = newcomer.poll();
        join(retiring);
        join(ending);
        let got = early.unwrap_or_else(|| newcomer.output()).expect("a lease");
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop(got);
        stage.rests_with(usize::from(end == "a new one"), 1 + usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// A heartbeat of a connection in use is answered while its last lease ends: the connection becomes
/// idle, once.
#[test]
fn the_answer_of_a_heartbeat_meets_the_end_of_the_last_lease() {
    explore(&["idle"], || {
        let stage = SharedStage::with(
            SharedPool::builder().max_per_host(1).heartbeat(Heartbeat::default()),
        );
        let lease = stage.lease();
        beat(stage.pool.shares().core());
        let mut ping = Task::new(Runtime::take());
        let ending = thread::spawn(move || drop(lease));
        assert!(ping.poll().is_some(), "it is answered");
        join(ending);
        stage.rests_with(1, 1);
        drop(ping);
        stage.end();
        "idle"
    });
}

/// A heartbeat of a connection in use is answered while its host is retired and its last lease ends: the
/// connection is closed once, after both.
#[test]
fn retiring_meets_the_answer_of_a_heartbeat_and_the_end_of_the_last_lease() {
    explore(&["closed"], || {
        let stage = SharedStage::with(
            SharedPool::builder().max_per_host(1).heartbeat(Heartbeat::default()),
        );
        let lease = stage.lease();
        beat(stage.pool.shares().core());
        let mut ping = Task::new(Runtime::take());
        let pool = stage.pool.clone();
        let retiring = thread::spawn(move || pool.retire(&HOST));
        let ending = thread::spawn(move || drop(lease));
        assert!(ping.poll().is_some(), "it is answered, or not wanted");
        join(retiring);
        join(ending);
        stage.rests_with(0, 1);
        drop(ping);
        stage.end();
        "closed"
    });
}

/// A heartbeat of a connection in use fails for the last time while a newcomer acquires: the
/// newcomer joins the old connection, or gets a new one.
#[test]
fn a_newcomer_meets_the_failure_of_a_shared_heartbeat() {
    explore(&["the old one", "a new one"], || {
        let beats = Heartbeat::default().max_missed(1);
        let stage = SharedStage::with(SharedPool::builder().max_per_host(1).heartbeat(beats));
        let lease = stage.lease();
        beat(stage.pool.shares().core());
        stage.watch.ledger.pings(Step::Fails);
        let mut ping = Task::new(Runtime::take());
        let mut newcomer = stage.acquire();
        let failing = thread::spawn(move || ping.poll().is_some());
        let early = newcomer.poll();
        assert!(join(failing), "it has failed");
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.output()).expect("a lease");
        let end = if got.id == 0 { "the old one" } else { "a new one" };
        drop((lease, got));
        stage.rests_with(usize::from(end == "a new one"), 1 + usize::from(end == "a new one"));
        stage.end();
        end
    });
}

/// A connection in use, which has the only place, starts to drain for another host while that
/// host's waiter gives up: it takes leases again once it has answered a ping.
#[test]
fn draining_for_another_host_meets_a_waiter_that_gives_up() {
    explore(&["lent again"], || {
        let stage = SharedStage::with(SharedPool::builder().max_total(1));
        let (one, two) = (stage.lease(), stage.lease());
        let mut other = Task::new(stage.pool.acquire(&OTHER));
        assert!(other.poll().is_none(), "there is no room");
        Clock::set_all(1_000_000_000);
        let ending = thread::spawn(move || drop(one));
        drop(other);
        join(ending);
        stage.watch.check();
        let mut newcomer = stage.acquire();
        let early = newcomer.poll();
        let three = early.unwrap_or_else(|| newcomer.output()).expect("a lease");
        assert_eq!(three.id, 0, "it drains no more");
        drop((two, three));
        stage.rests_with(1, 1);
        stage.end();
        "lent again"
    });
}

/// The last lease of the connection with the only place ends while a newcomer acquires and the
/// other host waits for that place. The newcomer has a lease already, with which the connection
/// ends, or it waits until the other host has been served.
#[test]
fn draining_for_another_host_meets_a_newcomer() {
    explore(&["the old one", "a new one"], || {
        let stage = SharedStage::with(SharedPool::builder().max_total(1));
        let lease = stage.lease();
        let mut other = Task::new(stage.pool.acquire(&OTHER));
        assert!(other.poll().is_none(), "there is no room");
        Clock::set_all(1_000_000_000);
        let mut newcomer = stage.acquire();
        let ending = thread::spawn(move || drop(lease));
        let early = newcomer.poll();
        join(ending);
        stage.watch.check();
        let end = if early.is_some() { "the old one" } else { "a new one" };
        drop(early);
        drop(other.output().expect("a lease"));
        if end == "a new one" {
            Clock::set_all(2_000_000_000);
            drop(newcomer.output().expect("a lease"));
        }
        stage.rests_with(1, if end == "a new one" { 3 } else { 2 });
        stage.end();
        end
    });
}
