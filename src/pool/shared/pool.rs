//! The pool of shared connections.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::shared_connector::SharedConnector;
use crate::pool::add_error::AddError;
use crate::pool::builder::{Builder, Shared};
use crate::pool::close::{Close, CloseReport};
use crate::pool::no_connector::NoConnector;
use crate::pool::pool::Pool;
use crate::pool::pooled_connection::ConnectionInfo;
use crate::pool::shared::share::{Share, Shares, sharing};
use crate::pool::shared::{AcquireLease, Lease, SharedHost, WarmShared};
use crate::pool::status::{HostStatus, LoanInfo, PoolStatus};
use crate::runtime::cell::PoolCore;
use crate::runtime::settings::Settings;

/// A pool of connections that many borrowers use at once, each up to the number of leases that its
/// [`SharedConnector::max_leases`] names.
///
/// It has the methods, the settings and the guarantees of a [`Pool`]; caps count connections. A
/// lease is given on a connection that has room, the oldest first (see [`Spread`](crate::Spread)),
/// or else on an idle one. Another connection is dialed only if the existing ones cannot carry the
/// waiting callers: many callers of a host without a connection start a single dial.
///
/// A connection that is not open, too old, used up or retired *drains*: it takes no new leases,
/// frees its place under [`max_per_host`](Builder::max_per_host) for a new connection (for up to
/// `max_per_host` draining ones), and is closed after its last lease. If it drains only to make
/// room for another host, it takes leases again once that host no longer needs the room and the
/// connection has answered a ping. So does the youngest of those that are too old when callers wait
/// and nothing else has room. Heartbeats also ping connections that are leased.
///
/// A connection may die between giving a lease and the next poll of the caller; it is not checked
/// again.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::sync::Arc;
///
/// use wharf::{Connector, SharedConnector, SharedPool, async_trait};
///
/// struct Numbers;
///
/// #[async_trait]
/// impl Connector for Numbers {
///     type Key = ();
///     type Connection = Arc<u32>;
///     type Error = io::Error;
///
///     async fn connect(&self, (): &()) -> io::Result<Arc<u32>> {
///         Ok(Arc::new(7))
///     }
/// }
///
/// impl SharedConnector for Numbers {
///     fn max_leases(&self, _: &Arc<u32>) -> usize {
///         100
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = SharedPool::builder().max_per_host(2).build(Numbers)?;
/// let (one, two) = (pool.acquire(&()).await?, pool.acquire(&()).await?);
/// assert!(Arc::ptr_eq(&one, &two));
/// assert_eq!((pool.status().in_use, pool.status().leases), (1, 2));
/// # Ok(()) }
/// ```
pub struct SharedPool<C: SharedConnector>(Pool<Shares<C>>);

impl SharedPool<NoConnector> {
    /// Configures a pool: `SharedPool::builder().max_per_host(4).build(connector)?`.
    pub fn builder() -> Builder<Shared> {
        Builder::new()
    }
}

/// # Construction
impl<C: SharedConnector> SharedPool<C> {
    /// Makes a pool with every setting at its default. It does no I/O and needs no runtime.
    pub fn new(connector: C) -> Self {
        SharedPool::with_settings(connector, Settings::default())
    }

    pub(crate) fn with_settings(connector: C, settings: Settings) -> Self {
        let core = PoolCore::new(Shares(connector), settings, Some(sharing()));
        SharedPool(Pool::of(Arc::new(core)))
    }

    pub(super) fn of(pool: Pool<Shares<C>>) -> Self {
        SharedPool(pool)
    }

    /// Returns the pool inside this one.
    pub(crate) fn shares(&self) -> &Pool<Shares<C>> {
        &self.0
    }
}

