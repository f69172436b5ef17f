//! An exchange with a peer, which ends or takes its connection out of the pool.

use super::pooled_connection::PooledConnection;
use crate::engine::Use;
use crate::policy::close_reason::CloseReason;
use crate::policy::connector::Connector;

impl<C: Connector> PooledConnection<C> {
    /// Runs one exchange with the peer, such as a request and its response, and returns the
    /// connection to the pool if the exchange ended well. It is for connections that are streams of
    /// bytes, on which the rest of one response would be read as the next one.
    ///
    /// If the exchange returns an error, the connection is [discarded](PooledConnection::discard): it is
    /// closed, and older connections of its host must answer a ping before they are lent. If the
    /// future is dropped half-way or the exchange panics, the connection is closed. That says nothing
    /// of its peer, so other connections stay as they are.
    ///
    /// Set a time limit within the exchange, as below: then a peer that does not answer counts as
    /// dead. An error that leaves the stream in order, such as a refusal that was read to its end,
    /// belongs in the value: return `Ok(Err(refusal))`.
    ///
    /// This is a method, so that it reads in order. If the connection has a method of the same name,
    /// call that one as `(*connection).exchange()`.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point: the connection is closed if the exchange has begun,
    /// and goes back to the pool if the future was never polled.
    ///
    /// # Errors
    ///
    /// The error of the exchange.
    ///
    /// # Panics
    ///
    /// If the exchange panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "tcp")]
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # use tokio::time::timeout;
    /// # use wharf::{Pool, tcp::TcpHostConnector};
    /// # let pool = Pool::builder().build(TcpHostConnector::new())?;
    /// let connection = pool.acquire("localhost:6379").await?;
    /// let pong = connection
    ///     .exchange(async |stream| {
    ///         stream.write_all(b"PING\r\n").await?;
    ///         let mut pong = [0; 7];
    ///         timeout(Duration::from_secs(1), stream.read_exact(&mut pong)).await??;
    ///         std::io::Result::Ok(pong)
    ///     })
    ///     .await?;
    /// assert_eq!(&pong, b"+PONG\r\n");
    /// # Ok(()) }
    /// ```
    pub async fn exchange<T, E, F>(self, exchange: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut C::Connection) -> Result<T, E>,
    {
        let mut unfinished = Unfinished(Some(self));
        let result = exchange(unfinished.connection()).await;
        let connection = unfinished.finish();
        match result {
            Ok(_) => drop(connection),
            Err(_) => PooledConnection::discard(connection),
        }
        result
    }
}

/// A loan whose exchange has begun. Dropped before it has ended, it closes the connection.
struct Unfinished<C: Connector>(Option<PooledConnection<C>>);

const PRESENT: &str = "it has its loan until it has finished";

impl<C: Connector> Unfinished<C> {
    fn connection(&mut self) -> &mut C::Connection {
        self.0.as_mut().expect(PRESENT)
    }

    fn finish(mut self) -> PooledConnection<C> {
        self.0.take().expect(PRESENT)
    }
}

impl<C: Connector> Drop for Unfinished<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.end(Use::Over(CloseReason::Discarded));
        }
    }
}
