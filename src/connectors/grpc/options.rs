//! The settings of channels.

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
/// The options are checked when the connector takes them. Invalid ones are rejected; none is
/// adjusted silently.
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

/// # Concurrent calls
impl GrpcOptions {
    /// Makes options with every value at its default.
    pub fn new() -> Self {
        GrpcOptions::default()
    }

    /// Caps the leases on one connection. A server that allows fewer calls at once
    /// (`SETTINGS_MAX_CONCURRENT_STREAMS`) lowers the cap for its connection, and may change it at
    /// any time. While a server allows none, no new leases are given on that connection.
    ///
    /// Defaults to 100, which most servers allow, and which is few enough that the loss of one
    /// connection does not fail everything.
    pub fn max_leases(mut self, n: usize) -> Self {
        self.max_leases = n;
        self
    }

    /// Keeps this many calls below the server's own limit free of leases, so that a health check
    /// finds a stream on a connection that is otherwise full. At least one lease is given in any
    /// case.
    ///
    /// Defaults to 0. Set 1 where calls may last longer than the heartbeat's time limit, on servers
    /// with a limit below [`max_leases`](GrpcOptions::max_leases).
    pub fn reserved_streams(mut self, n: usize) -> Self {
        self.reserved_streams = n;
        self
    }
}

/// # Keepalive
///
/// These are gRPC's own three settings. The pings are HTTP/2's: the server's stack answers them
/// even if its program hangs. They are separate from the pool's heartbeats; see [the
/// module](super).
///
/// # When pings are too many
///
/// Servers of gRPC's own libraries (Go, C++, Java and those built on them) with default settings
/// allow one ping after each header or message that they have sent, and otherwise expect five
/// minutes between two pings. After the third ping that comes too early they end the connection
/// (GOAWAY with `ENHANCE_YOUR_CALM`, `too_many_pings`), and the calls on it fail with `UNAVAILABLE`
/// or `RESOURCE_EXHAUSTED`. The default here is longer than that, so a stream is safe even if its
/// server is silent for hours. For a shorter time, configure the server as well
/// (`PERMIT_KEEPALIVE_TIME`, in Go `EnforcementPolicy::MinTime`). Servers made with tonic or hyper
/// accept any number.
impl GrpcOptions {
    /// Pings a server from which nothing was heard for this long, while calls run. A connection
    /// whose ping is not answered ends, and the calls on it fail.
    ///
    /// Defaults to five and a half minutes, which every server permits. A call without a deadline
    /// notices a vanished server only after that time; a call with a deadline does not depend on
    /// it, see [the module](super). `None` sends no pings.
    pub fn keepalive(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.keepalive.time = time.into();
        self
    }

    /// Limits the time for the answer to such a ping.
    ///
    /// Defaults to 10 seconds.
    pub fn keepalive_timeout(mut self, limit: Duration) -> Self {
        self.keepalive.timeout = limit;
        self
    }

    /// Sets whether these pings are also sent while no call runs.
    ///
    /// Defaults to false, as in gRPC: servers permit it only if they are configured to.
    pub fn keepalive_without_calls(mut self, on: bool) -> Self {
        self.keepalive.without_calls = on;
        self
    }
}

/// # Requests and connections
impl GrpcOptions {
    /// Sets the name of this program, which precedes tonic's own in the `user-agent`.
    ///
    /// Defaults to none: tonic's alone.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = Some(name.into());
        self
    }

    /// Sets how hosts are dialed: the resolver, the choice among their addresses, and the socket
    /// options.
    ///
    /// Defaults to [`TcpOptions::new`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// Sets TLS for `https` URIs: the trusted authorities and the client's own certificate. HTTP/2
    /// is always requested.
    ///
    /// Defaults to `None`: TLS 1.2 and 1.3, trusting what the system trusts, including a company's
    /// own authorities. macOS and Windows verify certificates themselves; elsewhere the authorities
    /// in `/etc/ssl` or `SSL_CERT_FILE` are read once for the program. If there are none, dials
    /// fail with an error that says so.
    pub fn tls(mut self, config: impl Into<Option<Arc<ClientConfig>>>) -> Self {
        self.tls = config.into();
        self
    }

    /// Sets the name that a server's certificate must have, for all hosts.
    ///
    /// Defaults to none: the host of the URI.
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls_server_name = Some(name.into());
        self
    }

    /// Sets the service whose health a ping checks, such as `"shop.Orders"`.
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
