//! The trait that a pool's user implements.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Makes, checks, resets and closes the connections of a pool.
///
/// Only [`connect`](Connector::connect) has to be written. None of these methods is ever called
/// while the pool holds a lock, so each may use the pool itself. A panic in one of them is caught:
/// a dial fails with [`ConnectorPanicked`](crate::AcquireError::ConnectorPanicked), a connection
/// whose check panics is closed. Nothing is lost either when a key's or an error's `Debug` or `Display`
/// panics, which logs and reports call.
///
/// # Examples
///
/// ```
/// use wharf::{Connector, async_trait};
///
/// struct Tcp;
///
/// #[async_trait]
/// impl Connector for Tcp {
///     type Key = std::net::SocketAddr;
///     type Connection = tokio::net::TcpStream;
///     type Error = std::io::Error;
///
///     async fn connect(&self, key: &Self::Key) -> Result<Self::Connection, Self::Error> {
///         tokio::net::TcpStream::connect(key).await
///     }
///
///     fn is_open(&self, conn: &mut Self::Connection) -> bool {
///         // Nothing should come while nobody asks: neither data nor an end.
///         let read = conn.try_read(&mut [0]);
///         read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
///     }
/// }
/// ```
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What tells hosts apart; `()` when there is one. A panic in its `Hash` or `Eq` reaches the
    /// caller and harms nobody else.
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    /// What is pooled.
    type Connection: Send + 'static;
    /// Why a dial, a ping or a reset failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes a connection: the factory.
    ///
    /// Runs in a task of its own, independent of the callers that wait for it, and is cut off after
    /// [`connect_timeout`](crate::Builder::connect_timeout).
    ///
    /// # Cancel safety
    ///
    /// It is dropped when that time is over, when the host is retired and it has taken longer than usual, when the host's
    /// cap is lowered, when the pool is closed, or when the runtime ends. Destructors must release what it has made by
    /// then.
    async fn connect(&self, key: &Self::Key) -> Result<Self::Connection, Self::Error>;

    /// Checks a connection with one round trip. Does nothing by default.
    ///
    /// Called before a loan as [`health_check`](crate::Builder::health_check) says, after another connection of the host
    /// died, and for [heartbeats](crate::Builder::heartbeat). It runs in a task of the pool; callers that need the answer
    /// wait in their host's queue.
    ///
    /// # Errors
    ///
    /// Any error means that the connection is dead: it is closed, and not lent. As the answer to a heartbeat
    /// it is a missed one: see [`Heartbeat`](crate::Heartbeat).
    ///
    /// # Cancel safety
    ///
    /// It is dropped after [`ping_timeout`](crate::Builder::ping_timeout), when the pool is closed, and when its runtime
    /// ends; a heartbeat also when too many were missed, or when it is late and a caller needs its place. A connection
    /// that is not shared is closed then: nobody knows how much of the conversation has taken place. A caller that gives
    /// up does not end a ping.
    async fn ping(&self, conn: &mut Self::Connection) -> Result<(), Self::Error> {
        let _ = conn;
        Ok(())
    }

    /// Undoes what a borrower has left on the connection: a transaction, settings, a subscription. Does nothing by
    /// default.
    ///
    /// Called after a loan whose connection [needs it](Connector::needs_reset), and before anybody else gets the
    /// connection. It runs in a task of the pool, and is a ping in every respect: callers wait in their host's queue
    /// and take what comes first, at most 8 that no caller waits for run for each host at once, and success is proof of
    /// life. Status, metrics and observers count it among the pings.
    ///
    /// A connection that is not going to be lent again is closed without: discarded, too old, used up, retired, above a
    /// limit, or returned to a closed pool. A detached one is its borrower's. A connection that nobody has used (a
    /// caller gave up just as it was served, [`retain`](crate::Pool::retain) looked at it) is not reset. Connections of
    /// a [`SharedPool`](crate::SharedPool) are never reset: the end of a lease is not the end of the others.
    ///
    /// # Errors
    ///
    /// Any error means that nobody should use the connection again: it is closed, for the reason
    /// [`ResetFailed`](crate::CloseReason::ResetFailed), and older connections of its host must answer a ping before they
    /// are lent.
    ///
    /// # Cancel safety
    ///
    /// It is dropped after [`ping_timeout`](crate::Builder::ping_timeout), when the pool is closed, and when its runtime
    /// ends. The connection is closed then. A caller that gives up does not end a reset.
    async fn reset(&self, conn: &mut Self::Connection) -> Result<(), Self::Error> {
        let _ = conn;
        Ok(())
    }

    /// Whether the connection, which has just come back from a borrower, needs a [`reset`](Connector::reset). Cheap, and
    /// without waiting. Never by default, so that a connector without resets pays nothing.
    ///
    /// Asked each time that a connection comes back open, in the thread that drops the loan. Say yes always, or look at
    /// a flag that the connection keeps. A panic in it closes the connection.
    #[inline]
    fn needs_reset(&self, conn: &Self::Connection) -> bool {
        let _ = conn;
        false
    }

    /// Whether each loan must be preceded by a ping, with any health check: for `compat`, whose managers undo in it what
    /// a borrower has left. Others have `reset` for that, and this is not for them.
    #[doc(hidden)]
    fn pings_each_loan(&self) -> bool {
        false
    }

    /// Whether the connection can still be used, as far as can be told at once: cheap, and without
    /// waiting. Asked each time a connection is lent from the idle list or comes back, and when one is
    /// [added](crate::Pool::add). Always true by default.
    fn is_open(&self, conn: &mut Self::Connection) -> bool {
        let _ = conn;
        true
    }

    /// The address that a connection leads to, where there is one. None by default.
    ///
    /// Asked once of each connection, when it is made, for [`DialDone`](crate::DialDone).
    fn peer_addr(&self, conn: &Self::Connection) -> Option<SocketAddr> {
        let _ = conn;
        None
    }

    /// Whether it makes sense to dial again after this error. True by default. Say no where a retry cannot help: a
    /// wrong password, for example.
    fn is_retryable(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
    }

    /// Writes a key as logs, errors, metrics and observers show it: its `Debug` form by default.
    ///
    /// For keys that may hold what nobody else should read, such as the password in a URL. A panic in it is one in the
    /// key's `Debug`. What gives the key itself ([`Pool::hosts`](crate::Pool::hosts)) gives all of it.
    ///
    /// # Errors
    ///
    /// None but the formatter's own.
    fn fmt_key(&self, key: &Self::Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        key.fmt(f)
    }

    /// Closes a connection politely. Drops it by default.
    ///
    /// Runs in a task of its own, and is cut off after
    /// [`close_timeout`](crate::Builder::close_timeout). Where no runtime is left the connection is
    /// dropped instead.
    async fn close(&self, conn: Self::Connection) {
        drop(conn);
    }
}

/// A key as its connector shows it.
pub(crate) struct ShownKey<'a, C: Connector>(pub(crate) &'a C, pub(crate) &'a C::Key);

impl<C: Connector> Debug for ShownKey<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_key(self.1, f)
    }
}
