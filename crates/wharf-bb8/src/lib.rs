//! Managers that were written for bb8, on wharf's connection pool.
//!
//! [`Bb8`] takes a [`bb8::ManageConnection`] and is a [`Connector`]. The existing managers for
//! PostgreSQL, Redis, `SQLite` or SQL Server work without further code. Each stands for one server,
//! so the pool's key is `()`. For the way here, see the [guide].
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

use async_trait::async_trait;
use bb8::ManageConnection;

use wharf::Connector;

/// Makes connections with a [`bb8::ManageConnection`].
///
/// Dials with `connect` and pings with `is_valid`. A connection counts as open unless it
/// `has_broken`; one that has returned broken makes the others answer a ping before they are lent.
/// The pool lends the manager's connections unchanged.
///
/// A pool of it pings each connection before it is lent, like bb8, unless another
/// [`health_check`](wharf::Builder::health_check) is set: a manager may not notice that its server
/// has closed a connection.
///
/// # Errors
///
/// The manager's own, unchanged. It must implement [`Error`]; convert other types with
/// [`map_err`](Bb8::map_err).
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
}

impl<M: ManageConnection> Bb8<M> {
    /// Makes a connector from the manager.
    pub fn new(manager: M) -> Self {
        Bb8 { manager, map: identity }
    }
}

impl<M: ManageConnection, E> Bb8<M, E> {
    /// Converts the errors, for a manager whose own error type is not an [`Error`] that is `Send`
    /// and `Sync`.
    pub fn map_err<F>(self, map: fn(M::Error) -> F) -> Bb8<M, F> {
        Bb8 { manager: self.manager, map }
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
        self.manager.connect().await.map_err(self.map)
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
