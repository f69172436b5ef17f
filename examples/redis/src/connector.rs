//! A connector for Redis, and what a program does with it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, ErrorKind, RedisError};
use std::fmt;
use wharf::{AcquireError, Connector, Host, SharedConnector, SharedHost, async_trait};

pub(crate) type Error = AcquireError<RedisError>;

/// Connects to one server, so the key is `()`.
pub(crate) struct Redis {
    client: Client,
}

impl Redis {
    pub(crate) fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Redis { client: Client::open(url)? })
    }
}

#[async_trait]
impl Connector for Redis {
    type Key = ();
    type Connection = MultiplexedConnection;
    type Error = RedisError;

    async fn connect(&self, (): &()) -> Result<MultiplexedConnection, RedisError> {
        self.client.get_multiplexed_async_connection().await
    }

    // The driver does not say whether the server has closed the connection, so `is_open` and `notices_close` stay as
    // they are: the pool pings each connection before it lends it.
    async fn ping(&self, conn: &mut MultiplexedConnection) -> Result<(), RedisError> {
        redis::cmd("PING").query_async(conn).await
    }

    fn is_retryable(&self, error: &RedisError) -> bool {
        !matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
    }

    /// Errors say `no connection to redis at db-1:6379`, without the password of the URL.
    fn fmt_key(&self, (): &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis at {}", self.client.get_connection_info().addr())
    }
}

/// The driver sends the commands of many callers on one connection, and gives each its own answer.
impl SharedConnector for Redis {
    fn max_leases(&self, _: &MultiplexedConnection) -> usize {
        32
    }
}

/// A command on a connection that is shared with others.
pub(crate) async fn visits(redis: &SharedHost<Redis>, page: &str) -> Result<i64, Error> {
    Ok(redis.acquire().await?.incr(page, 1).await?)
}

/// Moves an amount from one account to the other, on a connection of its own: `WATCH` changes its state. Returns whether
/// it did: not if there is too little, or if somebody else changed the account meanwhile.
pub(crate) async fn transfer(
    redis: &Host<Redis>,
    from: &str,
    to: &str,
    amount: i64,
) -> Result<bool, Error> {
    let connection = redis.acquire().await?;
    // If this is dropped half-way, the connection is closed, and with it the `WATCH`.
    let has_moved = connection.exchange(async |conn| {
        let () = redis::cmd("WATCH").arg(from).query_async(conn).await?;
        if conn.get::<_, i64>(from).await? < amount {
            let () = redis::cmd("UNWATCH").query_async(conn).await?;
            return Ok(false);
        }
        let mut both = redis::pipe();
        both.atomic().decr(from, amount).incr(to, amount);
        let balances: Option<(i64, i64)> = both.query_async(conn).await?;
        Ok::<_, RedisError>(balances.is_some())
    });
    Ok(has_moved.await?)
}
