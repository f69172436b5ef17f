//! How channels are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::keepalive::Keepalive;
use crate::connectors::http::http2::Http2Options;
use crate::connectors::tcp::TcpOptions;
use crate::policy::build_error::BuildError;

/// Options of the channels that a [`GrpcConnector`](super::GrpcConnector) makes.
///
/// Nothing is checked before the connector takes them, and nothing is silently corrected.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::grpc::{GrpcConnector, GrpcOptions};
///
/// let options = GrpcOptions::new()
///     .keepalive(Duration::from_secs(60))
///     .user_agent("orders/2.1");
/// let connector = GrpcConnector::with_options(options)?;
///
/// let error = GrpcConnector::with_options(GrpcOptions::new().max_leases(0)).unwrap_err();
/// assert_eq!(error.to_string(), "max_leases is 0: it must be at least 1");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until a connector takes them"]
pub struct GrpcOptions {
    pub(super) max_leases: usize,
    pub(super) reserved_streams: usize,
    pub(super) keepalive: Keepalive,
    pub(super) user_agent: Option<String>,
    pub(super) tcp: TcpOptions,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) tls_server_name: Option<String>,
    pub(super) health_service: String,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        GrpcOptions {
            max_leases: 100,
            reserved_streams: 0,
            keepalive: Keepalive::default(),
            user_agent: None,
            tcp: TcpOptions::new(),
            tls: None,
            tls_server_name: None,
            health_service: String::new(),
        }
    }
}

/// # How many calls
impl GrpcOptions {
    /// Makes options that are all at their defaults.
    pub fn new() -> Self {
        GrpcOptions::default()
    }

    /// The most leases on one connection. A server that takes fewer calls at once
    /// (`SETTINGS_MAX_CONCURRENT_STREAMS`) lowers it for its connection, and may change that at any
    /// time; one that takes none for now is given no new leases on that connection at all.
    ///
    /// Defaults to 100, which is what most servers take, and few enough that one connection's loss
    /// does not fail everything.
    pub fn max_leases(mut self, n: usize) -> Self {
        self.max_leases = n;
        self
    }

    /// Calls below the server's own limit that no lease is given for, so that a health check finds a
    /// stream on a connection that is otherwise full. At least one lease is given all the same.
    ///
    /// Defaults to 0. Set 1 where heartbeats meet calls that last longer than the heartbeat's
    /// patience, on servers with a limit below [`max_leases`](GrpcOptions::max_leases).
    pub fn reserved_streams(mut self, n: usize) -> Self {
        self.reserved_streams = n;
        self
    }
}

/// # Keepalive
///
/// gRPC's own three settings. These pings are HTTP/2's: the server's stack answers them, whatever its
/// program does. They are apart from the pool's heartbeats; see [the module](super).
///
/// # When pings are too many
///
/// Servers of gRPC's own libraries (Go, C++, Java and those on top of these), left at their defaults, forgive
/// one ping after each time that they have sent a header or a message, and otherwise expect five minutes
/// between two pings. After the third that comes too early they end the connection (GOAWAY with
/// `ENHANCE_YOUR_CALM`, `too_many_pings`), and the calls on it fail with `UNAVAILABLE` or `RESOURCE_EXHAUSTED`.
/// The default here is longer than that, so that a stream on which a server is silent for hours is safe. Agree on a
/// shorter time with the server (`PERMIT_KEEPALIVE_TIME`, in Go `EnforcementPolicy::MinTime`). Servers made with tonic
/// or hyper take any number.
impl GrpcOptions {
    /// Pings a server from which nothing was heard for this long, while calls run. A connection whose
    /// ping is not answered ends, and the calls on it fail.
    ///
    /// Defaults to five and a half minutes, which every server permits. Calls without a deadline notice only then that
    /// their server has vanished; calls with one do not depend on it, see [the module](super). `None` pings nobody.
    pub fn keepalive(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.keepalive.time = time.into();
        self
    }

    /// How long the answer to such a ping may take.
    ///
    /// Defaults to 10 seconds.
    pub fn keepalive_timeout(mut self, limit: Duration) -> Self {
        self.keepalive.timeout = limit;
        self
    }

    /// Whether such pings are sent also while no call runs.
    ///
    /// Defaults to false, as in gRPC: servers permit it only when they are told to.
    pub fn keepalive_without_calls(mut self, on: bool) -> Self {
        self.keepalive.without_calls = on;
        self
    }
}

/// # What is sent
impl GrpcOptions {
    /// The name of this program, which stands before tonic's own in the `user-agent`.
    ///
    /// Defaults to none: tonic's alone.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = Some(name.into());
        self
    }

    /// How hosts are dialed: the resolver, which of their addresses, and what is set on the sockets.
    ///
    /// Defaults to [`TcpOptions::new`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// TLS for `https` URIs: whom to trust, and who this client is. HTTP/2 is asked for in any case.
    ///
    /// Defaults to `None`: TLS 1.2 and 1.3, and what the system trusts, a company's own authorities
    /// included: macOS and Windows verify certificates themselves, elsewhere the authorities of
    /// `/etc/ssl` or of `SSL_CERT_FILE` are read, once for the program. Where there are none, dials
    /// fail with an error that says so.
    pub fn tls(mut self, config: impl Into<Option<Arc<ClientConfig>>>) -> Self {
        self.tls = config.into();
        self
    }

    /// The name that a server's certificate must be for, for all hosts.
    ///
    /// Defaults to none: the host of the URI.
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls_server_name = Some(name.into());
        self
    }

    /// The service that a ping asks after, such as `"shop.Orders"`.
    ///
    /// Defaults to the empty name: the server as a whole.
    pub fn health_service(mut self, name: impl Into<String>) -> Self {
        self.health_service = name.into();
        self
    }
}

/// # Using
impl GrpcOptions {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if self.max_leases == 0 {
            return Err(BuildError::new("max_leases", 0, "must be at least 1"));
        }
        if let Some(name) = &self.user_agent {
            HeaderValue::from_str(name).map_err(|_| {
                BuildError::new("user_agent", format!("{name:?}"), "must be visible ASCII")
            })?;
        }
        if let Some(name) = &self.tls_server_name {
            ServerName::try_from(name.as_str()).map_err(|_| {
                let reason = "must be a DNS name or an IP address";
                BuildError::new("tls_server_name", format!("{name:?}"), reason)
            })?;
        }
        self.keepalive.check()
    }

    pub(super) fn http2(&self) -> Http2Options {
        Http2Options {
            max_streams: self.max_leases,
            keep_alive: self.keepalive.pings(),
            pings_idle: self.keepalive.without_calls,
        }
    }
}

impl fmt::Debug for GrpcOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcOptions")
            .field("max_leases", &self.max_leases)
            .field("reserved_streams", &self.reserved_streams)
            .field("keepalive", &self.keepalive)
            .field("tcp", &self.tcp)
            .field("user_agent", &self.user_agent)
            .field("tls_server_name", &self.tls_server_name)
            .field("health_service", &self.health_service)
            .finish_non_exhaustive()
    }
}
