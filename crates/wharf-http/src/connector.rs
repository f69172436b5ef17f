//! Dials origins.

use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use wharf::transport::Place;
use wharf::{Connector, SharedConnector, async_trait};

use super::connection::Proto;
use super::dial::{Dialer, Route};
use super::http2::Http2Options;
use super::limits::HeadLimits;
use super::protocol::Protocol;
use super::{ConnectError, HttpConnection, Origin, http1, http2};

/// Makes the connections of a [`Client`](super::Client)'s pool.
///
/// One dial serves both versions: ALPN decides what the connection becomes. An HTTP/1.1 connection
/// carries one request at a time, an HTTP/2 connection many.
pub struct HttpConnector {
    pub(super) dialer: Dialer,
    pub(super) protocol: Protocol,
    pub(super) http2: Http2Options,
    pub(super) head: HeadLimits,
    /// The most exchanges on an HTTP/2 connection.
    pub(super) max_streams: usize,
}

impl HttpConnector {
    /// A proxy that forwards requests speaks HTTP/1.1.
    fn route<'a>(&self, origin: &'a Origin) -> Route<'a> {
        let forwarded_by = origin.forwarded_by().filter(|_| self.protocol != Protocol::Http2);
        match (forwarded_by, origin.proxy(), origin.place()) {
            (Some(proxy), _, _) => Route::Direct(Place::Host(proxy.host())),
            (None, Some(proxy), Place::Host(host)) => Route::Through(proxy, host),
            (_, _, place) => Route::Direct(place),
        }
    }
}

#[async_trait]
impl Connector for HttpConnector {
    type Key = Origin;
    type Connection = HttpConnection;
    type Error = ConnectError;

    async fn connect(&self, origin: &Origin) -> Result<HttpConnection, ConnectError> {
        let dialed = self.dialer.dial(self.route(origin), origin.tls_name()).await?;
        let is_http2 = match self.protocol {
            Protocol::Http2 if origin.is_tls() && !dialed.chose_http2 => {
                return Err(ConnectError::NoHttp2);
            }
            Protocol::Http2 => true,
            Protocol::Negotiated | Protocol::Http1 => dialed.chose_http2,
        };
        let (stream, signs) = (dialed.stream, dialed.signs);
        if is_http2 {
            let handshake = http2::handshake(stream, &self.http2, self.max_streams).await;
            let (http2, driver) = handshake.map_err(ConnectError::Handshake)?;
            let connection = HttpConnection::start(Proto::Http2(http2), dialed.peer, signs, driver);
            return Ok(connection.on_trial(dialed.trial));
        }
        let handshake =
            http1::handshake(TokioIo::new(stream), dialed.written, signs.clone(), self.head).await;
        let (http1, driver) = handshake.map_err(ConnectError::Handshake)?;
        let connection = HttpConnection::start(Proto::Http1(http1), dialed.peer, signs, driver);
        Ok(connection.on_trial(dialed.trial))
    }

    fn peer_addr(&self, conn: &HttpConnection) -> Option<SocketAddr> {
        conn.peer_addr()
    }

    /// Sends an HTTP/2 peer a PING and waits until anything is heard from it. On HTTP/1.1 it asks
    /// the connection's driver whether it has ended. After a request that got no response within its
    /// caller's time, an HTTP/2 peer has one second to answer.
    async fn ping(&self, conn: &mut HttpConnection) -> Result<(), ConnectError> {
        let is_there = match conn.proto() {
            Proto::Http1(http1) => http1.is_open(),
            Proto::Http2(http2) => http2.ping().await,
        };
        if is_there { Ok(()) } else { Err(ConnectError::Ended) }
    }

    /// Not where the connection [makes room](wharf::connector::Signs::should_move) for one to another server.
    fn is_open(&self, conn: &mut HttpConnection) -> bool {
        conn.is_open() && !conn.signs().should_move()
    }

    /// True: the connection's driver reads at all times, and ends with the connection.
    fn notices_close(&self) -> bool {
        true
    }

    /// Returns whether the connection was reset, ended in the middle of an exchange, or broke the
    /// protocol. Not after `Connection: close`, a GOAWAY that tells no error, or an exchange that
    /// its caller gave up.
    fn has_failed(&self, conn: &mut HttpConnection) -> bool {
        conn.signs().has_failed()
    }

    /// Returns when bytes last came from the peer, those of TLS included.
    fn last_heard(&self, conn: &HttpConnection) -> Option<Instant> {
        Some(conn.signs().last_heard())
    }

    fn is_retryable(&self, error: &ConnectError) -> bool {
        error.is_retryable()
    }

    async fn close(&self, conn: HttpConnection) {
        conn.close().await;
    }
}

impl SharedConnector for HttpConnector {
    fn max_leases(&self, conn: &HttpConnection) -> usize {
        conn.max_exchanges()
    }

    /// One if HTTP/1.1 is certain; unlimited if ALPN decides.
    fn expected_leases(&self, origin: &Origin) -> usize {
        match self.protocol {
            Protocol::Http1 => 1,
            Protocol::Negotiated if !origin.is_tls() => 1,
            Protocol::Negotiated | Protocol::Http2 => usize::MAX,
        }
    }
}
