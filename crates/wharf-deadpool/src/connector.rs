//! Makes connections with managers of deadpool.

use std::any::type_name;
use std::convert::identity;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool::managed::Manager;

use crate::error::Error;
use crate::object::DeadpoolObject;
use wharf::Connector;

/// Makes connections with a [`deadpool::managed::Manager`].
///
/// Dials with `create`, followed by [`on_connect`](Deadpool::on_connect), pings with `recycle`, and
/// calls `detach` when a connection leaves the pool. The pool lends a [`DeadpoolObject`], which derefs to the manager's type.
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
    on_connect: Option<OnConnect<M>>,
    name: Option<String>,
}

type SetUp<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;
type OnConnect<M> = Box<
    dyn for<'a> Fn(&'a mut <M as Manager>::Type) -> SetUp<'a, <M as Manager>::Error> + Send + Sync,
>;

impl<M: Manager> Deadpool<M> {
    /// Makes a connector from the manager.
    pub fn new(manager: M) -> Self {
        let manager = Arc::new(manager);
        Deadpool { manager, map: identity, each_loan: true, on_connect: None, name: None }
    }
}

impl<M: Manager, E> Deadpool<M, E> {
    /// Converts the manager's errors, for a manager whose own error type is not a [`std::error::Error`] that
    /// is `Send` and `Sync`.
    pub fn map_err<F>(self, map: fn(M::Error) -> F) -> Deadpool<M, F> {
        Deadpool {
            manager: self.manager,
            map,
            each_loan: self.each_loan,
            on_connect: self.on_connect,
            name: self.name,
        }
    }

    /// Sets a closure that prepares each new connection before it is lent: settings, roles, a greeting. It replaces
    /// deadpool's `post_create` hook, for a manager that is not yours to change.
    ///
    /// It runs once for each connection, after the manager's `create`. It is part of the dial: it runs in the
    /// dial's task, within [`connect_timeout`](wharf::Builder::connect_timeout), and its error fails the dial like one
    /// of the manager. If it fails, panics or takes too long, the manager's `detach` is called and the connection is
    /// dropped. Recycling does not run it again: a setting that `recycle` undoes is gone from the second loan on.
    ///
    /// Defaults to none. Another call replaces the closure.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use deadpool_postgres::Manager;
    /// use deadpool_postgres::tokio_postgres::NoTls;
    /// use wharf::Pool;
    /// use wharf_deadpool::Deadpool;
    ///
    /// let config = "host=db.example user=app".parse()?;
    /// let connector = Deadpool::new(Manager::new(config, NoTls))
    ///     .on_connect(|client| Box::pin(client.batch_execute("SET statement_timeout = '30s'")));
    /// let pool = Pool::builder().build(connector)?;
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn on_connect<F>(mut self, set_up: F) -> Self
    where
        F: for<'a> Fn(
                &'a mut M::Type,
            )
                -> Pin<Box<dyn Future<Output = Result<(), M::Error>> + Send + 'a>>
            + Send
            + Sync
            + 'static,
    {
        self.on_connect = Some(Box::new(set_up));
        self
    }

    /// Sets the name of the manager's server, as errors, logs, metrics and observers show it.
    ///
    /// Defaults to the manager's type, because the manager does not say where it connects to: `no connection to
    /// deadpool_postgres::Manager: …`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(manager: deadpool_postgres::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::Pool;
    /// use wharf_deadpool::Deadpool;
    ///
    /// // An error begins with `no connection to "orders-db": `.
    /// let pool = Pool::builder().build(Deadpool::new(manager).name("orders-db"))?;
    /// # Ok(()) }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
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

    fn error(&self, error: M::Error) -> Error<E> {
        Error::Manager((self.map)(error))
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
        let object = created.map_err(|error| self.error(error))?;
        // A set-up that fails or is given up drops it, which has the manager detach it.
        let mut object = DeadpoolObject::new(object, self.manager.clone());
        if let Some(set_up) = &self.on_connect {
            set_up(&mut object).await.map_err(|error| self.error(error))?;
        }
        Ok(object)
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

    /// Shows the [`name`](Deadpool::name) in quotes, or else the manager's type without its parameters.
    fn fmt_key(&self, (): &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => fmt::Debug::fmt(name, f),
            None => f.write_str(type_name::<M>().split('<').next().unwrap_or_default()),
        }
    }
}

/// Shows the manager's type only, because its own `Debug` may contain a password.
impl<M: Manager, E> fmt::Debug for Deadpool<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadpool").field(&format_args!("{}", type_name::<M>())).finish()
    }
}
