//! A pool under test, and what must be true of every pool at rest and in the end.

use super::*;
use crate::engine::budget::Ledger as Shared;

pub(super) const HOST: u8 = 1;
pub(super) const OTHER: u8 = 2;

/// A pool with its ledger.
pub(super) struct Stage {
    pub(super) pool: Pool<Scripted>,
    pub(super) watch: Watch<Scripted>,
}

impl Stage {
    /// Makes a pool whose hosts have `cap` places.
    pub(super) fn new(cap: usize) -> Self {
        Stage::with(patient().max_per_host(cap))
    }

    /// Makes a pool whose connections do not expire, and for which time does not pass.
    pub(super) fn with(builder: Builder) -> Self {
        let stage = Stage::timed(builder);
        stage.pool.core().maintenance.sleeps_on();
        stage
    }

    /// The same, with a maintenance task of its own.
    pub(super) fn timed(builder: Builder) -> Self {
        Stage::of(builder.idle_timeout(None).max_lifetime(None))
    }

    pub(super) fn of(builder: Builder) -> Self {
        let ledger = Ledger::new();
        let builder = builder.connect_timeout(None).close_timeout(None);
        let pool = builder.build(Scripted(ledger.clone())).expect("these settings are fine");
        let watch = Watch { core: Arc::downgrade(pool.core()), ledger };
        Stage { pool, watch }
    }

    /// Sets the result of dials from now on.
    pub(super) fn dials(&self, step: Step) {
        self.watch.ledger.dials(step);
    }

    /// Sets the result of pings from now on.
    pub(super) fn pings(&self, step: Step) {
        self.watch.ledger.pings(step);
    }

    /// Returns an acquire that was not polled yet.
    pub(super) fn acquire(&self, host: u8) -> Task<Acquire<Scripted>> {
        Task::new(self.pool.acquire(&host))
    }

    /// Returns an acquire that waits.
    pub(super) fn waiter(&self) -> Task<Acquire<Scripted>> {
        self.waiter_of(HOST)
    }

    pub(super) fn waiter_of(&self, host: u8) -> Task<Acquire<Scripted>> {
        let mut acquire = self.acquire(host);
        assert!(acquire.poll().is_none(), "nothing is idle");
        acquire
    }

    /// Returns a new connection, lent.
    pub(super) fn loan(&self) -> PooledConnection<Scripted> {
        self.waiter().connection()
    }

    /// Returns a connection of this host, for which no other caller waits.
    pub(super) fn acquire_now(&self, host: u8) -> PooledConnection<Scripted> {
        let mut acquire = self.acquire(host);
        match acquire.poll() {
            Some(answer) => got(answer),
            None => acquire.connection(),
        }
    }

    /// Returns an idle connection, lent.
    pub(super) fn hit(&self) -> PooledConnection<Scripted> {
        self.acquire(HOST).poll().map(got).expect("an idle connection")
    }

    /// Runs all tasks, and checks before and after what must be true of every pool.
    pub(super) fn settle(&self) -> PoolStatus {
        self.watch.check();
        Runtime::run();
        self.watch.check();
        let status = self.pool.status();
        assert_eq!((status.dialing, status.pinging, status.closing), (0, 0, 0), "no task is left");
        status
    }

    /// Runs all tasks and checks that no caller waits, nothing is lent, and this many connections
    /// are idle.
    pub(super) fn rests_with(&self, idle: usize) {
        let status = self.settle();
        assert_eq!((status.idle, status.in_use, status.waiting), (idle, 0, 0), "at rest");
    }

    /// Drops the pool.
    pub(super) fn end(self) {
        let Stage { pool, watch } = self;
        let core = pool.core().clone();
        drop(pool);
        watch.end_of(core);
    }
}

/// No caller gives up, unless the model says so.
pub(super) fn patient() -> Builder {
    Pool::builder().acquire_timeout(None)
}

/// What can be checked after the pool is gone.
pub(super) struct Watch<C: Connector> {
    pub(super) core: Weak<PoolCore<C>>,
    pub(super) ledger: Arc<Ledger>,
}

impl<C: Connector> Watch<C> {
    /// Checks the invariants of each host and those of the budget. No thread is running.
    pub(super) fn check(&self) {
        let Some(core) = self.core.upgrade() else { return };
        let now = core.clock.precise();
        let mut told = Vec::new();
        for cell in core.typed_hosts() {
            unlocked(|| {
                let rules = cell.rules();
                cell.look(|state| caught(|| state.check_invariants(now, &rules.common)))
            });
            told.extend(cell.look(|state| state.told()));
        }
        if let Some(Shared { budget, hints }) = core.ledger() {
            unlocked(|| {
                let budget = budget.lock();
                caught(|| {
                    budget.check_invariants(&told, &[], 0);
                    let _ = budget.check_caps((0, 0));
                })
            });
            hints.check(&told);
        }
    }

    /// Checks the end of a pool that is not used any more.
    pub(super) fn end(self) {
        match self.core.upgrade() {
            Some(core) => self.end_of(core),
            None => {
                Runtime::run();
                self.ledger.is_settled();
            }
        }
    }

    /// The same; nothing is left of the pool.
    pub(super) fn end_of(self, core: Arc<PoolCore<C>>) {
        self.check();
        let cells = core.typed_hosts();
        Runtime::run();
        self.ledger.is_settled();
        for cell in cells {
            unlocked(|| cell.look(|state| caught(|| state.check_empty())));
        }
        assert_eq!(core.directory.len(), 0, "a host that nobody needs");
        if let Some(ledger) = core.ledger() {
            unlocked(|| {
                let budget = ledger.budget.lock();
                caught(|| budget.check_empty())
            });
        }
        drop(core);
        assert_eq!(self.core.strong_count(), 0, "nothing refers to the pool");
    }
}

/// A check must not panic under a lock: the destructors that then run need the lock.
fn caught(check: impl FnOnce()) -> std::thread::Result<()> {
    catch_unwind(AssertUnwindSafe(check))
}

fn unlocked(check: impl FnOnce() -> std::thread::Result<()>) {
    check().unwrap_or_else(|panic| resume_unwind(panic));
}
