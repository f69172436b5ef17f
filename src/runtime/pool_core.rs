//! The state that all handles, guards and tasks of a pool share.
//!
//! # What keeps it alive
//!
//! Handles (`Pool`, `Host`) are counted separately from references: the hosts in the directory
//! refer back to the core, and so do guards and tasks. Dropping the last handle closes idle
//! connections. Each host is forgotten when its last connection is gone, and its reference is
//! dropped with it.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use tracing::level_filters::LevelFilter;

use super::cell::HostCell;
use super::clock::Clock;
use super::deadlocks::Told;
use super::directory::Directory;
use super::handle::Runtime;
use super::maintenance::{self, Maintenance};
use super::news::News;
use super::panics::{self, Panicked};
use super::parts::{AnyPool, Cell, Erased, HostState, Value};
use super::scheduled::Scheduled;
use super::settings::Settings;
use super::task;
use crate::engine::budget::Ledger;
use crate::engine::schedule::Schedule;
use crate::engine::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::engine::sync::{Mutex, Notify};
use crate::engine::{Borrower, CallSite, Common, Phase};
use crate::policy::connector::Connector;
use crate::policy::observer::Observer;
use crate::policy::time::{Span, Time};

pub(crate) type Split = fn(&Value) -> Value;

/// What a pool of shared connections needs in addition to its connector.
pub(crate) struct Sharing<C: Connector> {
    /// Makes a borrower's share. It runs under a host's lock and must not call user code.
    pub(crate) share: Split,
    pub(crate) max_leases: fn(&C, &C::Connection) -> usize,
    pub(crate) expected_leases: fn(&C, &C::Key) -> usize,
}

/// See the module.
#[repr(C)]
pub(crate) struct PoolCore<C: Connector> {
    pub(crate) base: PoolBase,
    pub(crate) connector: C,
    sharing: Option<Sharing<C>>,
    hasher: SipHasher13,
    pub(crate) directory: Directory<C>,
}

impl<C: Connector> std::ops::Deref for PoolCore<C> {
    type Target = PoolBase;

    #[inline]
    fn deref(&self) -> &PoolBase {
        &self.base
    }
}

impl<C: Connector> AnyPool for PoolCore<C> {
    fn base(&self) -> &PoolBase {
        &self.base
    }

    fn hosts(&self) -> Vec<Cell> {
        self.directory.all().0.into_iter().map(|cell| cell as Cell).collect()
    }
}

/// What does not depend on the connector. The fields for hits and waits come first, apart from
/// those that are written while the pool is used.
#[repr(C)]
pub(crate) struct PoolBase {
    pub(crate) clock: Clock,
    pub(crate) common: Common<Erased>,
    closed: AtomicBool,
    pub(crate) settings: Settings,
    pub(crate) schedule: Mutex<Schedule<Scheduled>>,
    pub(crate) maintenance: Arc<Maintenance>,
    /// Notified when a closed pool may have become empty.
    pub(crate) drained: Notify,
    /// Notified when the tasks of pings and dials have to check whether to continue.
    pub(crate) recheck: Notify,
    /// Connections, dials and closes of all hosts. Changed under the host's lock.
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
    fn new(
        limits: crate::policy::limits::Limits,
        share: Option<Split>,
        settings: Settings,
    ) -> Self {
        PoolBase {
            clock: Clock::new(),
            common: Common::new(limits, share),
            closed: AtomicBool::new(false),
            settings,
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

    fn new_state(&self, id: u64, carries: usize, own_max: Option<usize>) -> HostState {
        HostState::new(id, carries, &self.common).with_max(own_max)
    }
}

impl<C: Connector> PoolCore<C> {
    pub(crate) fn new(connector: C, settings: Settings, sharing: Option<Sharing<C>>) -> Arc<Self> {
        // Random, like the keys of the hasher; fixed in models, so that every run is the same.
        let system = RandomState::new();
        let random = |n: u64| if cfg!(wharf_loom) { n } else { system.hash_one(n) };
        let hasher = SipHasher13::new_with_keys(random(0), random(1));
        let share = sharing.as_ref().map(|sharing| sharing.share);
        let mut limits = settings.limits();
        if connector.pings_each_loan() {
            limits.ping_after = Span::ZERO;
        }
        Arc::new(PoolCore {
            base: PoolBase::new(limits, share, settings),
            connector,
            sharing,
            hasher,
            directory: Directory::new(),
        })
    }

    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        let mut hasher = self.hasher;
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// Returns the host with this key, if the pool knows it.
    #[inline]
    pub(crate) fn find<Q>(&self, key: &Q) -> Option<Arc<HostCell<C>>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.directory.find(self.hash(key), key)
    }

    /// Returns the host with this key, or a new one that enters the directory when a caller joins
    /// it: an acquire that is never polled leaves nothing behind.
    #[inline]
    pub(crate) fn host<Q>(self: &Arc<Self>, key: &Q) -> Arc<HostCell<C>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        let hash = self.hash(key);
        match self.directory.find(hash, key) {
            Some(cell) => cell,
            None => self.new_host(key.to_owned(), hash),
        }
    }

