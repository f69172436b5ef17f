//! From a name to its addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::lookup_host;

/// Finds the addresses of a name: a resolver of your own for
/// [`TcpOptions::resolver`](super::TcpOptions::resolver).
///
/// It is asked at every dial to a name, and not for keys that are IP addresses already. What it says
/// is not cached.
///
/// # Examples
///
/// One that knows the names of a test:
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use wharf::async_trait;
/// use wharf::tcp::{Resolve, TcpOptions};
///
/// struct Fixed;
///
/// #[async_trait]
/// impl Resolve for Fixed {
///     async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
///         match name {
///             "orders" => Ok(vec![([192, 0, 2, 1], port).into(), ([192, 0, 2, 2], port).into()]),
///             _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
///         }
///     }
/// }
///
/// let options = TcpOptions::new().resolver(Fixed);
/// ```
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, the preferred first. The port is the one that was asked for; a
    /// resolver that knows better, such as one of SRV records, may give others.
    ///
    /// # Errors
    ///
    /// Any error fails the dial, which names the host and has this error as its `source()`. Of the
    /// kinds, `InvalidInput` and `Unsupported` say that dialing again is of no use.
    ///
    /// # Cancel safety
    ///
    /// It is dropped when the dial is cut off, such as by
    /// [`connect_timeout`](crate::Builder::connect_timeout).
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, or one of the user's.
#[derive(Clone, Default)]
pub(super) struct Resolver(pub(super) Option<Arc<dyn Resolve>>);

impl Resolver {
    /// Resolves a host, whose brackets are gone if it is an IPv6 address.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![(ip, port).into()]);
        }
        match &self.0 {
            Some(own) => own.resolve(host, port).await,
            None => lookup_host((host, port)).await.map(Iterator::collect),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "own" } else { "system" })
    }
}
