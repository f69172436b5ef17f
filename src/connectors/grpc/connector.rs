//! Dials gRPC servers.

use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::channel::GrpcChannel;
use super::dial;
use super::error::GrpcError;
use super::options::GrpcOptions;
use super::target::Target;
use crate::connectors::http::connection::HttpConnection;
use crate::connectors::http::http2;
use crate::connectors::http::wire::Wire;
use crate::connectors::shown::Shown;
use crate::connectors::stream::Stream;
use crate::connectors::tcp::Transport;
use crate::connectors::tls::Tls;
use crate::policy::build_error::BuildError;
use crate::policy::connector::Connector;
use crate::pool::shared::SharedConnector;

/// Makes gRPC channels for a [`SharedPool`](crate::SharedPool). The key is the server's URI,
/// `http://host:port` or `https://host:port`, or `http://unix:/path` for a server on a Unix socket.
/// (This is nginx's form; tonic's `unix:/path` is not a valid [`Uri`].) The path is used as
/// written, and calls name the host `localhost`.
///
/// A dial ends when the server has sent its HTTP/2 settings, so that its limit of concurrent calls
/// is known before the first lease. The name is resolved at every dial, and its addresses are tried
/// as described in [`tcp`](crate::tcp#addresses). A URI with user and password is rejected, and
/// shown without them: send credentials as metadata of the calls.
///
/// # Errors
///
/// A dial fails with [`GrpcError`], which names the step that failed.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use http::Uri;
/// use wharf::SharedPool;
/// use wharf::grpc::GrpcConnector;
///
/// let pool = SharedPool::builder().max_per_host(4).build(GrpcConnector::new())?;
/// let orders = pool.host(&Uri::from_static("http://orders.example:50051"));
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct GrpcConnector {
    options: GrpcOptions,
    transport: Transport,
    tls: Tls,
}

impl Default for GrpcConnector {
    fn default() -> Self {
        GrpcConnector::with_options(GrpcOptions::new()).expect("the defaults are good")
    }
}

impl GrpcConnector {
    /// Makes a connector with every option at its default.
    pub fn new() -> Self {
        GrpcConnector::default()
    }

    /// Makes a connector with these options.
    ///
    /// # Errors
    ///
    /// An invalid option: the error names it and its value.
    pub fn with_options(options: GrpcOptions) -> Result<Self, BuildError> {
        options.check()?;
        let transport = Transport::new(options.tcp.clone())?;
        let tls = Tls::new(options.tls.clone(), &[HTTP2]);
        Ok(GrpcConnector { options, transport, tls })
    }
}

impl GrpcConnector {
    async fn secure(&self, uri: &Uri, stream: Stream) -> Result<Stream, GrpcError> {
        let name = dial::server_name(uri, &self.options)?;
        let stream = self.tls.handshake(name, stream).await.map_err(GrpcError::Tls)?;
        match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Ok(Box::new(stream)),
            _ => Err(GrpcError::NoHttp2),
        }
    }
}

const HTTP2: &[u8] = b"h2";

#[async_trait]
impl Connector for GrpcConnector {
    type Key = Uri;
    type Connection = GrpcChannel;
    type Error = GrpcError;

    async fn connect(&self, uri: &Uri) -> Result<GrpcChannel, GrpcError> {
        let is_tls = dial::check(uri)?;
        let target = Target::of(&dial::origin(uri), &self.options);
        let dialed = self.transport.connect(dial::place(uri)).await.map_err(GrpcError::Connect)?;
        let stream: Stream = Box::new(Wire::new(dialed.stream).0);
        let stream = if is_tls { self.secure(uri, stream).await? } else { stream };
        let begun = http2::greeted_handshake(TokioIo::new(stream), &self.options.http2()).await;
        let (http2, driver) = begun.map_err(GrpcError::Handshake)?.ok_or(GrpcError::NoSettings)?;
        dialed.trial.passed();
        let connection = HttpConnection::start_http2(http2, dialed.peer, dialed.signs, driver);
        Ok(GrpcChannel::new(connection, target))
    }

    fn peer_addr(&self, channel: &GrpcChannel) -> Option<SocketAddr> {
        channel.peer_addr()
    }

    /// Asks the standard health service, `grpc.health.v1.Health`. A server without that service
    /// says so, which counts as an answer. After a call that ended while its server was silent, it
    /// sends an HTTP/2 ping instead, which needs no stream: the question is then only whether the
    /// server is alive.
    async fn ping(&self, channel: &mut GrpcChannel) -> Result<(), GrpcError> {
        if channel.http2().is_doubted() {
            return if channel.http2().ping().await { Ok(()) } else { Err(GrpcError::Silent) };
        }
        let service = self.options.health_service.clone();
        let request = HealthCheckRequest { service: service.clone() };
        match HealthClient::new(channel.clone()).check(request).await {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Ok(()),
            Ok(_) => Err(GrpcError::NotServing { service }),
            Err(status) if status.code() == Code::Unimplemented => Ok(()),
            Err(status) => Err(GrpcError::Check(status)),
        }
    }

    fn is_open(&self, channel: &mut GrpcChannel) -> bool {
        channel.is_open()
    }

    /// True: the connection's driver reads at all times, and ends with the connection.
    fn notices_close(&self) -> bool {
        true
    }

    /// Returns whether the connection was reset, ended in the middle of a call, or broke the
    /// protocol. Not after a GOAWAY that tells no error, and not because of a call that failed.
    fn has_failed(&self, channel: &mut GrpcChannel) -> bool {
        channel.connection().signs().has_failed()
    }

    /// Returns when bytes last came from the server, those of TLS included.
    fn last_heard(&self, channel: &GrpcChannel) -> Option<Instant> {
        Some(channel.connection().signs().last_heard())
    }

    /// Shows the URI without credentials and query.
    fn fmt_key(&self, uri: &Uri, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Shown(&uri.to_string()), f)
    }

    fn is_retryable(&self, error: &GrpcError) -> bool {
        error.is_retryable()
    }

    async fn close(&self, channel: GrpcChannel) {
        channel.close().await;
    }
}

impl SharedConnector for GrpcConnector {
    fn max_leases(&self, channel: &GrpcChannel) -> usize {
        let GrpcOptions { max_leases, reserved_streams, .. } = self.options;
        match channel.max_concurrent_streams() {
            None => max_leases,
            Some(0) => 0,
            Some(n) => (n as usize).saturating_sub(reserved_streams).clamp(1, max_leases),
        }
    }
}
