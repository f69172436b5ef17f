//! The pool.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::acquire::{Acquire, Patience};
use crate::builder::{Builder, Settings};
use crate::close::{self, Close, CloseReport};
use crate::connector::Connector;
use crate::core::{Core, Handle};
use crate::engine::{Engine, Room};
use crate::error::AddError;
use crate::host::Host;
use crate::pooled_connection::{ConnectionInfo, Lendable, PooledConnection};
use crate::status::{HostStatus, LoanInfo, PoolStatus};
use crate::target::{Aim, Target};
use crate::warm::Warm;

/// A pool of connections to many hosts.
///
/// Cloning is cheap, and all clones are one pool. When the last `Pool` and [`Host`] is dropped, idle
/// connections are closed; what is lent is closed when it returns, and whoever waits is served.
///
/// A pool may be used from several runtimes, one after the other or at once. Its upkeep and a dial
/// under way run in the one that began them: where that is alive but is not driven (a
/// current-thread runtime between two `block_on`s), they stand still for everybody.
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
    handle: Handle<C>,
}

/// Stands where `Pool::builder()` does not know the connector yet. There is no value of it.
#[derive(Debug)]
pub enum NoConnector {}

#[async_trait]
impl Connector for NoConnector {
    type Key = ();
    type Connection = Infallible;
    type Error = Infallible;

    async fn connect(&self, (): &()) -> Result<Infallible, Infallible> {
        match *self {}
    }
}

impl Pool<NoConnector> {
    /// Sets up a pool: `Pool::builder().max_per_host(30).build(connector)?`.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

/// # Making one
impl<C: Connector> Pool<C> {
    /// Makes a pool with every setting at its default. Does no I/O, and needs no runtime.
    pub fn new(connector: C) -> Self {
        Pool::with_settings(connector, Settings::default())
    }

    pub(crate) fn with_settings(connector: C, settings: Settings) -> Self {
        Pool::of(Core::new(connector, settings, None))
    }

    pub(crate) fn of(core: Arc<Core<C>>) -> Self {
        Pool { handle: Handle::new(core) }
    }

    pub(crate) fn core(&self) -> &Arc<Core<C>> {
        self.handle.core()
    }
}

/// # Borrowing
impl<C: Connector> Pool<C> {
    /// Asks for a connection to the host with this key, and waits for up to
    /// [`acquire_timeout`](Builder::acquire_timeout).
    ///
    /// Nothing is taken before the first poll. The idle connection used last is lent first. Without
    /// one the caller joins the host's queue, and a dial begins if waiters outnumber the dials under
    /// way and every cap leaves room; whatever comes first serves it.
    ///
    /// # Fairness
    ///
    /// First come, first served: a newcomer never overtakes who waits.
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
    /// The future panics when it has to wait, with a time limit, in a tokio runtime whose timers are
    /// not enabled, and when the key's or the error's `Debug` or `Display` panics while a time-out is
    /// reported; neither loses anything.
    #[track_caller]
    pub fn acquire<Q>(&self, key: &Q) -> Acquire<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        self.acquire_from(key, Location::caller())
    }

    /// Asks for a connection in the name of another place in the code.
    pub(crate) fn acquire_from<Q>(&self, key: &Q, place: &'static Location<'static>) -> Acquire<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        Acquire::new(Aim::at(self.core(), key), Patience::AsSet, place)
    }

    /// Asks for a connection within its own time instead of
    /// [`acquire_timeout`](Builder::acquire_timeout). Zero means: an idle connection, or
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
    pub fn acquire_timeout<Q>(&self, key: &Q, timeout: Duration) -> Acquire<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        Acquire::new(Aim::at(self.core(), key), Patience::Own(timeout), Location::caller())
    }

    /// Takes an idle connection, if there is one: never waits, never dials.
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
        let target = Target::find(self.core(), self.core().hash(key), key)?;
        target.try_lend(Location::caller())
    }

    /// A handle on one host, which skips the look-up of the key.
    pub fn host<Q>(&self, key: &Q) -> Host<C>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        Host::new(Aim::at(self.core(), key))
    }
}

/// # Filling and thinning out
impl<C: Connector> Pool<C> {
    /// Hands the pool a connection that was made elsewhere.
    ///
    /// # Errors
    ///
    /// The connection comes back inside the error when a cap leaves no room for it, or when the pool
    /// is closed.
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
    pub fn add<Q>(&self, key: &Q, conn: C::Connection) -> Result<(), AddError<C::Connection>>
    where
        C::Key: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = C::Key> + ?Sized,
    {
        let host = self.host(key);
        let target = host.target();
        self.core().see_runtime();
        let max_leases = self.core().max_leases(&conn).max(1);
        let (at, conn) = (target.id.index, Lendable::new(conn));
        let room = target.change(|engine, now, fx| engine.add(at, conn, max_leases, now, fx));
        self.core().ensure_upkeep();
        match room {
            Room::Taken => Ok(()),
            Room::Full(conn) => Err(AddError::Full(conn.connection)),
            Room::Closed(conn) => Err(AddError::Closed(conn.connection)),
        }
    }

