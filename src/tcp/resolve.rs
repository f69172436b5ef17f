//! Resolves names to addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::lookup_host;

use super::lookups::Lookups;

/// Finds the addresses of a name. Implement it to use your own resolver with
/// [`TcpBuilder::resolver`](super::TcpBuilder::resolver).
///
/// It is called at every dial to a name, but not for keys that are IP addresses already. Dials that
/// need a name while it is being resolved share the result, which is not cached beyond that.
///
/// # Examples
///
/// A resolver with fixed names, for a test:
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use wharf::async_trait;
/// use wharf::tcp::{Resolve, TcpHostConnector};
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
/// let connector = TcpHostConnector::builder().resolver(Fixed).build()?;
/// # Ok::<_, wharf::BuildError>(())
/// ```
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// Returns the addresses of a name, the preferred one first. `port` is the port of the key; a
    /// resolver that knows better, for example from SRV records, may return other ports.
    ///
    /// # Errors
    ///
    /// Any error fails the dial, whose error names the host and has this one as its `source()`. The
    /// kinds `InvalidInput` and `Unsupported` mean that another dial is pointless.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the dial is cut off, for example by
    /// [`connect_timeout`](crate::Builder::connect_timeout).
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, or one of the user's.
#[derive(Clone, Default)]
pub(super) struct Resolver {
    own: Option<Arc<dyn Resolve>>,
    lookups: Lookups,
}

impl Resolver {
    pub(super) fn own(resolver: impl Resolve) -> Self {
        Resolver { own: Some(Arc::new(resolver)), lookups: Lookups::default() }
    }

    /// Resolves a host. An IPv6 address comes without its brackets. Dials that ask for a name while it
    /// is being resolved share the answer.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![(ip, port).into()]);
        }
        self.lookups.join(host, port, || self.look_up(host, port)).await
    }

    async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.own {
            Some(own) => own.resolve(host, port).await,
            None => lookup_host((host, port)).await.map(Iterator::collect),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.own.is_some() { "own" } else { "system" })
    }
}
