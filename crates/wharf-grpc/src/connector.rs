//! Dials gRPC servers.

use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use http::Uri;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use wharf::connector::Redacted;
use wharf::{Connector, SharedConnector};
use wharf_http::conn::Http2Dialer;

use super::builder::{GrpcBuilder, Settings};
use super::channel::GrpcChannel;
use super::dial;
use super::error::Error;
use super::target::Target;

/// Makes gRPC channels for a [`SharedPool`](wharf::SharedPool). The key is the server's URI,
/// `http://host:port` or `https://host:port`, or `http://unix:/path` for a server on a Unix socket.
/// (This is nginx's form; tonic's `unix:/path` is not a valid [`Uri`].) The path is used as
/// written, and calls name the host `localhost`.
///
/// A dial ends when the server has sent its HTTP/2 settings, so that its limit of concurrent calls
/// is known before the first lease. The name is resolved at every dial, and its addresses are tried
/// as described in [`tcp`](wharf::tcp#addresses). A URI with user and password is rejected, and
/// shown without them: send credentials as metadata of the calls.
///
/// # Errors
///
/// A dial fails with [`Error`], which names the step that failed.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use http::Uri;
/// use wharf::SharedPool;
/// use wharf_grpc::GrpcConnector;
///
/// let pool = SharedPool::builder().max_per_host(4).build(GrpcConnector::new())?;
/// let orders = pool.host(&Uri::from_static("http://orders.example:50051"));
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct GrpcConnector {
    settings: Settings,
    dialer: Http2Dialer,
}

impl Default for GrpcConnector {
    fn default() -> Self {
        GrpcConnector::builder().build().expect("the defaults are good")
    }
}

impl GrpcConnector {
    /// Makes a connector with every setting at its default.
    pub fn new() -> Self {
        GrpcConnector::default()
    }

    /// Starts the set-up of a connector.
    pub fn builder() -> GrpcBuilder {
        GrpcBuilder::default()
    }

    pub(super) fn new_with(settings: Settings, dialer: Http2Dialer) -> Self {
        GrpcConnector { settings, dialer }
    }
}

#[async_trait]
impl Connector for GrpcConnector {
    type Key = Uri;
    type Connection = GrpcChannel;
    type Error = Error;

    async fn connect(&self, uri: &Uri) -> Result<GrpcChannel, Error> {
        let is_tls = dial::check(uri)?;
        let target = Target::of(&dial::origin(uri), &self.settings);
        let set = self.settings.tls_server_name.as_deref();
        let name = if is_tls { Some(dial::tls_name(uri, set)?) } else { None };
        let connection = self.dialer.dial(dial::place(uri), name).await.map_err(Error::Connect)?;
        Ok(GrpcChannel::new(connection, target))
    }

    fn peer_addr(&self, channel: &GrpcChannel) -> Option<SocketAddr> {
        channel.peer_addr()
    }

    /// Asks the standard health service, `grpc.health.v1.Health`. A server without that service
    /// says so, which counts as an answer. After a call that ended while its server was silent, it
    /// sends an HTTP/2 ping instead, which needs no stream: the question is then only whether the
    /// server is alive.
    async fn ping(&self, channel: &mut GrpcChannel) -> Result<(), Error> {
        if channel.connection().is_doubted() {
            return if channel.connection().ping().await { Ok(()) } else { Err(Error::Silent) };
        }
        let service = self.settings.health_service.clone();
        let request = HealthCheckRequest { service: service.clone() };
        match HealthClient::new(channel.clone()).check(request).await {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Ok(()),
            Ok(_) => Err(Error::NotServing { service }),
            Err(status) if status.code() == Code::Unimplemented => Ok(()),
            Err(status) => Err(Error::Check(status)),
        }
    }

    /// Not where the connection [makes room](wharf::connector::Signs::should_move) for one to another server.
    fn is_open(&self, channel: &mut GrpcChannel) -> bool {
        channel.is_open() && !channel.connection().signs().should_move()
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

    /// Returns whether a call has ended in silence since the last ping, also one on a clone of the channel.
    fn is_doubted(&self, channel: &GrpcChannel) -> bool {
        channel.connection().is_doubted()
    }

    /// Returns when bytes last came from the server, those of TLS included.
    fn last_heard(&self, channel: &GrpcChannel) -> Option<Instant> {
        Some(channel.connection().signs().last_heard())
    }

    /// Shows the URI without credentials and query.
    fn fmt_key(&self, uri: &Uri, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Redacted(&uri.to_string()), f)
    }

    fn is_retryable(&self, error: &Error) -> bool {
        error.is_retryable()
    }

    async fn close(&self, channel: GrpcChannel) {
        channel.close().await;
    }
}

impl SharedConnector for GrpcConnector {
    fn max_leases(&self, channel: &GrpcChannel) -> usize {
        let Settings { max_leases, reserved_streams, .. } = self.settings;
        match channel.max_concurrent_streams() {
            None => max_leases,
            Some(0) => 0,
            Some(n) => (n as usize).saturating_sub(reserved_streams).clamp(1, max_leases),
        }
    }
}
