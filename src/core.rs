//! What all handles, guards and tasks of one pool share, and the carrying out of what the engine
//! decides.
//!
//! # Who keeps it alive
//!
//! Handles (`Pool`, `Host`) are counted apart from the references to it: the hosts in the engines
//! refer back to it, and so do guards and tasks. The last handle to go closes what is idle; each
//! host is forgotten when its last connection is gone, and with it its reference.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::mem;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::builder::Settings;
use crate::clock::Clock;
use crate::connector::Connector;
use crate::engine::time::Time;
use crate::engine::{self, Effects, Engine, Leak, Loan, Parts, Rest};
use crate::error::AcquireError;
use crate::observer::Observer;
use crate::panics;
use crate::pooled_connection::{Lendable, Parcel};
use crate::runtime::Runtime;
use crate::spread::Spread;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, Notify};
use crate::target::Target;
use crate::upkeep::{self, Upkeep};
use crate::{closing, dial, ping};

/// The engine's view of the shell.
pub(crate) struct Shell<C>(std::marker::PhantomData<C>);

impl<C: Connector> Parts for Shell<C> {
    type Host = Arc<Target<C>>;
    type Connection = Lendable<C>;
    type Failure = DialFailure<C::Error>;
    type Waker = Sleeper;
    type Runtime = Runtime;

    fn runtime(waker: &Sleeper) -> Runtime {
        waker.runtime.clone()
    }
}

/// A task that waits, and the runtime that it waits in.
#[derive(Debug)]
pub(crate) struct Sleeper {
    pub(crate) waker: std::task::Waker,
    pub(crate) runtime: Runtime,
}

/// How a dial failed.
#[derive(Debug)]
pub(crate) enum DialFailure<E> {
    Error(Arc<E>),
    TimedOut,
    Panicked,
}

impl<E> Clone for DialFailure<E> {
    fn clone(&self) -> Self {
        match self {
            DialFailure::Error(error) => DialFailure::Error(error.clone()),
            DialFailure::TimedOut => DialFailure::TimedOut,
            DialFailure::Panicked => DialFailure::Panicked,
        }
    }
}

impl<E: fmt::Display> fmt::Display for DialFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialFailure::Error(error) => error.fmt(f),
            DialFailure::TimedOut => f.write_str("connect_timeout passed"),
            DialFailure::Panicked => f.write_str("the connector panicked"),
        }
    }
}

impl<E> From<DialFailure<E>> for AcquireError<E> {
    fn from(failure: DialFailure<E>) -> Self {
        match failure {
            DialFailure::Error(error) => AcquireError::Connect(error),
            DialFailure::TimedOut => AcquireError::ConnectTimeout,
            DialFailure::Panicked => AcquireError::ConnectorPanicked,
        }
    }
}

/// What a pool of shared connections knows beside its connector.
pub(crate) struct Sharing<C: Connector> {
    /// See [`engine::Sharing`].
    pub(crate) copy: fn(&Lendable<C>) -> Lendable<C>,
    pub(crate) max_leases: fn(&C, &C::Connection) -> usize,
    pub(crate) expected_leases: fn(&C, &C::Key) -> usize,
    pub(crate) spread: Spread,
}

/// Apart from its neighbours, so that two threads on two shards do not share a cache line.
#[repr(align(128))]
pub(crate) struct Shard<C: Connector>(Mutex<Engine<Shell<C>>>);

/// See the module.
pub(crate) struct Core<C: Connector> {
    pub(crate) connector: C,
    pub(crate) settings: Settings,
    sharing: Option<Sharing<C>>,
    pub(crate) clock: Clock,
    pub(crate) upkeep: Arc<Upkeep>,
    /// Told when a closed pool may have become empty.
    pub(crate) drained: Notify,
    shards: Box<[Shard<C>]>,
    hasher: SipHasher13,
    handles: AtomicUsize,
    closed: AtomicBool,
    /// The runtime last seen, for what nobody's acquire causes.
    runtime: Mutex<Option<Runtime>>,
}

/// Shards of a pool whose caps are per host: more than there are threads to collide. A power of two.
const SHARDS: usize = 16;