    /// Dials until `n` connections to the host are open, lent ones included. The dials begin at the
    /// call, as the limits allow; awaiting the result tells how they went. Until then the result is a
    /// handle on the host, and so on the pool.
    ///
    /// # Errors
    ///
    /// [`WarmError`](crate::WarmError): a dial that failed, or the one before that the host backs off
    /// from, or what leaves no room. What could be made is there all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the result stops no dial: what they make goes idle.
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

    /// Keeps the idle connections for which `keep` says yes and closes the others. Each is taken out
    /// while it is looked at, one at a time, and put back where it was.
    ///
    /// # Panics
    ///
    /// When `keep` panics; the connection that it was looking at is closed.
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
        let place = Location::caller();
        for (target, turn) in self.idle() {
            let at = target.id.index;
            let taken = target.change(|engine, now, fx| {
                let known = engine.knows(target.id);
                if known { engine.inspect(at, turn, now, place, fx) } else { None }
            });
            let Some(tracked) = taken else { continue };
            let mut loan = PooledConnection::new(tracked, target.clone());
            let info = PooledConnection::info(&loan);
            if keep(&target.key, &mut loan, info) {
                PooledConnection::put_back(loan);
            } else {
                PooledConnection::reject(loan);
            }
        }
    }

    fn idle(&self) -> Vec<(Arc<Target<C>>, u64)> {
        let engines = self.core().all_engines();
        let hosts =
            engines.iter().flat_map(|engine| engine.hosts().map(move |host| (engine, host)));
        hosts
            .flat_map(|(engine, host)| {
                let turns = engine.idle_turns(host.id.index);
                turns.into_iter().map(|turn| (host.clone(), turn))
            })
            .collect()
    }

    /// Closes every idle connection: at once, and one that is being pinged when it has answered and
    /// nobody waits for it.
    pub fn close_idle(&self) {
        self.core().change_all(Engine::close_idle);
    }

    /// Closes what is idle of the host and, as it comes back, what is lent or being dialed now;
    /// whoever asks later gets a new connection.
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
        if let Some(target) = Target::find(self.core(), self.core().hash(key), key) {
            target.change(|engine, now, fx| {
                if engine.knows(target.id) {
                    engine.retire(target.id.index, now, fx);
                }
            });
        }
    }

    /// Does for every host what [`retire`](Pool::retire) does for one.
    pub fn retire_all(&self) {
        self.core().change_all(Engine::retire_all);
    }
}

/// # Looking
impl<C: Connector> Pool<C> {
    /// All hosts together, at one moment.
    ///
    /// It visits every host under its lock, so with many of them it is not for a hot path.
    /// [`Host::status`] looks at one.
    pub fn status(&self) -> PoolStatus {
        close::pool_status(self.core())
    }

    /// What is lent of all hosts, the longest held first: to whom, by the place in the code that asked.
    ///
    /// It visits every host, as [`status`](Pool::status) does.
    pub fn loans(&self) -> Vec<LoanInfo> {
        close::loans(self.core())
    }

    /// Each host that the pool knows.
    ///
    /// It visits every host, as [`status`](Pool::status) does.
    pub fn hosts(&self) -> Vec<(C::Key, HostStatus)> {
        let views: Vec<_> = self
            .core()
            .all_engines()
            .iter()
            .flat_map(|engine| {
                let views = engine.views().map(|(host, view)| (host.clone(), view));
                views.collect::<Vec<_>>()
            })
            .collect();
        views.into_iter().map(|(host, view)| (host.key.clone(), view.into())).collect()
    }
}

/// # Closing
impl<C: Connector> Pool<C> {
    /// Closes the pool. Closing begins at the call: whoever waits, or asks from now on, gets
    /// [`Closed`](crate::AcquireError::Closed), and idle connections are closed. Awaiting the result
    /// waits for the loans, dials and closes that are under way.
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
        Close::begin(self.core().clone())
    }

    /// Closes the pool, waits for up to `limit`, and says what is still out then.
    ///
    /// # Panics
    ///
    /// When it is awaited outside a tokio runtime with timers.
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
    /// let report = pool.close_timeout(Duration::from_secs(10)).await;
    /// assert!(!report.complete);
    /// println!("not back: acquired at {}", report.loans[0].place);
    /// # drop(kept);
    /// # Ok(()) }
    /// ```
    pub fn close_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = CloseReport> + Send + 'static + use<C> {
        close::close_within(self.core().clone(), self.close(), limit)
    }

    /// Whether [`close`](Pool::close) was called.
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
