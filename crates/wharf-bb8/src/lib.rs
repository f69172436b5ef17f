//! Managers that were written for bb8, on wharf's connection pool.
//!
//! [`Bb8`] takes a [`bb8::ManageConnection`] and is a [`Connector`]. The existing managers for
//! PostgreSQL, Redis, `SQLite` or SQL Server work without further code. Each stands for one server,
//! so the pool's key is `()`; [`name`](Bb8::name) says how errors and logs call it. For the way here, see
//! the [guide].
//!
//! # The settings and their counterparts
//!
//! | bb8 | here |
//! | --- | --- |
//! | `max_size` | [`max_per_host`](wharf::Builder::max_per_host) |
//! | `min_idle` | [`min_idle_per_host`](wharf::Builder::min_idle_per_host) |
//! | `connection_timeout` | [`acquire_timeout`](wharf::Builder::acquire_timeout) |
//! | `test_on_check_out` | [`health_check`](wharf::Builder::health_check) |
//! | `idle_timeout` | [`idle_timeout`](wharf::Builder::idle_timeout) |
//! | `max_lifetime` | [`max_lifetime`](wharf::Builder::max_lifetime) |
//! | `queue_strategy` | [`reuse`](wharf::Builder::reuse) |
//! | `connection_customizer` | [`Bb8::on_connect`] |
//!
//! bb8 checks each connection before it lends it, unless this is turned off. Here that is the
//! default for a manager: set another [`HealthCheck`](wharf::HealthCheck) where the manager notices
//! by itself that a connection has died, or where one loan may fail for each death.
//!
//! # Versions
//!
//! It is made with bb8 0.9, whose traits are public here: managers for another version implement
//! another trait, and do not compile. A new version of bb8 that breaks them is a breaking version of
//! this crate. The guide lists the [managers that were tested](crate::guide#managers).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

use std::any::type_name;
use std::convert::identity;
use std::error::Error;
use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bb8::ManageConnection;

use wharf::Connector;

/// Makes connections with a [`bb8::ManageConnection`].
///
/// Dials with `connect`, followed by [`on_connect`](Bb8::on_connect), and pings with `is_valid`. A
/// connection counts as open unless it `has_broken`; one that has returned broken makes the others
/// answer a ping before they are lent.
/// The pool lends the manager's connections unchanged.
///
/// A pool of it pings each connection before it is lent, like bb8, unless another
/// [`health_check`](wharf::Builder::health_check) is set: a manager may not notice that its server
/// has closed a connection.
///
/// # Errors
///
/// The manager's own, unchanged: an [`Error`], `anyhow`'s, a box, or any other type that becomes a boxed error. Convert
/// the rest with [`map_err`](Bb8::map_err).
///
/// # Examples
///
/// ```
/// use wharf_bb8::Bb8;
/// use wharf::{HealthCheck, Pool};
///
/// struct Manager;
///
/// impl bb8::ManageConnection for Manager {
///     type Connection = u32;
///     type Error = std::io::Error;
///
///     async fn connect(&self) -> Result<u32, std::io::Error> {
///         Ok(42)
///     }
///
///     async fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> {
///         Ok(())
///     }
///
///     fn has_broken(&self, _: &mut u32) -> bool {
///         false
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().health_check(HealthCheck::Always).build(Bb8::new(Manager))?;
/// let connection = pool.acquire(&()).await?;
/// assert_eq!(*connection, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
pub struct Bb8<M: ManageConnection, E = <M as ManageConnection>::Error> {
    manager: M,
    map: fn(M::Error) -> E,
    on_connect: Option<OnConnect<M>>,
    name: Option<String>,
}

type SetUp<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;
type OnConnect<M> = Box<
    dyn for<'a> Fn(
            &'a mut <M as ManageConnection>::Connection,
        ) -> SetUp<'a, <M as ManageConnection>::Error>
        + Send
        + Sync,
>;

impl<M: ManageConnection> Bb8<M> {
    /// Makes a connector from the manager.
    pub fn new(manager: M) -> Self {
        Bb8 { manager, map: identity, on_connect: None, name: None }
    }
}

impl<M: ManageConnection, E> Bb8<M, E> {
    /// Converts the errors, for a manager whose own error type does not become a boxed [`Error`] that is `Send`
    /// and `Sync`.
    pub fn map_err<F>(self, map: fn(M::Error) -> F) -> Bb8<M, F> {
        Bb8 { manager: self.manager, map, on_connect: self.on_connect, name: self.name }
    }