impl<C: Connector> Core<C> {
    pub(crate) fn new(connector: C, settings: Settings, sharing: Option<Sharing<C>>) -> Arc<Self> {
        let limits = settings.limits();
        let count = if limits.span_hosts() || cfg!(wharf_loom) { 1 } else { SHARDS };
        // The system's randomness, as the keys of the hasher.
        let random = RandomState::new();
        let hasher = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        let shard = |nth: usize| {
            let seed = random.hash_one(nth);
            let sharing = sharing.as_ref();
            let sharing = sharing.map(|s| engine::Sharing { copy: s.copy, spread: s.spread });
            let (nth, count) = (nth as u64, count as u64);
            Shard(Mutex::new(Engine::new(limits.clone(), sharing, nth, count, seed)))
        };
        Arc::new(Core {
            connector,
            clock: Clock::new(),
            upkeep: Arc::new(Upkeep::new()),
            drained: Notify::new(),
            shards: (0..count).map(shard).collect(),
            hasher,
            handles: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            runtime: Mutex::new(None),
            settings,
            sharing,
        })
    }

    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        let mut hasher = self.hasher;
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// The shard of a key, by bits of its hash that the shard's own map does not look at first.
    pub(crate) fn shard_of(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.shards.len() - 1)
    }

    #[inline]
    pub(crate) fn engine(&self, shard: usize) -> MutexGuard<'_, Engine<Shell<C>>> {
        self.shards[shard].0.lock()
    }

    /// All engines, locked together: one picture.
    pub(crate) fn all_engines(&self) -> Vec<MutexGuard<'_, Engine<Shell<C>>>> {
        self.shards.iter().map(|shard| shard.0.lock()).collect()
    }

    /// Changes one engine and carries out what it decides.
    pub(crate) fn change<R>(
        self: &Arc<Self>,
        shard: usize,
        f: impl FnOnce(&mut Engine<Shell<C>>, Time, &mut Effects<Shell<C>>) -> R,
    ) -> R {
        self.change_at(self.clock.precise(), shard, f)
    }

    /// Changes one engine at a time that was read before.
    pub(crate) fn change_at<R>(
        self: &Arc<Self>,
        now: Time,
        shard: usize,
        f: impl FnOnce(&mut Engine<Shell<C>>, Time, &mut Effects<Shell<C>>) -> R,
    ) -> R {
        let mut fx = Effects::new();
        let result = f(&mut self.engine(shard), now, &mut fx);
        if !fx.is_empty() {
            self.carry_out(fx);
        }
        result
    }

    /// Changes every engine, one after the other.
    pub(crate) fn change_all(
        self: &Arc<Self>,
        mut f: impl FnMut(&mut Engine<Shell<C>>, Time, &mut Effects<Shell<C>>),
    ) {
        (0..self.shards.len()).for_each(|shard| self.change(shard, &mut f));
    }

    /// Does what an engine decided. No lock is held here.
    ///
    /// Slots come first and wakers last: whoever is woken finds everything as it was decided.
    fn carry_out(self: &Arc<Self>, mut fx: Effects<Shell<C>>) {
        let rest = fx.take_rest();
        let leftovers = rest.map(|rest| self.carry_out_rest(*rest));
        fx.dial.into_iter().for_each(dial::begin);
        if fx.upkeep {
            self.wake_upkeep();
        }
        if fx.drained {
            self.drained.notify_waiters();
        }
        for sleeper in fx.wake {
            let _ = panics::catch("a waker", || sleeper.waker.wake());
        }
        if let Some(leftovers) = leftovers {
            self.clear_away(leftovers);
        }
        let _ = panics::catch("a waker", || drop(fx.unused));
    }

    /// What comes before anybody is woken. What is left of it can wait.
    fn carry_out_rest(&self, mut rest: Rest<Shell<C>>) -> Rest<Shell<C>> {
        let observer = &self.settings.observer;
        for target in &rest.appeared {
            observer.tell(|o| o.host_appeared(&target.key));
        }
        // What a lease was used by goes before the connection is closed.
        let copies = mem::take(&mut rest.copies);
        let _ = panics::catch("the drop of a connection", || drop(copies));
        mem::take(&mut rest.close).into_iter().for_each(closing::begin);
        mem::take(&mut rest.ping).into_iter().for_each(ping::begin);
        for target in mem::take(&mut rest.hurry) {
            target.hurry.notify_waiters();
        }
        rest
    }

    fn clear_away(&self, mut rest: Rest<Shell<C>>) {
        let observer = &self.settings.observer;
        for host in &rest.forgotten {
            observer.tell(|o| o.host_forgotten(&host.shell.key));
        }
        let leaks = mem::take(&mut rest.leaks);
        if !leaks.is_empty() {
            self.report_leaks(leaks);
        }
        // What a host is keyed by and why a dial failed is the user's: a panic in its drop stays here.
        let _ = panics::catch("a destructor", || drop(rest));
    }

    #[cold]
    fn report_leaks(&self, leaks: Vec<(Arc<Target<C>>, Leak)>) {
        let now = self.clock.precise();
        for (target, leak) in leaks {
            let key = &target.key;
            panics::log(|| match leak {
                Leak::StillOut(Loan { connection: id, since, place, .. }) => {
                    let held = now.since(since);
                    tracing::warn!(target: "wharf::loan", ?key, id, ?held, %place, "held for long");
                }
                Leak::Back(Loan { connection: id, since, place, .. }) => {
                    let held = now.since(since);
                    tracing::warn!(target: "wharf::loan", ?key, id, ?held, %place, "back at last");
                }
            });
        }
    }

    #[inline]
    pub(crate) fn is_open(&self, parcel: &mut Parcel<C>) -> bool {
        let connection = &mut parcel.connection.connection;
        let is_open = panics::catch("is_open", || self.connector.is_open(connection));
        is_open.unwrap_or(false) && (self.sharing.is_none() || self.takes_leases(parcel))
    }

    /// Asks a shared connection how many leases it takes now. None means that it is going away.
    fn takes_leases(&self, parcel: &mut Parcel<C>) -> bool {
        parcel.max_leases = self.max_leases(&parcel.connection.connection);
        parcel.max_leases > 0
    }

    /// Leases that a connection to a new host is taken to carry.
    pub(crate) fn expected_leases(&self, key: &C::Key) -> usize {
        let Some(sharing) = &self.sharing else { return 1 };
        let ask = || (sharing.expected_leases)(&self.connector, key);
        panics::catch("expected_leases", ask).map_or(usize::MAX, |leases| leases.max(1))
    }

    pub(crate) fn max_leases(&self, connection: &C::Connection) -> usize {
        let Some(sharing) = &self.sharing else { return 1 };
        let ask = || (sharing.max_leases)(&self.connector, connection);
        panics::catch("max_leases", ask).unwrap_or(0)
    }
}

