//! Makes connections with managers of deadpool.

use std::any::type_name;
use std::convert::identity;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool::managed::Manager;

use crate::error::Error;
use crate::object::DeadpoolObject;
use wharf::Connector;

/// Makes connections with a [`deadpool::managed::Manager`].
///
/// Dials with `create`, pings with `recycle`, and calls `detach` when a connection leaves the pool.
/// The pool lends a [`DeadpoolObject`], which derefs to the manager's type.
///
/// # Recycling
///
/// deadpool recycles each object before it lends it again, and for some managers that is more than
/// a check: it resets what the last borrower left behind (`RecyclingMethod::Clean` of
/// `deadpool-postgres`, `UNWATCH` of `deadpool-redis`). This pool therefore recycles before each
/// loan as well, with any [`health_check`](wharf::Builder::health_check), even when a connection
/// passes directly from one borrower to a waiter. A new connection is not recycled.
///
/// Recycling is the pool's [ping](wharf::Connector::ping). It runs in a task of the pool, for at
/// most [`ping_timeout`](wharf::Builder::ping_timeout). The caller waits in the queue, within its
/// own time-out, and takes the first connection that becomes available; giving up does not end the
/// recycling. `try_acquire` and a time-out of zero do not wait, and therefore lend nothing that has
/// to be recycled.
///
/// For a manager whose recycling is only a check,
/// [`recycle_by_health_check`](Deadpool::recycle_by_health_check) skips it where the pool does not
/// need a check.
///
/// # Errors
///
/// The manager's own, in an [`Error`]. It must implement [`std::error::Error`]; convert other types with
/// [`map_err`](Deadpool::map_err).
///
/// # Examples
///
/// ```
/// use deadpool::managed::{Manager, Metrics, RecycleResult};
/// use wharf::Pool;
/// use wharf_deadpool::Deadpool;
///
/// struct Numbers;
///
/// impl Manager for Numbers {
///     type Type = u32;
///     type Error = std::io::Error;
///
///     async fn create(&self) -> Result<u32, std::io::Error> {
///         Ok(42)
///     }
///
///     async fn recycle(&self, number: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> {
///         *number = 42;
///         Ok(())
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().max_per_host(1).build(Deadpool::new(Numbers))?;
/// **pool.acquire(&()).await? = 7;
/// assert_eq!(**pool.acquire(&()).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
pub struct Deadpool<M: Manager, E = <M as Manager>::Error> {
    manager: Arc<M>,
    map: fn(M::Error) -> E,
    each_loan: bool,
}

impl<M: Manager> Deadpool<M> {
    /// Makes a connector from the manager.
    pub fn new(manager: M) -> Self {
        Deadpool { manager: Arc::new(manager), map: identity, each_loan: true }
    }
}

impl<M: Manager, E> Deadpool<M, E> {
    /// Converts the manager's errors, for a manager whose own error type is not a [`std::error::Error`] that
    /// is `Send` and `Sync`.
    pub fn map_err<F>(self, map: fn(M::Error) -> F) -> Deadpool<M, F> {
        Deadpool { manager: self.manager, map, each_loan: self.each_loan }
    }

    /// Recycles only when the pool's [`health_check`](wharf::Builder::health_check) requires a
    /// ping, after another connection has died, and for heartbeats.
    ///
    /// Use it only for a manager whose recycling resets nothing: otherwise a borrower finds what
    /// the last one left. By default each loan is preceded by recycling, as in deadpool.
    ///
    /// Set a [`health_check`](wharf::Builder::health_check) as well, such as
    /// [`IdleFor`](wharf::HealthCheck::IdleFor): the default one pings each connection before it is
    /// lent, because a manager may not notice that its server has closed a connection.
    pub fn recycle_by_health_check(mut self) -> Self {
        self.each_loan = false;
        self
    }

    /// Returns the manager.
    pub fn manager(&self) -> &M {
        &self.manager
    }
}

#[async_trait]
impl<M, E> Connector for Deadpool<M, E>
where
    M: Manager<Type: 'static> + 'static,
    E: StdError + Send + Sync + 'static,
{
    type Key = ();
    type Connection = DeadpoolObject<M>;
    type Error = Error<E>;

    async fn connect(&self, (): &()) -> Result<DeadpoolObject<M>, Error<E>> {
        let created = self.manager.create().await;
        let object = created.map_err(|error| Error::Manager((self.map)(error)))?;
        Ok(DeadpoolObject::new(object, self.manager.clone()))
    }

    async fn ping(&self, object: &mut DeadpoolObject<M>) -> Result<(), Error<E>> {
        let recycled = object.recycle().await;
        recycled.map_err(|error| Error::of_recycle(error, self.map))
    }

    /// Returns whether the object is intact: not left in the middle of recycling.
    fn is_open(&self, object: &mut DeadpoolObject<M>) -> bool {
        object.is_whole()
    }

    fn pings_each_loan(&self) -> bool {
        self.each_loan
    }
}

/// Shows the manager's type only, because its own `Debug` may contain a password.
impl<M: Manager, E> fmt::Debug for Deadpool<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadpool").field(&format_args!("{}", type_name::<M>())).finish()
    }
}
