//! A handle on one host.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::acquire::{Acquire, Patience};
use crate::connector::Connector;
use crate::core::Handle;
use crate::error::BuildError;
use crate::pooled_connection::PooledConnection;
use crate::status::{HostStatus, LoanInfo};
use crate::target::{Aim, Target};
use crate::warm::Warm;

/// One host of a pool: skips the look-up of the key. Made by [`Pool::host`](crate::Pool::host).
///
/// Cloning is cheap. A host with a handle is remembered even when it is empty, with its cap and its
/// counters; and like a [`Pool`](crate::Pool), a `Host` keeps the pool going.
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
pub struct Host<C: Connector>(Arc<Held<C>>);

struct Held<C: Connector> {
    target: Arc<Target<C>>,
    /// Keeps the pool going.
    _handle: Handle<C>,
}

impl<C: Connector> Drop for Held<C> {
    fn drop(&mut self) {
        let at = self.target.id.index;
        self.target.change(|engine, now, fx| engine.let_go(at, now, fx));
    }
}

impl<C: Connector> Host<C> {
    pub(crate) fn new(mut aim: Aim<C>) -> Self {
        let core = aim.core().clone();
        let handle = Handle::new(core.clone());
        loop {
            match aim.enter(core.clock.precise(), |host, engine, _| engine.hold(host.index)) {
                Ok((target, ())) => return Host(Arc::new(Held { target, _handle: handle })),
                Err(forgotten) => aim = forgotten.again(),
            }
        }
    }

    pub(crate) fn target(&self) -> &Arc<Target<C>> {
        &self.0.target
    }

    /// The host's key.
    pub fn key(&self) -> &C::Key {
        &self.0.target.key
    }

    /// Asks for a connection, as [`Pool::acquire`](crate::Pool::acquire) does, and panics where that does.
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
        Acquire::new(Aim::Known(self.0.target.clone()), Patience::AsSet, Location::caller())
    }

    /// Asks for a connection within its own time instead of
    /// [`acquire_timeout`](crate::Builder::acquire_timeout). Zero means: do not wait.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; nothing is lost.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> Acquire<C> {
        Acquire::new(Aim::Known(self.0.target.clone()), Patience::Own(timeout), Location::caller())
    }

    /// Takes an idle connection, if there is one: never waits, never dials.
    #[track_caller]
    pub fn try_acquire(&self) -> Option<PooledConnection<C>> {
        self.0.target.clone().try_lend(Location::caller())
    }

    /// Dials until `n` connections are open, as [`Pool::warm`](crate::Pool::warm) does, which tells of its
    /// errors.
    pub fn warm(&self, n: usize) -> Warm<C> {
        Warm::begin(self.clone(), n)
    }

    /// Changes the host's cap, for as long as the host is remembered.
    ///
    /// Lowered, it closes idle connections at once and the rest as they return. Raised, it begins
    /// the dials that waiters are owed.
    ///
    /// # Errors
    ///
    /// Zero is refused, as by the builder.
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
        let at = self.0.target.id.index;
        self.0.target.change(|engine, now, fx| engine.set_max(at, n, now, fx));
        Ok(())
    }

    /// Closes what is idle and, as it comes back, what is lent or being dialed now; whoever asks
    /// later gets a new connection.
    pub fn retire(&self) {
        let at = self.0.target.id.index;
        self.0.target.change(|engine, now, fx| engine.retire(at, now, fx));
    }

    /// What is lent of this host, the longest held first: to whom, by the place in the code that asked.
    pub fn loans(&self) -> Vec<LoanInfo> {
        let target = self.target();
        let (now, key) = (target.core.clock.precise(), format!("{:?}", target.key));
        let loans = target.engine().loans_of(target.id.index);
        loans.into_iter().map(|loan| LoanInfo::new(key.clone(), loan, now)).collect()
    }

    /// The host at this moment.
    pub fn status(&self) -> HostStatus {
        self.0.target.engine().view(self.0.target.id.index).into()
    }
}

impl<C: Connector> Clone for Host<C> {
    fn clone(&self) -> Self {
        Host(self.0.clone())
    }
}

impl<C: Connector> fmt::Debug for Host<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("key", self.key()).field("status", &self.status()).finish()
    }
}