    #[cold]
    pub(crate) fn new_host(self: &Arc<Self>, key: C::Key, hash: u64) -> Arc<HostCell<C>> {
        let carries = self.expected_leases(&key);
        let own_max = self.settings.caps.of(&self.connector, &key);
        let id = self.base.next_host.fetch_add(1, Ordering::Relaxed);
        let state = self.base.new_state(id, carries, own_max);
        Arc::new(HostCell::new(self.clone(), id, (key, hash), state))
    }
}

/// # Who borrows
impl PoolBase {
    /// The task that runs, which asks for a connection.
    pub(crate) fn borrower(&self, call_site: CallSite) -> Borrower {
        Borrower { call_site, task: self.settings.deadlock_warnings.then(task::current) }
    }
}

/// # Asking the connector
impl<C: Connector> PoolCore<C> {
    /// Returns how many leases the connection takes now: none if it is not open.
    #[inline]
    pub(crate) fn max_leases_if_open(&self, connection: &mut C::Connection) -> usize {
        if self.is_open(connection) { self.max_leases(connection) } else { 0 }
    }

    #[inline]
    pub(crate) fn is_open(&self, connection: &mut C::Connection) -> bool {
        panics::catch("is_open", || self.connector.is_open(connection)).unwrap_or(false)
    }

    /// Returns whether a connection that returned open needs a reset.
    #[inline]
    pub(crate) fn needs_reset(&self, connection: &C::Connection) -> Result<bool, Panicked> {
        panics::catch("needs_reset", || self.connector.needs_reset(connection))
    }

    pub(crate) fn max_leases(&self, connection: &C::Connection) -> usize {
        let Some(sharing) = &self.sharing else { return 1 };
        let ask = || (sharing.max_leases)(&self.connector, connection);
        panics::catch("max_leases", ask).unwrap_or(0)
    }

    /// Returns how many leases a connection to a new host is expected to carry.
    fn expected_leases(&self, key: &C::Key) -> usize {
        let Some(sharing) = &self.sharing else { return 1 };
        let ask = || (sharing.expected_leases)(&self.connector, key);
        panics::catch("expected_leases", ask).map_or(usize::MAX, |leases| leases.max(1))
    }
}

/// # Maintenance and room
impl<C: Connector> PoolCore<C> {
    /// See [`PoolBase`].
    #[inline]
    pub(crate) fn ensure_maintenance(self: &Arc<Self>) {
        if self.base.maintenance.is_missing() {
            self.any().start_maintenance();
        }
    }

    pub(crate) fn watch_in(self: &Arc<Self>, runtime: &Runtime) {
        self.base.maintenance.want();
        self.ensure_maintenance();
        self.base.maintenance.has_timers(runtime);
    }

    fn any(self: &Arc<Self>) -> Arc<dyn AnyPool> {
        self.clone()
    }

    pub(crate) fn close(self: &Arc<Self>) {
        self.any().close();
    }

