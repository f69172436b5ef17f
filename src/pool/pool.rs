//! The pool.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::acquire::Acquire;
use super::add_error::AddError;
use super::builder::Builder;
use super::close::{self, Close, CloseReport};
use super::host::Host;
use super::no_connector::NoConnector;
use super::pooled_connection::{ConnectionInfo, PooledConnection};
use super::status::{HostStatus, LoanInfo, PoolStatus};
use super::waiting::TimeLimit;
use super::warm::Warm;
use crate::engine::Room;
use crate::policy::call_site::CallSite;
use crate::policy::connector::Connector;
use crate::runtime::cell::{Held, HostCell, PoolCore};
use crate::runtime::pool_handle::PoolHandle;
use crate::runtime::settings::Settings;

/// A pool of connections to many hosts.
///
/// Clones are cheap and share the pool. When the last `Pool` and [`Host`] is dropped, idle
/// connections are closed, lent connections are closed when they return, and waiting callers are
/// still served.
///
/// Several runtimes may use a pool, in turn or at the same time. Its maintenance, dials and pings
/// run in the runtime that started them. That one may stand still: a current-thread runtime between
/// two `block_on`s. Then callers that wait in another one do the work of maintenance, at most 0.3 s
/// late, if they have a time limit or the pool has made a timer in their runtime before. A dial that
/// stands still makes room for another one a second after its time-out, or after it was cut off.
///
/// A key may be given in a borrowed form, as with `HashMap`: a `&str` for a `String`. It is cloned
/// only when its host is new.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use wharf::{Pool, connector_fn};
///
/// let connector = connector_fn(|host: String| async move {
///     Ok::<_, std::io::Error>(format!("a connection to {host}"))
/// });
/// let pool = Pool::builder()
///     .max_per_host(5)
///     .acquire_timeout(Duration::from_secs(3))
///     .build(connector)?;
///
/// let one = pool.acquire("db-1").await?; // dials
/// let two = pool.acquire("db-2").await?;
/// assert_eq!(*two, "a connection to db-2");
/// drop(one); // goes back
///
/// let again = pool.acquire("db-1").await?; // the same connection
/// assert_eq!(pool.status().dials, 2);
/// # Ok(()) }
/// ```
pub struct Pool<C: Connector> {
    handle: PoolHandle<C>,
}

impl Pool<NoConnector> {
    /// Configures a pool: `Pool::builder().max_per_host(30).build(connector)?`.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

/// # Construction
impl<C: Connector> Pool<C> {
    /// Makes a pool with every setting at its default. It does no I/O and needs no runtime.
    pub fn new(connector: C) -> Self {
        Pool::with_settings(connector, Settings::default())
    }

    pub(crate) fn with_settings(connector: C, settings: Settings) -> Self {
        Pool::of(Arc::new(PoolCore::new(connector, settings, None)))
    }

    pub(crate) fn of(core: Arc<PoolCore<C>>) -> Self {
        Pool::with_handle(PoolHandle::new(core))
    }

    pub(super) fn with_handle(handle: PoolHandle<C>) -> Self {
        Pool { handle }
    }

    pub(crate) fn core(&self) -> &Arc<PoolCore<C>> {
        self.handle.core()
    }
}

/// # Borrowing
impl<C: Connector> Pool<C> {
    /// Waits for a connection to the host with this key, for up to
    /// [`acquire_timeout`](Builder::acquire_timeout).
    ///
    /// Nothing happens before the first poll. The most recently used idle connection is lent first.
    /// If there is none, the caller joins the host's queue and takes the first connection that
    /// becomes available. If an idle connection must answer a ping before it is lent, the pool
    /// pings it for the caller. If no dial or ping in flight will serve the caller and every cap
    /// leaves room, the pool starts a dial.
    ///
    /// # Fairness
    ///
    /// First come, first served: a newcomer never overtakes a caller that waits for the same host. Only
    /// while waits are being lost, because their callers give up, is the newest served first:
    /// [`Order`](crate::Order).
    /// Across hosts, see
    /// [`many_hosts`](crate::guide::many_hosts#who-gets-a-connection-under-max_total).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is lost. A dial or a ping that was started
    /// for it continues and serves the next caller.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    ///
    /// # Panics
    ///
    /// The future panics if it has to wait, with a time limit, in a tokio runtime whose timers are
    /// not enabled, or if the `Debug` or `Display` of the key or the error panics while a time-out
    /// is reported. In both cases nothing is lost.
    #[track_caller]
    pub fn acquire<Q>(&self, key: &Q) -> Acquire<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        Acquire::new(self.core().host(key), TimeLimit::AsSet, CallSite::caller())
    }