/// # Borrowing
impl<C: SharedConnector> SharedPool<C> {
    /// Waits for a lease on a connection to the host with this key, for up to
    /// [`acquire_timeout`](Builder::acquire_timeout).
    ///
    /// # Fairness
    ///
    /// First come, first served: a newcomer never overtakes a caller that waits for the same host.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is lost.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    ///
    /// # Panics
    ///
    /// The same as [`Pool::acquire`].
    #[track_caller]
    pub fn acquire<Q>(&self, key: &Q) -> AcquireLease<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        AcquireLease::new(self.0.acquire(key))
    }

    /// Waits for a lease with this time limit instead of
    /// [`acquire_timeout`](Builder::acquire_timeout). With zero it returns a lease on an open
    /// connection, or [`Timeout`](crate::AcquireError::Timeout) at once.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    pub fn acquire_within<Q>(&self, key: &Q, timeout: Duration) -> AcquireLease<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        AcquireLease::new(self.0.acquire_within(key, timeout))
    }

    /// Takes a lease on a connection that has room, if there is one. It never waits or dials.
    #[track_caller]
    pub fn try_acquire<Q>(&self, key: &Q) -> Option<Lease<C>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.try_acquire(key).map(Lease::new)
    }

    /// Returns a handle on one host, which saves the look-up of the key.
    pub fn host<Q>(&self, key: &Q) -> SharedHost<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        SharedHost::new(self.0.host(key))
    }
}

/// # Managing connections
impl<C: SharedConnector> SharedPool<C> {
    /// Adds a connection that was made elsewhere.
    ///
    /// # Errors
    ///
    /// The connection is inside the error if it is not open, if a cap leaves no room for it, or if
    /// the pool is closed.
    pub fn add<Q>(&self, key: &Q, conn: C::Connection) -> Result<(), AddError<C::Connection>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        let added = self.0.add(key, Share::new(conn));
        added.map_err(|error| error.map(Share::into_connection))
    }

    /// Dials until `n` connections to the host are open, as [`Pool::warm`] does.
    pub fn warm<Q>(&self, key: &Q, n: usize) -> WarmShared<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        WarmShared::new(self.0.warm(key, n))
    }

    /// Closes the idle connections for which `keep` returns false.
    ///
    /// # Panics
    ///
    /// If `keep` panics; the connection that it was inspecting is closed.
    #[track_caller]
    pub fn retain<F>(&self, mut keep: F)
    where
        F: FnMut(&C::Key, &mut C::Connection, ConnectionInfo) -> bool,
    {
        self.0.retain(|key, share, info| keep(key, share.own(), info));
    }

    /// Closes every idle connection: at once, or, if it is being pinged, when it has answered and
    /// no caller waits for it.
    pub fn close_idle(&self) {
        self.0.close_idle();
    }

    /// Drains all connections of the host: idle ones are closed at once, leased ones after their
    /// last lease. Later callers get new connections.
    pub fn retire<Q>(&self, key: &Q)
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.retire(key);
    }

    /// Retires every host, as [`retire`](SharedPool::retire) does for one.
    pub fn retire_all(&self) {
        self.0.retire_all();
    }
}

/// # Inspection
impl<C: SharedConnector> SharedPool<C> {
    /// Returns the figures of all hosts, added up; see [`Pool::status`].
    pub fn status(&self) -> PoolStatus {
        self.0.status()
    }

    /// Returns the leases of all hosts, the longest held first.
    pub fn loans(&self) -> Vec<LoanInfo> {
        self.0.loans()
    }

    /// Returns each host that the pool knows.
    pub fn hosts(&self) -> Vec<(C::Key, HostStatus)> {
        self.0.hosts()
    }
}

/// # Closing
impl<C: SharedConnector> SharedPool<C> {
    /// Closes the pool, as [`Pool::close`] does: dials and pings are cut off, and awaiting the
    /// result waits for leases and closes to end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: the pool stays closed.
    pub fn close(&self) -> Close {
        self.0.close()
    }

    /// Closes the pool, waits for up to `limit`, and reports what has not ended by then, as
    /// [`Pool::close_within`] does.
    ///
    /// # Panics
    ///
    /// If it is awaited outside a tokio runtime with timers.
    pub fn close_within(
        &self,
        limit: Duration,
    ) -> impl Future<Output = CloseReport> + Send + 'static + use<C> {
        self.0.close_within(limit)
    }

    /// Returns whether [`close`](SharedPool::close) was called.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl<C: SharedConnector> Clone for SharedPool<C> {
    fn clone(&self) -> Self {
        SharedPool(self.0.clone())
    }
}

impl<C: SharedConnector> fmt::Debug for SharedPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPool").field("status", &self.status()).finish_non_exhaustive()
    }
}
