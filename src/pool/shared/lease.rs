//! A lease of a shared connection.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::policy::shared_connector::SharedConnector;
use crate::pool::pooled_connection::{ConnectionInfo, PooledConnection};
use crate::pool::shared::share::Shares;

/// A lease of a shared connection, with its own clone of it. It ends when it is dropped, on any
/// thread, inside or outside a runtime. The connection continues to serve its other leases, and
/// becomes idle after the last one.
///
/// If the lease is dropped while its thread is panicking, the connection is discarded.
///
/// The operations on the lease itself are associated functions, so that they do not hide a method
/// of the connection: `Lease::discard(lease)`.
#[must_use = "the lease ends at once when it is dropped"]
pub struct Lease<C: SharedConnector>(PooledConnection<Shares<C>>);

impl<C: SharedConnector> Lease<C> {
    pub(super) fn new(mut loan: PooledConnection<Shares<C>>) -> Self {
        loan.own();
        Lease(loan)
    }

    /// Tells the pool that the lease ends by itself, without the task that acquired it: that task
    /// may wait for another one, which is no deadlock. See
    /// [`deadlock_warnings`](crate::Builder::deadlock_warnings).
    ///
    /// For clients that keep a lease in the background until its exchange has ended.
    pub fn leave_task(this: &Self) {
        PooledConnection::leave_task(&this.0);
    }

    /// Ends the lease of a connection that has died. Its place is free at once; it takes no new leases and is closed after
    /// its last one. Older connections of its host are suspect from now on: each must answer a ping before it takes new
    /// leases.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use wharf::{Connector, SharedConnector, SharedPool, async_trait};
    /// # struct Numbers;
    /// # #[async_trait]
    /// # impl Connector for Numbers {
    /// #     type Key = ();
    /// #     type Connection = Arc<u32>;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self, (): &()) -> std::io::Result<Arc<u32>> { Ok(Arc::new(7)) }
    /// # }
    /// # impl SharedConnector for Numbers {
    /// #     fn max_leases(&self, _: &Arc<u32>) -> usize { 100 }
    /// # }
    /// # let pool = SharedPool::new(Numbers);
    /// use wharf::Lease;
    ///
    /// let (one, two) = (pool.acquire(&()).await?, pool.acquire(&()).await?);
    /// Lease::discard(one); // the connection has died
    /// let three = pool.acquire(&()).await?;
    /// assert!(!Arc::ptr_eq(&two, &three), "it takes no new leases");
    /// # Ok(()) }
    /// ```
    pub fn discard(this: Self) {
        PooledConnection::discard(this.0);
    }

    /// Reports that the connection may be dead, for a borrower that has heard nothing from its
    /// peer. The pool pings it at once (with [`Connector::ping`](crate::Connector::ping), which
    /// should ask the peer), and it takes no new leases until it has answered; others are dialed
    /// meanwhile if there is room. If it does not answer, it takes no leases any more: its place is
    /// free, it is closed after its last lease, and older connections of its host must answer, too.
    ///
    /// This lease and the others on the connection continue. If the connection is full, the ping
    /// starts once one of them has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use wharf::{Connector, SharedConnector, SharedPool, async_trait};
    /// # struct Numbers;
    /// # #[async_trait]
    /// # impl Connector for Numbers {
    /// #     type Key = ();
    /// #     type Connection = Arc<u32>;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self, (): &()) -> std::io::Result<Arc<u32>> { Ok(Arc::new(7)) }
    /// # }
    /// # impl SharedConnector for Numbers {
    /// #     fn max_leases(&self, _: &Arc<u32>) -> usize { 100 }
    /// # }
    /// # let pool = SharedPool::new(Numbers);
    /// use wharf::Lease;
    ///
    /// let lease = pool.acquire(&()).await?;
    /// // No answer came in time.
    /// Lease::suspect(&lease);
    /// assert!(pool.try_acquire(&()).is_none(), "it is to answer first");
    /// # Ok(()) }
    /// ```
    pub fn suspect(this: &Self) {
        PooledConnection::suspect(&this.0);
    }

    /// Returns what the pool knows about this connection. A use is a lease; a connection that
    /// already had other leases was not idle.
    pub fn info(this: &Self) -> ConnectionInfo {
        PooledConnection::info(&this.0)
    }

    /// Returns the key of the host.
    pub fn key(this: &Self) -> &C::Key {
        PooledConnection::key(&this.0)
    }
}

impl<C: SharedConnector> Deref for Lease<C> {
    type Target = C::Connection;

    fn deref(&self) -> &C::Connection {
        self.0.get()
    }
}

impl<C: SharedConnector> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C::Connection {
        self.0.own()
    }
}

/// Names the host and the connection; the connection itself may not be `Debug`.
impl<C: SharedConnector> fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", self.0.shown_key())
            .field("id", &Lease::info(self).id)
            .finish_non_exhaustive()
    }
}