    /// Changes every host, one after the other.
    pub(crate) fn change_all(
        self: &Arc<Self>,
        mut f: impl FnMut(&mut HostState, &mut super::parts::Section<'_>),
    ) {
        self.any().change_all(&mut f);
    }
}

/// # Maintenance and room
impl dyn AnyPool {
    /// The next deadline has become earlier.
    #[cold]
    pub(crate) fn wake_maintenance(self: &Arc<Self>) {
        let maintenance = &self.base().maintenance;
        maintenance.wake();
        if maintenance.is_missing() {
            self.start_maintenance();
        }
        maintenance.share_woken();
    }

    #[cold]
    fn start_maintenance(self: &Arc<Self>) {
        if let Some(runtime) = self.base().see_runtime() {
            maintenance::start(self, &runtime);
        }
    }

    /// Processes up to this many hosts that are due. Returns when to look next: at once if more are
    /// due.
    pub(crate) fn maintain(self: &Arc<Self>, most: usize) -> Time {
        let base = self.base();
        let (now, mut news) = (base.clock.precise(), News::new());
        for _ in 0..most {
            let due = base.schedule.lock().pop_due(now);
            let Some(Scheduled(cell)) = due else { break };
            cell.maintain(&mut news, &mut |state, section| state.maintain(section));
            panics::let_go(cell);
        }
        let makes_room = base.schedule.lock().takes_room(now);
        // If its own time is later, the host says so.
        if makes_room && let Some(cell) = base.next_scan(Time::NEVER) {
            cell.maintain(&mut news, &mut |state, section| state.visit(section));
            panics::let_go(cell);
        }
        news.tell_aside(base);
        base.schedule.lock().next()
    }

    /// Every caller of `close` visits all hosts, not only the first one: when this returns, no host
    /// starts a dial any more, and an empty pool stays empty.
    pub(crate) fn close(self: &Arc<Self>) {
        let base = self.base();
        let is_news = !base.closed.swap(true, Ordering::SeqCst);
        self.change_all(&mut |state, section| state.close(section));
        if is_news {
            base.maintenance.wake();
            base.drained.notify_waiters();
            base.may_block(LevelFilter::WARN);
            base.settings.observer.tell(Observer::pool_closed);
        }
    }

    /// Changes every host, one after the other.
    pub(crate) fn change_all(
        self: &Arc<Self>,
        f: &mut dyn FnMut(&mut HostState, &mut super::parts::Section<'_>),
    ) {
        for cell in self.hosts() {
            cell.change_by(f);
            panics::let_go(cell);
        }
    }
}

/// # Maintenance and room
impl PoolBase {
    /// Returns a host whose idle connection may make room, if room is needed.
    pub(super) fn next_scan(&self, now: Time) -> Option<Cell> {
        let Ledger { budget, hints } = self.common.ledger.as_ref()?;
        let mut budget = budget.lock();
        budget.begin_scan(hints.idle(), now)
    }

    /// Updates the number of entries of all hosts, and returns whether none is left. Called under
    /// the host's lock, so that a reader does not find fewer than there are.
    pub(super) fn count_entries(&self, old: usize, new: usize) -> bool {
        if new > old {
            self.entries.fetch_add(new - old, Ordering::SeqCst);
        } else if new < old {
            return self.entries.fetch_sub(old - new, Ordering::SeqCst) == old - new;
        }
        false
    }
}

/// # The end
impl PoolBase {
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

    /// Returns whether the pool is closed and empty: every loan has returned, every dial and every
    /// close has ended.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_closed() && self.entries.load(Ordering::SeqCst) == 0
    }

    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::SeqCst) > 0
    }
}

impl Drop for PoolBase {
    fn drop(&mut self) {
        self.maintenance.wake();
    }
}

/// A counted handle: the pool lives as long as one exists.
pub(crate) struct Handle<C: Connector>(Arc<PoolCore<C>>);

impl<C: Connector> Handle<C> {
    pub(crate) fn new(core: Arc<PoolCore<C>>) -> Self {
        core.base.handles.fetch_add(1, Ordering::SeqCst);
        Handle(core)
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<PoolCore<C>> {
        &self.0
    }
}

impl<C: Connector> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Handle::new(self.0.clone())
    }
}

impl<C: Connector> Drop for Handle<C> {
    fn drop(&mut self) {
        if self.0.base.handles.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.change_all(|state, section| state.orphan(section));
            self.0.base.maintenance.wake();
        }
    }
}