    /// Waits for a connection with this time limit instead of
    /// [`acquire_timeout`](Builder::acquire_timeout). With zero it returns an idle connection, or
    /// [`Timeout`](crate::AcquireError::Timeout) at once.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is lost.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    pub fn acquire_within<Q>(&self, key: &Q, timeout: Duration) -> Acquire<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        Acquire::new(self.core().host(key), TimeLimit::Own(timeout), CallSite::caller())
    }

    /// Takes an idle connection that needs no ping, if there is one. It never waits or dials.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// assert!(pool.try_acquire("db-1").is_none());
    ///
    /// drop(pool.acquire("db-1").await?);
    /// assert!(pool.try_acquire("db-1").is_some());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn try_acquire<Q>(&self, key: &Q) -> Option<PooledConnection<C>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        PooledConnection::lent_at_once(&self.core().find(key)?, CallSite::caller())
    }

    /// Returns a handle on one host, which saves the look-up of the key.
    pub fn host<Q>(&self, key: &Q) -> Host<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        Host::new(self.core().host(key))
    }
}

/// # Managing connections
impl<C: Connector> Pool<C> {
    /// Adds a connection that was made elsewhere. It is checked with
    /// [`is_open`](Connector::is_open) first, because the next caller gets it without another
    /// check.
    ///
    /// # Errors
    ///
    /// The connection is inside the error if it is not open, if a cap leaves no room for it, or if
    /// the pool is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// pool.add("db-1", "made by hand".to_owned())?;
    /// assert_eq!(*pool.acquire("db-1").await?, "made by hand");
    /// # Ok(()) }
    /// ```
    pub fn add<Q>(&self, key: &Q, mut conn: C::Connection) -> Result<(), AddError<C::Connection>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        if !self.core().is_open(&mut conn) {
            let key = self.core().host(key).as_any().name();
            return Err(AddError::NotOpen { connection: conn, key });
        }
        let host = self.host(key);
        match host.cell().any().add(Held::<C>::boxed(conn)) {
            Room::Taken => Ok(()),
            Room::Full(conn) => Err(host.has_no_room(Held::<C>::own(conn).connection)),
            Room::Closed(conn) => Err(AddError::Closed(Held::<C>::own(conn).connection)),
        }
    }

    /// Dials until `n` connections to the host are open, including lent ones. The dials start at
    /// the call, as the limits allow; awaiting the result reports how they ended. The result keeps
    /// the host and the pool alive like a handle.
    ///
    /// # Errors
    ///
    /// [`WarmError`](crate::WarmError): a dial failed, the host backs off from an earlier failure,
    /// or a cap leaves no room. The connections that could be made are kept.
    ///
    /// # Cancel safety
    ///
    /// Dropping the result stops no dial: the new connections become idle.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// // Before the first request comes:
    /// pool.warm("db-1", 3).await?;
    /// assert_eq!(pool.status().idle, 3);
    /// # Ok(()) }
    /// ```
    pub fn warm<Q>(&self, key: &Q, n: usize) -> Warm<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        self.host(key).warm(n)
    }

    /// Closes the idle connections for which `keep` returns false. Each is taken out while it is
    /// inspected, one at a time, and then put back in its place.
    ///
    /// # Panics
    ///
    /// If `keep` panics; the connection that it was inspecting is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// use std::time::Duration;
    ///
    /// pool.warm("db-1", 3).await?;
    /// pool.retain(|host, _connection, info| host != "db-1" || info.age < Duration::from_secs(60));
    /// assert_eq!(pool.status().idle, 3);
    ///
    /// tokio::time::sleep(Duration::from_secs(61)).await;
    /// pool.retain(|host, _connection, info| host != "db-1" || info.age < Duration::from_secs(60));
    /// assert_eq!(pool.status().idle, 0);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn retain<F>(&self, mut keep: F)
    where
        F: FnMut(&C::Key, &mut C::Connection, ConnectionInfo) -> bool,
    {
        let call_site = CallSite::caller();
        for (cell, id) in self.idle() {
            let Some(lent) = cell.any().inspect(id, call_site) else { continue };
            let mut loan = PooledConnection::new(Held::lent(lent), cell.clone());
            let info = PooledConnection::info(&loan);
            let keeps = keep(&cell.key, &mut loan, info);
            PooledConnection::put_back(loan, keeps);
        }
    }

    /// Returns the idle connections of all hosts, by id.
    fn idle(&self) -> Vec<(Arc<HostCell<C>>, u64)> {
        let ids = |cell: Arc<HostCell<C>>| {
            let ids = cell.idle_ids();
            ids.into_iter().map(move |id| (cell.clone(), id))
        };
        self.core().typed_hosts().into_iter().flat_map(ids).collect()
    }

    /// Closes every idle connection: at once, or, if it is being pinged, when it has answered and
    /// no caller waits for it.
    pub fn close_idle(&self) {
        self.core().any().close_idle();
    }

    /// Drains all connections of the host: idle ones are closed at once, those that are lent or
    /// being pinged when they return. Later callers get new connections.
    ///
    /// A dial that has taken longer than the host's dials usually take (1 s if none has succeeded)
    /// is cut off, because its target may be gone. Its place is free as soon as its future is
    /// dropped. A younger dial continues and serves at most one caller that was already waiting,
    /// and its connection is closed after that. Frequent retiring therefore leaves no caller
    /// without a connection.
    ///
    /// A shared connection in use takes no new leases, frees its place under
    /// [`max_per_host`](Builder::max_per_host) for a new connection, and is closed after its last
    /// lease.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// let old = pool.acquire("db-1").await?;
    /// pool.retire("db-1"); // its certificate has changed, say
    ///
    /// let new = pool.acquire("db-1").await?;
    /// drop(old); // is closed
    /// drop(new); // is kept
    /// assert_eq!(pool.status().idle, 1);
    /// # Ok(()) }
    /// ```
    pub fn retire<Q>(&self, key: &Q)
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(cell) = self.core().find(key) {
            cell.any().retire();
        }
    }

    /// Retires every host, as [`retire`](Pool::retire) does for one.
    pub fn retire_all(&self) {
        self.core().any().retire_all();
    }
}

