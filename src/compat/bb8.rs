//! Managers of bb8.

use std::any::type_name;
use std::convert::identity;
use std::error::Error;
use std::fmt;

use ::bb8::ManageConnection;
use async_trait::async_trait;

use crate::policy::connector::Connector;

/// Makes connections with a [`bb8::ManageConnection`].
///
/// Dials with `connect` and pings with `is_valid`. A connection counts as open unless it
/// `has_broken`. The pool lends the manager's connections unchanged.
///
/// # Errors
///
/// The manager's own, unchanged. It must implement [`Error`]; convert other types with
/// [`map_err`](Bb8::map_err).
///
/// # Examples
///
/// ```
/// use wharf::compat::Bb8;
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
    E: Error + Send + Sync + 'static,
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
}

/// Shows the manager's type only, because its own `Debug` may contain a password.
impl<M: ManageConnection, E> fmt::Debug for Bb8<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bb8").field(&format_args!("{}", type_name::<M>())).finish()
    }
}
