//! Dials hosts by name.

use std::{fmt, io};

use async_trait::async_trait;
use tokio::net::{TcpStream, lookup_host};

use super::options::TcpOptions;
use super::{failure, socket};
use crate::connectors::shown::Shown;
use crate::policy::build_error::BuildError;
use crate::policy::connector::Connector;

/// Makes TCP connections to `"host:port"`: the key is that string.
///
/// The name is resolved at every dial, so that a changed address is picked up as connections age;
/// nothing is cached here, but the system may. The addresses are tried one after the other, in the
/// system's order, until one answers. All of them share the pool's
/// [`connect_timeout`](crate::Builder::connect_timeout): where the first may be a black hole, it is
/// spent there.
///
/// An IPv6 address as the host needs brackets, `"[::1]:80"`. Keys are compared as they are written:
/// `"localhost:80"` and `"LOCALHOST:80"` are two hosts.
///
/// # Errors
///
/// When no address answers, a dial fails with the system's error for the last one. When there is
/// none, or the key is malformed, the error names the key and has the system's error as its
/// `source()`.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::Pool;
/// use wharf::tcp::{TcpHostConnector, TcpOptions};
///
/// let keepalive =
///     TcpOptions::new().keepalive(Duration::from_secs(60), Duration::from_secs(10), 3);
/// let pool = Pool::new(TcpHostConnector::with_options(keepalive)?);
/// let cache = pool.host("cache.example:6379");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpHostConnector {
    options: TcpOptions,
}

impl TcpHostConnector {
    /// Makes a connector with every option at its default.
    pub fn new() -> Self {
        TcpHostConnector::default()
    }

    /// Makes a connector with these options.
    ///
    /// # Errors
    ///
    /// An option that cannot be meant: the error names it and its value.
    pub fn with_options(options: TcpOptions) -> Result<Self, BuildError> {
        options.check()?;
        Ok(TcpHostConnector { options })
    }
}

#[async_trait]
impl Connector for TcpHostConnector {
    type Key = String;
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self, host: &String) -> io::Result<TcpStream> {
        let peers = lookup_host(host.as_str()).await.map_err(|error| {
            failure::of(format!("{:?} could not be resolved", Shown(host)), error)
        })?;
        let mut last = None;
        for peer in peers {
            match socket::dial(peer, &self.options).await {
                Ok(stream) => return Ok(stream),
                // It was not even tried, which says less than the failure of one that was.
                Err(_) if last.is_some() && !self.options.reaches(peer) => {}
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{:?} has no address", Shown(host)))
        }))
    }

    /// Whether neither an end, nor an error, nor a byte is waiting to be read. See
    /// [the module](crate::tcp) for what it cannot see.
    async fn ping(&self, stream: &mut TcpStream) -> io::Result<()> {
        self.options.ping_on(stream).await
    }

    fn is_open(&self, stream: &mut TcpStream) -> bool {
        socket::is_open(stream)
    }

    /// A URL is no key of this connector, but may be given as one by mistake.
    fn fmt_key(&self, host: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Shown(host), f)
    }

    fn is_retryable(&self, error: &io::Error) -> bool {
        failure::is_retryable(error)
    }
}