/// # Runtimes
impl<C: Connector> Core<C> {
    /// The runtime last seen, unless it has ended.
    pub(crate) fn last_runtime(&self) -> Option<Runtime> {
        let last = self.runtime.lock().clone();
        last.filter(Runtime::is_alive).or_else(|| self.upkeep.runtime())
    }

    /// The runtime to wait in, and whether upkeep runs there. Then it is not remembered: upkeep does
    /// that.
    pub(crate) fn find_runtime(&self) -> Option<(Runtime, bool)> {
        let Some(current) = Runtime::current() else {
            return self.last_runtime().map(|last| (last, false));
        };
        let has_upkeep = self.upkeep.runs_in(&current);
        if !has_upkeep {
            self.remember(&current);
        }
        Some((current, has_upkeep))
    }

    /// The runtime of this thread, or the one last seen.
    pub(crate) fn any_runtime(&self) -> Option<Runtime> {
        Runtime::current().or_else(|| self.last_runtime())
    }

    /// The runtime of this thread, which is remembered, or the one last seen.
    pub(crate) fn see_runtime(&self) -> Option<Runtime> {
        let Some(current) = Runtime::current() else { return self.last_runtime() };
        self.remember(&current);
        Some(current)
    }

    fn remember(&self, current: &Runtime) {
        let mut last = self.runtime.lock();
        if !last.as_ref().is_some_and(|last| last.is(current)) {
            let old = last.replace(current.clone());
            drop(last);
            drop(old);
        }
    }
}

/// # Upkeep
impl<C: Connector> Core<C> {
    /// The next deadline has moved forward.
    #[cold]
    pub(crate) fn wake_upkeep(self: &Arc<Self>) {
        self.upkeep.wake();
        self.ensure_upkeep();
    }

    /// Starts upkeep where it does not run, if there is a runtime. Asked at every acquire, so that
    /// it starts again after its runtime has ended.
    #[inline]
    pub(crate) fn ensure_upkeep(self: &Arc<Self>) {
        if self.upkeep.is_missing() {
            self.start_upkeep();
        }
    }

    #[cold]
    fn start_upkeep(self: &Arc<Self>) {
        if let Some(runtime) = self.see_runtime() {
            upkeep::start(self, &runtime);
        }
    }

    /// Looks at all that is due. Returns when to look next.
    pub(crate) fn look(self: &Arc<Self>) -> Option<Time> {
        let mut next = None;
        self.change_all(|engine, now, fx| {
            let look = engine.upkeep(now, fx);
            next = [next, look].into_iter().flatten().min();
        });
        next
    }
}

/// # The end
impl<C: Connector> Core<C> {
    pub(crate) fn close(self: &Arc<Self>) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.change_all(Engine::close);
            self.settings.observer.tell(Observer::pool_closed);
            self.upkeep.wake();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.shards.iter().all(|shard| shard.0.lock().is_drained())
    }

    pub(crate) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::SeqCst) > 0
    }
}

impl<C: Connector> Drop for Core<C> {
    fn drop(&mut self) {
        self.upkeep.wake();
    }
}

/// One that counts: the pool lives as long as there is one.
pub(crate) struct Handle<C: Connector>(Arc<Core<C>>);

impl<C: Connector> Handle<C> {
    pub(crate) fn new(core: Arc<Core<C>>) -> Self {
        core.handles.fetch_add(1, Ordering::SeqCst);
        Handle(core)
    }

    pub(crate) fn core(&self) -> &Arc<Core<C>> {
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
        if self.0.handles.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.change_all(Engine::orphan);
            self.0.upkeep.wake();
        }
    }
}
