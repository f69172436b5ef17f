//! TLS around the streams of another transport.

use std::io;

use async_trait::async_trait;
use wharf::transport::{self, Place, Stream, Transport};

use crate::tls::{Tls, is_retryable};

/// Makes TLS streams on those of another transport: for protocols without a client of their own,
/// such as Redis over TLS. (The clients for HTTP, gRPC, WebSocket and PostgreSQL speak TLS by
/// themselves.)
///
/// The server must present a certificate for the host that is dialed; over a Unix socket, for
/// `localhost`.
///
/// # Errors
///
/// Those of the other transport, and those of [`Tls::connect`]; where another handshake is pointless, as
/// `InvalidInput`, so that pools do not dial again.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use wharf::Pool;
/// use wharf::tcp::TcpTransport;
/// use wharf::transport::StreamConnector;
/// use wharf_tls::{Tls, TlsTransport};
///
/// let transport = TlsTransport::new(TcpTransport::new(), Tls::new());
/// let pool = Pool::builder().build(StreamConnector::new(transport))?;
/// let cache = pool.host("cache.example:6380");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct TlsTransport<T> {
    inner: T,
    tls: Tls,
}

impl<T: Transport> TlsTransport<T> {
    /// Makes a transport that speaks TLS on the streams of another one.
    pub fn new(inner: T, tls: impl Into<Tls>) -> Self {
        TlsTransport { inner, tls: tls.into() }
    }
}

/// Makes an error after which another handshake is pointless one after which a dial is.
fn final_as_such(error: io::Error) -> io::Error {
    if is_retryable(&error) || !transport::is_retryable(&error) {
        return error;
    }
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

#[async_trait]
impl<T: Transport> Transport for TlsTransport<T> {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        let mut plain = self.inner.connect(to).await?;
        let (trial, signs, peer) = (plain.trial(), plain.signs().clone(), plain.peer_addr());
        let name = match to {
            Place::Host(host) => host.bare_name(),
            _ => "localhost",
        };
        let secured = self.tls.connect(name, plain).await.map_err(final_as_such)?;
        let stream = Stream::with_signs(secured, signs);
        trial.passed();
        Ok(match peer {
            Some(peer) => stream.with_peer(peer),
            None => stream,
        })
    }
}
