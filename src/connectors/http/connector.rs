//! Dials origins.

use std::net::SocketAddr;

use async_trait::async_trait;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::connection::Speaks;
use super::http2::Http2Options;
use super::protocol::{HTTP2, Protocol};
use super::wire::Wire;
use super::{ConnectError, HttpConnection, Origin, http1, http2};
use crate::connectors::stream::Stream;
use crate::connectors::tcp::Transport;
use crate::connectors::tls::Tls;
use crate::policy::connector::Connector;
use crate::pool::shared::SharedConnector;

/// Makes the connections of a [`Client`](super::Client)'s pool.
///
/// One dial serves both versions: ALPN decides what the connection becomes. An HTTP/1.1 connection
/// carries one request at a time, an HTTP/2 connection many.
pub struct HttpConnector {
    pub(super) transport: Transport,
    pub(super) tls: Tls,
    pub(super) protocol: Protocol,
    pub(super) http2: Http2Options,
}

impl HttpConnector {
    /// Encrypts the stream if the origin requires it. Returns whether the stream speaks HTTP/2.
    async fn secure(&self, origin: &Origin, wire: Wire) -> Result<(Stream, bool), ConnectError> {
        if !origin.is_tls() {
            return Ok((Box::new(wire), self.protocol == Protocol::Http2));
        }
        let name = origin.server_name().map_err(ConnectError::HostName)?;
        let stream: TlsStream<Wire> =
            self.tls.handshake(name, wire).await.map_err(ConnectError::Tls)?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        if self.protocol == Protocol::Http2 && !is_http2 {
            return Err(ConnectError::NoHttp2);
        }
        Ok((Box::new(stream), is_http2))
    }
}

#[async_trait]
impl Connector for HttpConnector {
    type Key = Origin;
    type Connection = HttpConnection;
    type Error = ConnectError;

    async fn connect(&self, origin: &Origin) -> Result<HttpConnection, ConnectError> {
        let dialed = self.transport.connect(origin.place()).await.map_err(ConnectError::Tcp)?;
        let (wire, written) = Wire::new(dialed.stream);
        let (stream, is_http2) = self.secure(origin, wire).await?;
        let (io, signs) = (TokioIo::new(stream), dialed.signs);
        if is_http2 {
            let handshake = http2::handshake(io, &self.http2).await;
            let (http2, driver) = handshake.map_err(ConnectError::Handshake)?;
            dialed.trial.passed();
            return Ok(HttpConnection::start(Speaks::Http2(http2), dialed.peer, signs, driver));
        }
        let (http1, driver) =
            http1::handshake(io, written, signs.clone()).await.map_err(ConnectError::Handshake)?;
        dialed.trial.passed();
        Ok(HttpConnection::start(Speaks::Http1(http1), dialed.peer, signs, driver))
    }

    fn peer_addr(&self, conn: &HttpConnection) -> Option<SocketAddr> {
        conn.peer_addr()
    }

    /// Sends an HTTP/2 peer a PING and waits until anything is heard from it. On HTTP/1.1 it asks
    /// the connection's driver whether it has ended. After a request that got no answer within its
    /// caller's time, an HTTP/2 peer has one second to answer.
    async fn ping(&self, conn: &mut HttpConnection) -> Result<(), ConnectError> {
        let is_there = match conn.speaks() {
            Speaks::Http1(http1) => http1.is_open(),
            Speaks::Http2(http2) => http2.ping().await,
        };
        if is_there { Ok(()) } else { Err(ConnectError::Ended) }
    }

    fn is_open(&self, conn: &mut HttpConnection) -> bool {
        conn.is_open()
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