/// # Inspection
impl<C: Connector> Pool<C> {
    /// Returns the figures of all hosts, added up.
    ///
    /// It visits each host in turn: the figures of each host are consistent, but the sum may
    /// combine different moments. With many hosts it is not meant for a hot path; [`Host::status`]
    /// reads a single host.
    pub fn status(&self) -> PoolStatus {
        close::pool_status(&*self.core().any())
    }

    /// Returns the loans of all hosts, the longest held first, each with its call site.
    ///
    /// It visits every host, as [`status`](Pool::status) does.
    pub fn loans(&self) -> Vec<LoanInfo> {
        close::loans(&*self.core().any())
    }

    /// Returns each host that the pool knows.
    ///
    /// It visits every host, as [`status`](Pool::status) does.
    pub fn hosts(&self) -> Vec<(C::Key, HostStatus)> {
        let view = |cell: Arc<HostCell<C>>| (cell.key.clone(), cell.view().into());
        self.core().typed_hosts().into_iter().map(view).collect()
    }
}

/// # Closing
impl<C: Connector> Pool<C> {
    /// Closes the pool. Closing starts at the call: callers that wait or arrive later get
    /// [`Closed`](crate::AcquireError::Closed), idle connections are closed, and dials and pings
    /// are cut off. Awaiting the result waits until all loans have returned and all closes have
    /// ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: the pool stays closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// use wharf::AcquireError;
    ///
    /// drop(pool.acquire("db-1").await?);
    /// pool.close().await;
    /// assert!(matches!(pool.acquire("db-1").await, Err(AcquireError::Closed)));
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> Close {
        Close::begin(self.core().any())
    }

    /// Closes the pool as [`close`](Pool::close) does, waits for up to `limit`, and reports what
    /// has not ended by then.
    ///
    /// The limit is for the whole pool. [`Builder::close_timeout`] limits the close of one
    /// connection.
    ///
    /// # Panics
    ///
    /// If it is awaited outside a tokio runtime with timers.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// use std::time::Duration;
    ///
    /// let kept = pool.acquire("db-1").await?;
    /// let report = pool.close_within(Duration::from_secs(10)).await;
    /// assert!(!report.complete);
    /// println!("not back: acquired at {}", report.loans[0].place);
    /// # drop(kept);
    /// # Ok(()) }
    /// ```
    pub fn close_within(
        &self,
        limit: Duration,
    ) -> impl Future<Output = CloseReport> + Send + 'static + use<C> {
        close::close_within(self.core().any(), self.close(), limit)
    }

    /// Returns whether [`close`](Pool::close) was called.
    pub fn is_closed(&self) -> bool {
        self.core().is_closed()
    }
}

impl<C: Connector> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Pool { handle: self.handle.clone() }
    }
}

impl<C: Connector> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("status", &self.status()).finish_non_exhaustive()
    }
}
