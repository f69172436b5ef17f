//! The settings of channels.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use wharf::BuildError;
use wharf::tcp::TcpTransport;
use wharf::transport::Transport;
use wharf_http::conn::{Http2Dialer, Http2Options};

use super::connector::GrpcConnector;
use super::dial::is_server_name;

/// Sets up a [`GrpcConnector`]. Made by [`GrpcConnector::builder`].
///
/// Settings are checked by [`build`](GrpcBuilder::build). Invalid ones are rejected; none is
/// adjusted silently.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf_grpc::GrpcConnector;
///
/// let connector = GrpcConnector::builder()
///     .keep_alive_interval(Duration::from_secs(60))
///     .user_agent("orders/2.1")
///     .build()?;
///
/// let error = GrpcConnector::builder().max_leases(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "max_leases is 0: it must be at least 1");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct GrpcBuilder {
    settings: Settings,
    http2: Http2Options,
    transport: Arc<dyn Transport>,
    #[cfg(feature = "tls")]
    tls: wharf_http::tls::Tls,
}

/// What a connector keeps of its settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) max_leases: usize,
    pub(super) reserved_streams: usize,
    pub(super) user_agent: Option<String>,
    pub(super) tls_server_name: Option<String>,
    pub(super) health_service: String,
}

impl Default for GrpcBuilder {
    fn default() -> Self {
        let mut http2 = Http2Options::default();
        // Servers with default settings treat more than one ping in five minutes as abuse.
        http2.keep_alive_interval = Some(Duration::from_secs(330));
        GrpcBuilder {
            settings: Settings { max_leases: 100, ..Settings::default() },
            http2,
            transport: Arc::new(TcpTransport::new()),
            #[cfg(feature = "tls")]
            tls: wharf_http::tls::Tls::new(),
        }
    }
}

/// # Concurrent calls
impl GrpcBuilder {
    /// Caps the leases on one connection. A server that allows fewer calls at once
    /// (`SETTINGS_MAX_CONCURRENT_STREAMS`) lowers the cap for its connection, and may change it at
    /// any time. While a server allows none, no new leases are given on that connection.
    ///
    /// Defaults to 100, which most servers allow, and which is few enough that the loss of one
    /// connection does not fail everything.
    pub fn max_leases(mut self, n: usize) -> Self {
        self.settings.max_leases = n;
        self
    }

    /// Keeps this many calls below the server's own limit free of leases, so that a health check
    /// finds a stream on a connection that is otherwise full. At least one lease is given in any
    /// case.
    ///
    /// Defaults to 0. Set 1 where calls may last longer than the heartbeat's time limit, on servers
    /// with a limit below [`max_leases`](GrpcBuilder::max_leases).
    pub fn reserved_streams(mut self, n: usize) -> Self {
        self.settings.reserved_streams = n;
        self
    }
}

/// # Keepalive
///
/// These are gRPC's own three settings, by the names that hyper and tonic give them. The pings are HTTP/2's: the server's stack answers them
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
impl GrpcBuilder {
    /// Pings a server from which nothing was heard for this long, while calls run. A connection
    /// whose ping is not answered ends, and the calls on it fail.
    ///
    /// Defaults to five and a half minutes, which every server permits. A call without a deadline
    /// notices a vanished server only after that time; a call with a deadline does not depend on
    /// it, see [the module](super). `None` sends no pings.
    pub fn keep_alive_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.http2.keep_alive_interval = interval.into();
        self
    }

    /// Limits the time for the answer to such a ping.
    ///
    /// Defaults to 10 seconds.
    pub fn keep_alive_timeout(mut self, limit: Duration) -> Self {
        self.http2.keep_alive_timeout = limit;
        self
    }

    /// Sets whether these pings are also sent while no call runs.
    ///
    /// Defaults to false, as in gRPC: servers permit it only if they are configured to.
    pub fn keep_alive_while_idle(mut self, on: bool) -> Self {
        self.http2.keep_alive_while_idle = on;
        self
    }
}

/// # Requests and connections
impl GrpcBuilder {
    /// Sets how many bytes of one call's messages a connection stores while nobody reads them, from
    /// 16 KiB to 2 GiB - 1. A server sends no more before some are read.
    ///
    /// Defaults to 2 MiB. A connection stores at most this much for each call (200 MiB with 100
    /// streams that nobody reads), and at most 1 GiB. That limit of the whole connection is Go's: it
    /// is so high that streams which nobody reads hold up no other call.
    pub fn stream_window(mut self, bytes: u32) -> Self {
        self.http2.stream_window = bytes;
        self
    }

    /// Limits the metadata that a server sends at a time: names, values, and 32 bytes for each, from
    /// 8 KiB to 64 MiB. A call with more fails; with much more, its connection ends.
    ///
    /// Defaults to 1 MiB.
    pub fn max_header_list_size(mut self, bytes: u32) -> Self {
        self.http2.max_header_list_size = bytes;
        self
    }

    /// Sets the name of this program, which precedes tonic's own in the `user-agent`.
    ///
    /// Defaults to none: tonic's alone.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.settings.user_agent = Some(name.into());
        self
    }

    /// Sets how streams to servers are made: a [`TcpTransport`] with other settings, a proxy, or
    /// servers in memory.
    ///
    /// Defaults to [`TcpTransport::new`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Arc::new(transport);
        self
    }

    /// Sets TLS for `https` URIs: the trusted authorities and the client's own certificate, as a
    /// [`Tls`](wharf_http::tls::Tls) or the `ClientConfig` of rustls. HTTP/2 is always requested.
    ///
    /// Defaults to [`Tls::new`](wharf_http::tls::Tls::new), which trusts what the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<wharf_http::tls::Tls>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets the name that a server's certificate must have, for all hosts.
    ///
    /// Defaults to none: the host of the URI.
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.tls_server_name = Some(name.into());
        self
    }

    /// Sets the service whose health a ping checks, such as `"shop.Orders"`.
    ///
    /// Defaults to the empty name: the server as a whole.
    pub fn health_service(mut self, name: impl Into<String>) -> Self {
        self.settings.health_service = name.into();
        self
    }
}

/// # Making it
impl GrpcBuilder {
    /// Makes the connector. It does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// An invalid setting: the error names it and its value.
    pub fn build(self) -> Result<GrpcConnector, BuildError> {
        self.settings.check()?;
        let dialer = Http2Dialer::new(self.transport, self.http2)?;
        #[cfg(feature = "tls")]
        let dialer = dialer.tls(self.tls);
        Ok(GrpcConnector::new_with(self.settings, dialer))
    }
}

impl Settings {
    fn check(&self) -> Result<(), BuildError> {
        if self.max_leases == 0 {
            return Err(BuildError::new("max_leases", 0, "must be at least 1"));
        }
        let is_bad = |name: &&String| {
            name.is_empty() || name.trim() != **name || HeaderValue::from_str(name).is_err()
        };
        if let Some(name) = self.user_agent.as_ref().filter(is_bad) {
            let reason = "must be visible ASCII, without space at its ends";
            return Err(BuildError::new("user_agent", format!("{name:?}"), reason));
        }
        let name = self.tls_server_name.as_ref().filter(|name| !is_server_name(name));
        if let Some(name) = name {
            let reason = "must be a DNS name or an IP address";
            return Err(BuildError::new("tls_server_name", format!("{name:?}"), reason));
        }
        Ok(())
    }
}

impl fmt::Debug for GrpcBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcBuilder")
            .field("settings", &self.settings)
            .field("http2", &self.http2)
            .finish_non_exhaustive()
    }
}
