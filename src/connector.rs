//! The trait that a pool's user implements.

use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;

use async_trait::async_trait;

/// Makes, checks and closes the connections of a pool.
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
    /// Why a dial or a ping failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes a connection: the factory.
    ///
    /// Runs in a task of its own, apart from whoever waits for it, and is cut off after
    /// [`connect_timeout`](crate::Builder::connect_timeout).
    ///
    /// # Cancel safety
    ///
    /// It is dropped when that time is over, or when the runtime ends: what it has made by then
    /// must be released by its destructors.
    async fn connect(&self, key: &Self::Key) -> Result<Self::Connection, Self::Error>;

    /// Checks a connection with one round trip. Does nothing by default.
    ///
    /// Called before a loan as [`health_check`](crate::Builder::health_check) says, for suspects, and for
    /// [heartbeats](crate::Builder::heartbeat).
    ///
    /// # Errors
    ///
    /// Any error means that the connection is dead: it is closed, and not lent.
    ///
    /// # Cancel safety
    ///
    /// It is dropped after [`ping_timeout`](crate::Builder::ping_timeout) or the heartbeat's own time, and
    /// when the caller goes that it was done for. The connection is closed then: nobody knows how much of
    /// the conversation has taken place.
    async fn ping(&self, conn: &mut Self::Connection) -> Result<(), Self::Error> {
        let _ = conn;
        Ok(())
    }

    /// Whether the connection can still be used, as far as can be told at once: cheap, and without
    /// waiting. Asked each time a connection is lent from the idle list or comes back. Always true
    /// by default.
    fn is_open(&self, conn: &mut Self::Connection) -> bool {
        let _ = conn;
        true
    }

    /// Whether it makes sense to dial again after this error. True by default; a wrong password is
    /// an error that no retry mends.
    fn is_retryable(&self, error: &Self::Error) -> bool {
        let _ = error;
        true
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

/// A dial's error as a plain trait object, for `source()`.
pub(crate) fn as_source<E: Error + 'static>(error: &E) -> &(dyn Error + 'static) {
    error
}
