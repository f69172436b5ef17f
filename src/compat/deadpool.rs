//! deadpool's managers.

use std::convert::identity;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use ::deadpool::managed::Manager;
use async_trait::async_trait;

use super::deadpool_error::DeadpoolError;
use super::deadpool_object::DeadpoolObject;
use crate::policy::connector::Connector;
use crate::pool::error::AcquireError;
use crate::pool::pool::Pool;
use crate::pool::pooled_connection::PooledConnection;

/// Makes connections with a [`deadpool::managed::Manager`].
///
/// Dials with `create`, pings with `recycle`, and tells the manager with `detach` when a connection
/// leaves. The pool lends a [`DeadpoolObject`], which derefs to what the manager makes.
///
/// # Recycling
///
/// deadpool recycles each object before it lends it again, and for some managers that is more than a
/// check: it resets what the last borrower left behind (`RecyclingMethod::Clean` of
/// `deadpool-postgres`, `UNWATCH` of `deadpool-redis`). There are two ways to have that here:
///
/// - [`Deadpool::get`] recycles as deadpool does: before each loan, except of a connection that was
///   made for it. Take it where a borrower relies on the reset.
/// - [`HealthCheck::Always`](crate::HealthCheck::Always) recycles before each loan as well, in a task of the pool: the
///   caller waits in the queue, within its time-out, and may be served by a dial first.
///
/// Together they recycle once. With neither, a connection is lent as it came back.
///
/// # Errors
///
/// The manager's own, in a [`DeadpoolError`]. It must be an [`Error`]; what is not one is made into
/// one by [`map_err`](Deadpool::map_err).
///
/// # Examples
///
/// ```
/// use deadpool::managed::{Manager, Metrics, RecycleResult};
/// use wharf::Pool;
/// use wharf::compat::Deadpool;
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
/// **Deadpool::get(&pool).await? = 7;
/// assert_eq!(**Deadpool::get(&pool).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
pub struct Deadpool<M: Manager, E = <M as Manager>::Error> {
    manager: Arc<M>,
    map: fn(M::Error) -> E,
}

impl<M: Manager> Deadpool<M> {
    /// Makes a connector of the manager.
    pub fn new(manager: M) -> Self {
        Deadpool { manager: Arc::new(manager), map: identity }
    }
}

impl<M: Manager, E> Deadpool<M, E> {
    /// Changes the manager's errors into others: for a manager whose own is no [`Error`] that may be
    /// sent to and shared between threads.
    pub fn map_err<F>(self, map: fn(M::Error) -> F) -> Deadpool<M, F> {
        Deadpool { manager: self.manager, map }
    }

    /// The manager.
    pub fn manager(&self) -> &M {
        &self.manager
    }
}

/// # Acquiring
impl<M, E> Deadpool<M, E>
where
    M: Manager<Type: 'static> + 'static,
    E: Error + Send + Sync + 'static,
{
    /// Acquires a connection and recycles it, unless it is new or the pool has just done so. One that
    /// cannot be recycled is discarded, and another is acquired.
    ///
    /// The pool's time-outs hold for each acquire, and none for the recycling: where the manager
    /// may hang, put a time-out around the whole.
    ///
    /// # Errors
    ///
    /// [`AcquireError`], which says why there is no connection.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point it loses nothing. A connection in the middle of being recycled is
    /// closed.
    #[track_caller]
    pub fn get(
        pool: &Pool<Self>,
    ) -> impl Future<Output = Result<PooledConnection<Self>, AcquireError<DeadpoolError<E>>>>
    + Send
    + 'static
    + use<M, E> {
        let (pool, call_site) = (pool.clone(), Location::caller());
        let acquire = move || pool.acquire_from(&(), call_site);
        async move {
            let mut loan = acquire().await?;
            while !loan.is_fresh() {
                if loan.recycle().await.is_ok() {
                    // That was the look before it is lent.
                    loan.pass();
                    break;
                }
                PooledConnection::discard(loan);
                loan = acquire().await?;
            }
            Ok(loan)
        }
    }
}

#[async_trait]
impl<M, E> Connector for Deadpool<M, E>
where
    M: Manager<Type: 'static> + 'static,
    E: Error + Send + Sync + 'static,
{
    type Key = ();
    type Connection = DeadpoolObject<M>;
    type Error = DeadpoolError<E>;

    async fn connect(&self, (): &()) -> Result<DeadpoolObject<M>, DeadpoolError<E>> {
        let created = self.manager.create().await;
        let object = created.map_err(|error| DeadpoolError::Manager((self.map)(error)))?;
        Ok(DeadpoolObject::new(object, self.manager.clone()))
    }

    async fn ping(&self, object: &mut DeadpoolObject<M>) -> Result<(), DeadpoolError<E>> {
        let recycled = object.recycle().await;
        recycled.map_err(|error| DeadpoolError::of_recycle(error, self.map))
    }

    /// Whether it is whole: not left in the middle of being recycled.
    fn is_open(&self, object: &mut DeadpoolObject<M>) -> bool {
        object.pass()
    }
}

impl<M: Manager + fmt::Debug, E> fmt::Debug for Deadpool<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadpool").field(&self.manager).finish()
    }
}
