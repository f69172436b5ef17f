//! The trait that users of a pool implement.

use std::error::Error;
use std::fmt::{self, Debug};
use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::time::Instant;

/// Makes, checks, resets and closes the connections of a pool.
///
/// Only [`connect`](Connector::connect) is required. The pool never calls any of these methods
/// while it holds a lock, so each may use the pool itself. A panic in one of them is caught: a dial
/// fails with [`ConnectorPanicked`](crate::AcquireError::ConnectorPanicked), and a connection whose
/// check panics is closed. Logs and reports call the `Debug` and `Display` of keys and errors; a
/// panic in those loses nothing either.
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
///         // Nothing should arrive unasked: neither data nor an end.
///         let read = conn.try_read(&mut [0]);
///         read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
///     }
/// }
/// ```
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Identifies a host; `()` if there is only one. A panic in its `Hash` or `Eq` reaches the
    /// caller and affects nothing else.
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    /// The pooled connection.
    type Connection: Send + 'static;
    /// The error of a dial, a ping or a reset: any type that implements [`Error`], or that converts
    /// into a boxed one, such as `anyhow::Error` and `Box<dyn Error + Send + Sync>`.
    type Error: Into<Box<dyn Error + Send + Sync>> + Debug + Send + 'static;

    /// Makes a connection: the factory.
    ///
    /// It runs in a task of its own, independent of the callers that wait for it, and is cut off
    /// after [`connect_timeout`](crate::Builder::connect_timeout).
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when that time-out passes, when the host is retired and the dial has
    /// taken longer than usual, when the host's cap is lowered, when the pool is closed, or when
    /// the runtime ends. Destructors must release everything that it has created by then.
    async fn connect(&self, key: &Self::Key) -> Result<Self::Connection, Self::Error>;

    /// Checks a connection with one round trip. By default there is no ping: connections are not
    /// checked so.
    ///
    /// It is called before a loan as set by [`health_check`](crate::Builder::health_check), after
    /// another connection of the host died, and for [heartbeats](crate::Builder::heartbeat). It
    /// runs in a task of the pool; callers that need the answer wait in their host's queue.
    ///
    /// In a pool that may ping, it is also called once when a connection is made, to learn whether
    /// there is a ping: that future is dropped before it is polled. (The one of the default has no
    /// size. An `async fn` in an implementation does nothing until it is polled.)
    ///
    /// # Errors
    ///
    /// Any error means that the connection is dead: it is closed and not lent. For a heartbeat, an
    /// error means that the heartbeat is missed: see [`Heartbeat`](crate::Heartbeat).
    ///
    /// # Cancel safety
    ///
    /// The future is dropped after [`ping_timeout`](crate::Builder::ping_timeout), when the pool is
    /// closed, and when its runtime ends. A heartbeat is also dropped when too many were missed, or
    /// when it is late and a caller needs its place. An exclusive connection is then closed,
    /// because it may be in the middle of an exchange. A caller that gives up does not end a ping.
    // Written out: an `async fn` would hold its arguments, and have a size.
    fn ping<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut Self::Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Self::Error>> + Send + 'async_trait>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        let _ = conn;
        no_ping()
    }

    /// Undoes what a borrower has left on the connection: a transaction, settings, a subscription.
    /// Does nothing by default.
    ///
    /// It is called after a loan whose connection [needs it](Connector::needs_reset), before the
    /// connection is lent again. It runs in a task of the pool and is treated like a ping: callers
    /// wait in their host's queue and take the first connection that becomes available; for each
    /// host, at most 8 that no caller waits for run at once (more with a [`Heartbeat`](crate::Heartbeat)
    /// of many connections); and success counts as proof of life.
    /// Status, metrics and observers count it among the pings.
    ///
    /// A connection that will not be lent again is closed without a reset: discarded, too old, used
    /// up, retired, above a limit, or returned to a closed pool. A detached connection belongs to
    /// its borrower. A connection that was not used (its caller gave up just as it was served, or
    /// [`retain`](crate::Pool::retain) inspected it) is not reset. Connections of a
    /// [`SharedPool`](crate::SharedPool) are never reset, because other leases may be in use when
    /// one ends.
    ///
    /// # Errors
    ///
    /// Any error means that the connection must not be used again: it is closed with the reason
    /// [`ResetFailed`](crate::CloseReason::ResetFailed), and older connections of its host must
    /// answer a ping before they are lent.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped after [`ping_timeout`](crate::Builder::ping_timeout), when the pool is
    /// closed, and when its runtime ends. The connection is then closed. A caller that gives up
    /// does not end a reset.
    async fn reset(&self, conn: &mut Self::Connection) -> Result<(), Self::Error> {
        let _ = conn;
        Ok(())
    }

    /// Returns whether the connection, which has just returned from a borrower, needs a
    /// [`reset`](Connector::reset). It must be cheap and not block. Returns false by default, so
    /// that a connector without resets pays nothing.
    ///
    /// It is called each time a connection returns open, on the thread that drops the loan. Return
    /// true always, or use a flag that the connection keeps. A panic in it closes the connection.
    #[inline]
    fn needs_reset(&self, conn: &Self::Connection) -> bool {
        let _ = conn;
        false
    }

    /// Returns whether the connection may be dead, by what its borrower saw of it: then it is
    /// [suspect](crate::PooledConnection::suspect), and lent again only once it has answered a ping. It
    /// must be cheap and not block. Returns false by default.
    ///
    /// It is called each time a connection returns open, on the thread that drops the loan: for
    /// connections whose clones cannot report it themselves, such as a shared one on which a request
    /// was given up while its peer was silent. A panic in it counts as yes.
    #[inline]
    fn is_doubted(&self, conn: &Self::Connection) -> bool {
        let _ = conn;
        false
    }

    /// Returns whether each loan of a used connection must be preceded by a [ping](Connector::ping),
    /// with any [`health_check`](crate::Builder::health_check). It is asked once, when the pool is
    /// built. False by default.
    ///
    /// For connectors whose ping also undoes what a borrower has left, such as the managers of
    /// deadpool, which check and clean in one call. Where these are two calls, implement
    /// [`reset`](Connector::reset) instead: it runs right after a loan, and then no borrower waits
    /// for it.
    fn pings_each_loan(&self) -> bool {
        false
    }

    /// Returns whether the connection can still be used, as far as that is known without waiting.
    /// It must be cheap. It is called each time a connection is lent from the idle list or returns,
    /// and when one is [added](crate::Pool::add). Returns true by default.
    ///
    /// If it notices that the peer has closed the connection, say so with
    /// [`notices_close`](Connector::notices_close).
    fn is_open(&self, conn: &mut Self::Connection) -> bool {
        let _ = conn;
        true
    }

    /// Returns whether [`is_open`](Connector::is_open) returns false for a connection that its peer
    /// has closed, as soon as the close has arrived. It is asked once, when the pool is built.
    /// False by default.
    ///
    /// If it does not and there is a [`ping`](Connector::ping), the default health check,
    /// [`AsNeeded`](crate::HealthCheck::AsNeeded), pings each connection before it is lent:
    /// otherwise every loan after a restart of the peer would be of a dead connection. Return true
    /// to save these round trips, if it is true: a read of the socket that finds its end, a task
    /// that reads and has ended.
    fn notices_close(&self) -> bool {
        false
    }

    /// Returns whether the connection, which has just returned and is not
    /// [open](Connector::is_open), has failed: it was reset, or an exchange ended in the middle.
    /// False by default, and for a connection that has ended as it should, such as after
    /// `Connection: close`.
    ///
    /// One that has failed makes the others of its host suspect, as
    /// [`discard`](crate::PooledConnection::discard) does: they must answer a ping before they are
    /// lent. So one caller meets the failure, and not one for each connection. It must be cheap.
    fn has_failed(&self, conn: &mut Self::Connection) -> bool {
        let _ = conn;
        false
    }

    /// Returns when the peer was last heard: when bytes last came from it on this connection.
    /// `None`, the default, if that is not known.
    ///
    /// Only the peer can prove that a connection lives; that a borrower hands one back proves
    /// nothing, because it may hand it back after its own time-out. A pool that pings on a timer or
    /// before loans asks this first, in the task of the ping, and sends none if the peer was heard
    /// lately. Where it is not known, uses postpone a ping for three intervals at most.
    ///
    /// Return the time of the dial for a connection on which nothing has come yet: one that returns
    /// `None` when it is made counts as not knowing. It is never asked in a pool without
    /// [`health_check`](crate::Builder::health_check) and
    /// [`heartbeat`](crate::Builder::heartbeat), nor when a connection is lent or returns. It must
    /// not block. A time of the standard library's clock is turned into tokio's with `into()`.
    fn last_heard(&self, conn: &Self::Connection) -> Option<Instant> {
        let _ = conn;
        None
    }

    /// Returns the address that a connection leads to, if there is one. `None` by default.
    ///
    /// It is called once for each connection, when it is made, for [`DialDone`](crate::DialDone).
    fn peer_addr(&self, conn: &Self::Connection) -> Option<SocketAddr> {
        let _ = conn;
        None
    }

    /// Returns whether another dial may succeed after this error. True by default. Return false
    /// where a retry cannot help, for example after a wrong password.
    fn is_retryable(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
    }

    /// Writes a key as logs, errors, metrics and observers show it. Uses its `Debug` form by
    /// default.
    ///
    /// Override it for keys that may hold secrets, such as a URL with a password, and where the key
    /// is `()`, to give the one server a name: `f.write_str("\"orders-db\"")`. Without a name, errors
    /// say `no connection: …`, and logs say `key=()`. A panic in it is
    /// treated like one in the key's `Debug`. Methods that return the key itself, such as
    /// [`Pool::hosts`](crate::Pool::hosts), are not affected.
    ///
    /// # Errors
    ///
    /// Only the formatter's own.
    fn fmt_key(&self, key: &Self::Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        key.fmt(f)
    }

    /// Closes a connection gracefully. Drops it by default.
    ///
    /// It runs in a task of its own and is cut off after
    /// [`close_timeout`](crate::Builder::close_timeout). If no runtime is left, the connection is
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

/// The ping of a connector that has none. It has no size, by which it is known.
struct NoPing<E>(PhantomData<fn() -> E>);

impl<E> Future for NoPing<E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

/// A ping, as [`Connector::ping`] returns it.
pub(crate) type PingFuture<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

/// Returns the ping of a connector that has none.
pub(crate) fn no_ping<'a, E: 'a>() -> PingFuture<'a, E> {
    Box::pin(NoPing(PhantomData))
}

/// Returns whether the connector has a ping for this connection. Calls the user's code.
pub(crate) fn has_ping<C: Connector>(connector: &C, connection: &mut C::Connection) -> bool {
    // One that holds a connection has a size.
    size_of_val(&*connector.ping(connection)) > 0
}
