//! The state that all handles, guards and tasks of a pool share, without the types of its connector.

use std::mem;
use std::sync::Arc;
// The models change no settings: loom need not see what has them.
use std::sync::atomic;

use tracing::level_filters::LevelFilter;

use super::clock::Clock;
use super::handle::Runtime;
use super::maintenance::Maintenance;
use super::observing::Observing;
use super::overrides::Overrides;
use super::parts::{Cell, Split};
use super::rules::Rules;
use super::scheduled::Scheduled;
use super::settings::Settings;
use super::task;
use super::told::Told;
use crate::engine::budget::Ledger;
use crate::engine::schedule::Schedule;
use crate::engine::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::engine::sync::{Mutex, Notify};
use crate::engine::{Borrower, CallSite, Phase};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// What does not depend on the connector. The fields for hits and waits come first, apart from
/// those that are written while the pool is used.
#[repr(C)]
pub(crate) struct PoolBase {
    pub(crate) clock: Clock,
    /// As the pool was built: for what never changes.
    built: Arc<Rules>,
    closed: AtomicBool,
    ending: AtomicBool,
    ended: AtomicBool,
    pub(crate) observer: Observing,
    pub(super) overrides: Overrides,
    /// `slow_acquire`, in nanoseconds: read at the end of each wait.
    slow_acquire: atomic::AtomicU64,
    /// What holds for hosts without settings of their own.
    rules: parking_lot::Mutex<Arc<Rules>>,
    pub(crate) schedule: Mutex<Schedule<Scheduled>>,
    pub(crate) maintenance: Arc<Maintenance>,
    /// Notified when a closed pool has come to its end.
    pub(crate) drained: Notify,
    /// Notified when the tasks of pings and dials have to check whether to continue.
    pub(crate) recheck: Notify,
    /// What keeps the pool from its end: connections, dials and closes of all hosts, and what is
    /// still to be done or told. Entries are added under the host's lock.
    entries: AtomicUsize,
    next_host: AtomicU64,
    handles: AtomicUsize,
    /// The runtimes seen, the latest one last, for work that no acquire causes. When one ends,
    /// another is used.
    pub(super) seen: Mutex<Vec<Runtime>>,
    /// Where tasks were seen to wait that held a connection.
    pub(super) told: Told,
}

impl PoolBase {
    pub(super) fn new(limits: Limits, share: Option<Split>, settings: Settings) -> Self {
        let Settings { config, observer, overrides } = settings;
        let slow_acquire = atomic::AtomicU64::new(Span::from(config.slow_acquire).nanos());
        let built = Arc::new(Rules::new(config, limits, share));
        PoolBase {
            clock: Clock::new(),
            rules: parking_lot::Mutex::new(built.clone()),
            built,
            closed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            observer,
            overrides,
            slow_acquire,
            schedule: Mutex::new(Schedule::new()),
            maintenance: Arc::new(Maintenance::new()),
            drained: Notify::new(),
            recheck: Notify::new(),
            entries: AtomicUsize::new(0),
            next_host: AtomicU64::new(0),
            handles: AtomicUsize::new(0),
            seen: Mutex::new(Vec::new()),
            told: Told::new(),
        }
    }

    /// Returns the id of the next host.
    pub(super) fn next_host(&self) -> u64 {
        self.next_host.fetch_add(1, Ordering::Relaxed)
    }

    /// The task that runs, which asks for a connection.
    pub(crate) fn borrower(&self, call_site: CallSite) -> Borrower {
        Borrower { call_site, task: self.notes_tasks().then(task::current) }
    }
}

/// # Settings
impl PoolBase {
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.built.common.is_shared()
    }

    /// Returns whether it is noted which task holds a connection: `deadlock_warnings`.
    #[inline]
    pub(crate) fn notes_tasks(&self) -> bool {
        self.built.config.deadlock_warnings
    }

    /// Returns the id of the next connection.
    pub(super) fn next_id(&self) -> u64 {
        self.built.common.next_id()
    }

    /// Present in pools that were built with a cap across hosts.
    pub(crate) fn ledger(&self) -> Option<&Ledger<Cell>> {
        self.built.common.ledger()
    }

    #[inline]
    pub(crate) fn slow_acquire(&self) -> Span {
        Span::from_nanos(self.slow_acquire.load(atomic::Ordering::Relaxed))
    }

    /// Returns what holds for hosts without settings of their own.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.lock().clone()
    }

    /// These hold from now on, if they come after the ones that hold. Returns whether they do.
    pub(super) fn set_rules(&self, new: &Arc<Rules>) -> bool {
        let mut rules = self.rules.lock();
        if rules.version + 1 != new.version {
            return false;
        }
        let old = mem::replace(&mut *rules, new.clone());
        if let Some(ledger) = self.ledger() {
            ledger.budget.lock().adapt(&new.common.limits);
        }
        drop(rules);
        drop(old);
        let slow = Span::from(new.config.slow_acquire).nanos();
        self.slow_acquire.store(slow, atomic::Ordering::Relaxed);
        true
    }
}

/// # Maintenance and room
impl PoolBase {
    /// Returns a host whose idle connection may make room, if room is needed.
    pub(super) fn next_scan(&self, now: Time) -> Option<Cell> {
        let Ledger { budget, hints } = self.ledger()?;
        let mut budget = budget.lock();
        budget.begin_scan(hints.idle(), now)
    }
}

/// # The end
impl PoolBase {
    pub(super) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns whether it was the last one.
    pub(super) fn drop_handle(&self) -> bool {
        self.handles.fetch_sub(1, Ordering::SeqCst) == 1
    }

    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::SeqCst) > 0
    }

    /// The pool is closed from now on. Returns whether it was not yet.
    pub(super) fn begin_close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Returns the phase of a host that is entered now.
    pub(crate) fn phase(&self) -> Phase {
        match (self.is_closed(), self.has_handles()) {
            (true, _) => Phase::Closed,
            (false, true) => Phase::Open,
            (false, false) => Phase::Orphaned,
        }
    }

    /// This many more keep the pool from its end.
    pub(super) fn hold_up(&self, more: usize) {
        self.entries.fetch_add(more, Ordering::SeqCst);
    }

    /// This many of them have gone. Returns whether nothing keeps a closed pool from its end any more.
    pub(super) fn note_gone(&self, gone: usize) -> bool {
        self.entries.fetch_sub(gone, Ordering::SeqCst) == gone && self.is_closed()
    }

    /// Returns whether the end has not begun yet. It has from now on.
    pub(super) fn begin_end(&self) -> bool {
        !self.ending.swap(true, Ordering::SeqCst)
    }

    /// The observer was told.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.drained.notify_waiters();
    }

    /// Returns whether the pool is closed and has come to its end: every loan has returned, every
    /// dial and every close has ended, no host is listed, and the observer was told.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Drop for PoolBase {
    fn drop(&mut self) {
        self.maintenance.wake();
    }
}

/// # Observers and subscribers
impl PoolBase {
    /// Returns whether there is an observer, or a subscriber that may record events of this level.
    pub(super) fn is_heard(&self, level: LevelFilter) -> bool {
        self.observer.is_there() || LevelFilter::current() >= level
    }

    /// Prepares for a report of this level that may block this thread: the tasks that it has woken
    /// and the timers of its runtime must not wait for that.
    pub(super) fn may_block(&self, level: LevelFilter) {
        if !self.is_heard(level) {
            return;
        }
        if let Some(runtime) = Runtime::current() {
            runtime.wake_another();
        }
    }
}
