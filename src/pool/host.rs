//! A handle on one host.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::acquire::Acquire;
use super::add_error::AddError;
use super::out_of_time;
use super::pool::Pool;
use super::pooled_connection::PooledConnection;
use super::status::{self, HostStatus, LoanInfo};
use super::timeout_report::LastDialError;
use super::waiting::TimeLimit;
use super::warm::Warm;
use crate::policy::build_error::BuildError;
use crate::policy::call_site::CallSite;
use crate::policy::connector::Connector;
use crate::runtime::cell::HostCell;
use crate::runtime::pool_handle::PoolHandle;

/// One host of a pool: saves the look-up of the key. Made by [`Pool::host`](crate::Pool::host).
///
/// Clones are cheap. A host with a handle is not forgotten until the pool is closed, even when it is
/// empty, and keeps its counters. Like a [`Pool`], a `Host` keeps the pool alive; [`pool`](Host::pool) returns that
/// pool.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use wharf::{Pool, connector_fn};
/// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
/// let db = Pool::new(connector).host("db-1");
///
/// let task = tokio::spawn({
///     let db = db.clone();
///     async move { db.acquire().await.map(|connection| connection.len()) }
/// });
/// assert_eq!(task.await??, 4);
/// assert_eq!(db.status().idle, 1);
/// # Ok(()) }
/// ```
pub struct Host<C: Connector>(Arc<Kept<C>>);

/// Keeps the host in the directory, and the pool open.
struct Kept<C: Connector> {
    cell: Arc<HostCell<C>>,
    handle: PoolHandle<C>,
}

impl<C: Connector> Drop for Kept<C> {
    fn drop(&mut self) {
        self.cell.any().let_go();
    }
}

impl<C: Connector> Host<C> {
    pub(super) fn new(cell: Arc<HostCell<C>>) -> Self {
        let handle = PoolHandle::new(cell.pool.clone());
        let cell = HostCell::typed(cell.into_any().hold());
        Host(Arc::new(Kept { cell, handle }))
    }

    pub(super) fn has_no_room(&self, connection: C::Connection) -> AddError<C::Connection> {
        AddError::Full { connection, key: self.cell().as_any().name(), max: self.status().max }
    }

    pub(super) fn cell(&self) -> &Arc<HostCell<C>> {
        &self.0.cell
    }

    /// Returns the pool that the host belongs to.
    pub fn pool(&self) -> Pool<C> {
        Pool::with_handle(self.0.handle.clone())
    }

    /// Returns the host's key.
    pub fn key(&self) -> &C::Key {
        &self.0.cell.key
    }

    /// Waits for a connection, as [`Pool::acquire`](crate::Pool::acquire) does, with the same
    /// panics.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is lost.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    #[inline]
    pub fn acquire(&self) -> Acquire<C> {
        Acquire::new(self.0.cell.clone(), TimeLimit::AsSet, CallSite::caller())
    }

    /// Waits for a connection with this time limit instead of
    /// [`acquire_timeout`](crate::Builder::acquire_timeout). With zero it does not wait.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is lost.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    pub fn acquire_within(&self, timeout: Duration) -> Acquire<C> {
        Acquire::new(self.0.cell.clone(), TimeLimit::Own(timeout), CallSite::caller())
    }

    /// Takes an idle connection that needs no ping, if there is one. It never waits or dials.
    #[track_caller]
    pub fn try_acquire(&self) -> Option<PooledConnection<C>> {
        PooledConnection::lent_at_once(&self.0.cell, CallSite::caller())
    }

    /// Dials until `n` connections are open, as [`Pool::warm`](crate::Pool::warm) does, which
    /// describes the errors.
    pub fn warm(&self, n: usize) -> Warm<C> {
        Warm::begin(self.clone(), n)
    }

    /// Changes the host's cap for the lifetime of the pool, even if the host has no connection and
    /// no handle for a while. It takes precedence over
    /// [`max_per_host`](crate::Builder::max_per_host) and
    /// [`settings_for`](crate::Builder::settings_for).
    ///
    /// Lowering the cap cuts off dials and closes idle connections at once, and closes the rest as
    /// they return. Raising it starts the dials that waiters need.
    ///
    /// # Errors
    ///
    /// Rejects zero, as the builder does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// let db = pool.host("db-1");
    /// db.set_max(2)?;
    /// assert_eq!(db.status().max, 2);
    /// assert_eq!(db.set_max(0).unwrap_err().to_string(), "max_per_host is 0: it must be at least 1");
    /// # Ok(()) }
    /// ```
    pub fn set_max(&self, n: usize) -> Result<(), BuildError> {
        if n == 0 {
            return Err(BuildError::new("max_per_host", n, "must be at least 1"));
        }
        self.0.cell.any().set_max(n);
        Ok(())
    }

    /// Drains all connections of the host, as [`Pool::retire`](crate::Pool::retire) does.
    pub fn retire(&self) {
        self.0.cell.any().retire();
    }

    /// Returns the loans of this host, the longest held first, each with its call site.
    pub fn loans(&self) -> Vec<LoanInfo> {
        status::loans(self.cell().as_any())
    }

    /// Returns how the last dial failed, if none has succeeded since. A host that nobody uses is
    /// forgotten, and its error with it, but not while it has a handle such as this one.
    ///
    /// # Panics
    ///
    /// If the `Display` of the connector's error panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::io;
    /// use wharf::{Pool, connector_fn};
    ///
    /// let connector = connector_fn(|_: String| async {
    ///     Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    /// });
    /// let db = Pool::new(connector).host("db-1");
    /// assert!(db.last_dial_error().is_none());
    ///
    /// db.acquire().await.unwrap_err();
    /// assert_eq!(db.last_dial_error().unwrap().message, "connection refused");
    /// # }
    /// ```
    pub fn last_dial_error(&self) -> Option<LastDialError> {
        let (failure, at) = self.cell().failure()?;
        let now = self.cell().pool.clock.precise();
        Some(out_of_time::last_dial_error(failure, now.since(at)))
    }

    /// Returns the current state of the host.
    pub fn status(&self) -> HostStatus {
        self.cell().view().into()
    }
}

impl<C: Connector> Clone for Host<C> {
    fn clone(&self) -> Self {
        Host(self.0.clone())
    }
}

impl<C: Connector> fmt::Debug for Host<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("key", &self.0.cell).field("status", &self.status()).finish()
    }
}
