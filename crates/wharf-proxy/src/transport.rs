//! Tunnels through proxies, on another transport.

use std::io;

use async_trait::async_trait;
use wharf::transport::{Place, Stream, Transport};

use crate::{Destination, Proxies};

/// Makes streams through proxies, which another transport dials.
///
/// A Unix socket, and a destination without a proxy, is dialed directly by the other transport.
///
/// For HTTP there is more: [wharf-http](https://docs.rs/wharf-http) has `ClientBuilder::proxies`, with which
/// an HTTP proxy forwards `http` requests, and the proxy is a part of the pool's key.
///
/// The transport does not know the schemes of destinations: with [`Proxies::from_env`], all are
/// tunnels, for which `HTTPS_PROXY` counts. Many HTTP proxies permit tunnels to port 443 only.
///
/// # Errors
///
/// Those of the other transport, and of the proxy. See [the crate](crate#errors).
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use wharf::Pool;
/// use wharf::tcp::TcpTransport;
/// use wharf::transport::StreamConnector;
/// use wharf_proxy::{Proxy, ProxyTransport};
///
/// let proxy: Proxy = "socks5h://proxy.example".parse()?;
/// let transport = ProxyTransport::new(TcpTransport::new(), proxy);
/// let pool = Pool::builder().build(StreamConnector::new(transport))?;
/// let cache = pool.host("cache.example:6379");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ProxyTransport<T> {
    inner: T,
    proxies: Proxies,
}

impl<T: Transport> ProxyTransport<T> {
    /// Makes a transport around another one. A [`Proxy`](crate::Proxy) is used for everything.
    pub fn new(inner: T, proxies: impl Into<Proxies>) -> Self {
        ProxyTransport { inner, proxies: proxies.into() }
    }
}

#[async_trait]
impl<T: Transport> Transport for ProxyTransport<T> {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        let Place::Host(host) = to else { return self.inner.connect(to).await };
        match self.proxies.proxy_for(&Destination::new(host)) {
            Some(proxy) => proxy.connect(&self.inner, host).await,
            None => self.inner.connect(to).await,
        }
    }
}