    /// Sets a closure that prepares each new connection before it is lent: settings, roles, a greeting. It replaces
    /// bb8's `CustomizeConnection`, for a manager that is not yours to change.
    ///
    /// It runs once for each connection, after the manager has connected. It is part of the dial: it runs in the
    /// dial's task, within [`connect_timeout`](wharf::Builder::connect_timeout), and its error fails the dial like one
    /// of the manager. If it fails, panics or takes too long, the connection is dropped.
    ///
    /// Defaults to none. Another call replaces the closure.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use bb8_postgres::PostgresConnectionManager;
    /// use bb8_postgres::tokio_postgres::NoTls;
    /// use wharf::Pool;
    /// use wharf_bb8::Bb8;
    ///
    /// let config = "host=db.example user=app".parse()?;
    /// let connector = Bb8::new(PostgresConnectionManager::new(config, NoTls))
    ///     .on_connect(|client| Box::pin(client.batch_execute("SET statement_timeout = '30s'")));
    /// let pool = Pool::builder().build(connector)?;
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn on_connect<F>(mut self, set_up: F) -> Self
    where
        F: for<'a> Fn(
                &'a mut M::Connection,
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
    /// bb8_postgres::client::PostgresConnectionManager: …`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(manager: bb8_postgres::PostgresConnectionManager<bb8_postgres::tokio_postgres::NoTls>) -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::Pool;
    /// use wharf_bb8::Bb8;
    ///
    /// // An error begins with `no connection to "orders-db": `.
    /// let pool = Pool::builder().build(Bb8::new(manager).name("orders-db"))?;
    /// # Ok(()) }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Returns the manager.
    pub fn manager(&self) -> &M {
        &self.manager
    }
}

#[async_trait]
impl<M, E> Connector for Bb8<M, E>
where
    M: ManageConnection,
    E: Into<Box<dyn Error + Send + Sync>> + fmt::Debug + Send + 'static,
{
    type Key = ();
    type Connection = M::Connection;
    type Error = E;

    async fn connect(&self, (): &()) -> Result<M::Connection, E> {
        let mut connection = self.manager.connect().await.map_err(self.map)?;
        if let Some(set_up) = &self.on_connect {
            set_up(&mut connection).await.map_err(self.map)?;
        }
        Ok(connection)
    }

    async fn ping(&self, connection: &mut M::Connection) -> Result<(), E> {
        self.manager.is_valid(connection).await.map_err(self.map)
    }

    fn is_open(&self, connection: &mut M::Connection) -> bool {
        !self.manager.has_broken(connection)
    }

    /// False: what `has_broken` notices is the manager's own affair. By default the pool therefore
    /// pings each connection before it is lent, as bb8 does.
    fn notices_close(&self) -> bool {
        false
    }

    /// Same as the manager's `has_broken`, which does not say why.
    fn has_failed(&self, connection: &mut M::Connection) -> bool {
        self.manager.has_broken(connection)
    }

    /// Shows the [`name`](Bb8::name) in quotes, or else the manager's type without its parameters.
    fn fmt_key(&self, (): &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => fmt::Debug::fmt(name, f),
            None => f.write_str(type_name::<M>().split('<').next().unwrap_or_default()),
        }
    }
}

/// Shows the manager's type only, because its own `Debug` may contain a password.
impl<M: ManageConnection, E> fmt::Debug for Bb8<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bb8").field(&format_args!("{}", type_name::<M>())).finish()
    }
}

#[doc = include_str!("guide.md")]
pub mod guide {}

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Its connections tell whether they are broken.
    struct Manager;

    impl ManageConnection for Manager {
        type Connection = bool;
        type Error = io::Error;

        async fn connect(&self) -> io::Result<bool> {
            Ok(false)
        }

        async fn is_valid(&self, _: &mut bool) -> io::Result<()> {
            Ok(())
        }

        fn has_broken(&self, is_broken: &mut bool) -> bool {
            *is_broken
        }
    }

    #[tokio::test]
    async fn a_connection_that_its_manager_calls_broken_is_not_open_and_has_failed() {
        let connector = Bb8::new(Manager);
        let mut connection = connector.connect(&()).await.unwrap();
        assert!(connector.is_open(&mut connection) && !connector.has_failed(&mut connection));
        connection = true;
        assert!(!connector.is_open(&mut connection) && connector.has_failed(&mut connection));
    }

    #[tokio::test]
    async fn a_manager_is_not_trusted_to_notice_a_close_nor_to_know_when_the_peer_was_heard() {
        let connector = Bb8::new(Manager);
        let connection = connector.connect(&()).await.unwrap();
        assert!(!connector.notices_close());
        assert_eq!(connector.last_heard(&connection), None);
    }
}
