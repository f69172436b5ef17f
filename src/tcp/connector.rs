//! Dials socket addresses.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::builder::{Made, TcpBuilder};
use super::ping::Ping;
use super::settings::Settings;
use super::socket;
use crate::policy::connector::Connector;
use crate::transport::failure;

/// Makes TCP connections to socket addresses: the key is the peer.
///
/// # Errors
///
/// A dial fails with the system's own error (such as `ConnectionRefused`), unchanged. The one
/// exception is a dial to an address of another family than
/// [`local_address`](TcpBuilder::local_address): it fails with `InvalidInput`, and the error names
/// both addresses.
///
/// # Examples
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::SocketAddr;
/// use wharf::Pool;
/// use wharf::tcp::TcpConnector;
///
/// let pool = Pool::new(TcpConnector::new());
/// let peer: SocketAddr = "127.0.0.1:7".parse()?;
/// let stream = pool.acquire(&peer).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    settings: Settings,
    ping: Option<Ping>,
}

impl Made for TcpConnector {
    #[allow(private_interfaces)]
    fn made(settings: Settings, ping: Option<Ping>) -> Self {
        TcpConnector { settings, ping }
    }
}

impl TcpConnector {
    /// Makes a connector with every setting at its default.
    pub fn new() -> Self {
        TcpConnector::default()
    }

    /// Starts the set-up of a connector.
    pub fn builder() -> TcpBuilder<TcpConnector> {
        TcpBuilder::new()
    }
}

#[async_trait]
impl Connector for TcpConnector {
    type Key = SocketAddr;
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self, peer: &SocketAddr) -> io::Result<TcpStream> {
        socket::dial(*peer, &self.settings).await
    }

    /// Succeeds if nothing is waiting to be read: no end, no error, no byte. See [the
    /// module](crate::tcp#race-window) for what this cannot detect.
    async fn ping(&self, stream: &mut TcpStream) -> io::Result<()> {
        Ping::on(self.ping.as_ref(), stream).await
    }

    fn is_open(&self, stream: &mut TcpStream) -> bool {
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
    fn has_failed(&self, stream: &mut TcpStream) -> bool {
        socket::has_failed(stream)
    }

    fn peer_addr(&self, stream: &TcpStream) -> Option<SocketAddr> {
        stream.peer_addr().ok()
    }

    fn is_retryable(&self, error: &io::Error) -> bool {
        failure::is_retryable(error)
    }
}
