//! Dials hosts by name.

use std::net::SocketAddr;
use std::{fmt, io};

use async_trait::async_trait;
use tokio::time::Instant;

use super::builder::{Made, TcpBuilder};
use super::connection::TcpConnection;
use super::ping::Ping;
use super::settings::Settings;
use super::{TcpTransport, socket};
use crate::policy::connector::Connector;
use crate::policy::redacted::Redacted;
use crate::transport::{Host, failure};

/// Makes TCP connections to `"host:port"`: the key is that string.
///
/// The name is resolved at every dial, so a changed address is picked up as connections age.
/// Nothing is cached here, although the system may cache. [`address_choice`](TcpBuilder::address_choice) selects
/// the address that is tried first; the others follow, see [the module](crate::tcp#addresses).
///
/// An IPv6 address as the host needs brackets, `"[::1]:80"`. Keys are compared as they are written:
/// `"localhost:80"` and `"LOCALHOST:80"` are two hosts.
///
/// # Errors
///
/// When no address answers, the error names the key and the addresses, and has the system's error
/// for the last one as its `source()`; its kind is that error's. When a name has no address, or the
/// key is malformed, the error says so and names the key.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::Pool;
/// use wharf::tcp::TcpHostConnector;
///
/// let connector = TcpHostConnector::builder()
///     .keepalive(Duration::from_secs(60), Duration::from_secs(10), 3)
///     .build()?;
/// let pool = Pool::new(connector);
/// let cache = pool.host("cache.example:6379");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpHostConnector {
    transport: TcpTransport,
    ping: Option<Ping>,
}

impl Made for TcpHostConnector {
    #[allow(private_interfaces)]
    fn made(settings: Settings, ping: Option<Ping>) -> Self {
        TcpHostConnector { transport: TcpTransport::made(settings, None), ping }
    }
}

impl TcpHostConnector {
    /// Makes a connector with every setting at its default.
    pub fn new() -> Self {
        TcpHostConnector::default()
    }

    /// Starts the set-up of a connector.
    pub fn builder() -> TcpBuilder<TcpHostConnector> {
        TcpBuilder::new()
    }
}

#[async_trait]
impl Connector for TcpHostConnector {
    type Key = String;
    type Connection = TcpConnection;
    type Error = io::Error;

    async fn connect(&self, key: &String) -> io::Result<TcpConnection> {
        let host = Host::parse(key).map_err(|error| failure::of_key(key, error))?;
        let connection = self.transport.tcp(host).await?;
        connection.on_trial()(true);
        Ok(connection)
    }

    /// Succeeds if nothing is waiting to be read: no end, no error, no byte. See [the
    /// module](crate::tcp#race-window) for what this cannot detect.
    async fn ping(&self, stream: &mut TcpConnection) -> io::Result<()> {
        Ping::on(self.ping.as_ref(), stream).await
    }

    fn is_open(&self, stream: &mut TcpConnection) -> bool {
        socket::is_open(stream)
    }

    /// True: [`is_open`](Connector::is_open) finds the end and the reset of the stream.
    fn notices_close(&self) -> bool {
        true
    }

    /// Returns whether the system has given the connection up: after a reset, or a keepalive that
    /// was not answered. False where only the peer has ended the stream, as servers do with idle
    /// connections, and for unread bytes. A connection that both sides have ended cannot be told
    /// from one that was reset.
    fn has_failed(&self, stream: &mut TcpConnection) -> bool {
        socket::has_failed(stream)
    }

    /// Returns when a read of the connection last gave bytes: see [`TcpConnection`] for which reads
    /// are noted.
    fn last_heard(&self, stream: &TcpConnection) -> Option<Instant> {
        Some(stream.signs().last_heard())
    }

    /// A URL is not a valid key of this connector, but one may be given by mistake.
    fn fmt_key(&self, host: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Redacted(host), f)
    }

    fn peer_addr(&self, stream: &TcpConnection) -> Option<SocketAddr> {
        Some(stream.peer())
    }

    fn is_retryable(&self, error: &io::Error) -> bool {
        failure::is_retryable(error)
    }
}
