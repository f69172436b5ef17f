//! Dials socket addresses.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::options::TcpOptions;
use super::{failure, socket};
use crate::policy::build_error::BuildError;
use crate::policy::connector::Connector;

/// Makes TCP connections to socket addresses: the key is the peer.
///
/// # Errors
///
/// A dial fails with the system's own error (such as `ConnectionRefused`), unchanged. The one
/// exception is a dial to an address of another family than
/// [`local_address`](TcpOptions::local_address): it fails with `InvalidInput`, and the error names
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
    options: TcpOptions,
}

impl TcpConnector {
    /// Makes a connector with every option at its default.
    pub fn new() -> Self {
        TcpConnector::default()
    }

    /// Makes a connector with these options.
    ///
    /// # Errors
    ///
    /// An invalid option: the error names it and its value.
    pub fn with_options(options: TcpOptions) -> Result<Self, BuildError> {
        options.check()?;
        Ok(TcpConnector { options })
    }
}

#[async_trait]
impl Connector for TcpConnector {
    type Key = SocketAddr;
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self, peer: &SocketAddr) -> io::Result<TcpStream> {
        socket::dial(*peer, &self.options).await
    }

    /// Succeeds if nothing is waiting to be read: no end, no error, no byte. See [the
    /// module](crate::tcp#race-window) for what this cannot detect.
    async fn ping(&self, stream: &mut TcpStream) -> io::Result<()> {
        self.options.ping_on(stream).await
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
