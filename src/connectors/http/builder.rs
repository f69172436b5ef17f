//! The settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ClientConfig;

use super::call::TimeLimits;
use super::http2::{Http2Options, KeepAlive};
use super::{Client, HttpConnector, Protocol};
use crate::connectors::tcp::{TcpOptions, Transport};
use crate::connectors::tls::Tls;
use crate::policy::build_error::BuildError;
use crate::pool::builder::{Builder, Shared};
use crate::pool::shared::SharedPool;

/// Sets up a [`Client`]. Made by [`Client::builder`].
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::SharedPool;
/// use wharf::http::{Client, Protocol};
///
/// let client = Client::builder()
///     .pool(SharedPool::builder().max_uses(1000))
///     .max_per_host(8)
///     .timeout(Duration::from_secs(30))
///     .protocol(Protocol::Http1)
///     .build()?;
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    pool: Builder<Shared>,
    protocol: Protocol,
    tls: Option<Arc<ClientConfig>>,
    tcp: TcpOptions,
    http2: Http2Options,
    /// Where it was set.
    pings_idle: Option<bool>,
    limits: TimeLimits,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            pool: Builder::new(),
            protocol: Protocol::default(),
            tls: None,
            tcp: TcpOptions::new(),
            http2: Http2Options::default(),
            pings_idle: None,
            limits: TimeLimits::default(),
        }
    }
}

impl ClientBuilder {
    /// All settings of the pool, in place of those that were set before: call it first, where the
    /// usual ones below are not enough. Caps count connections, of either version; a use is a request.
    ///
    /// Defaults to `SharedPool::builder()`: up to 10 connections to each host. An HTTP/2 host gets a
    /// second one only when the first is full.
    pub fn pool(mut self, pool: Builder<Shared>) -> Self {
        self.pool = pool;
        self
    }

    /// The most connections to one host: [`Builder::max_per_host`].
    ///
    /// Defaults to 10.
    pub fn max_per_host(self, n: impl Into<Option<usize>>) -> Self {
        self.set_pool(|pool| pool.max_per_host(n))
    }

    /// The most idle connections to one host: [`Builder::max_idle_per_host`].
    ///
    /// Defaults to `None`: as many as `max_per_host`.
    pub fn max_idle_per_host(self, n: impl Into<Option<usize>>) -> Self {
        self.set_pool(|pool| pool.max_idle_per_host(n))
    }

    /// The most connections to all hosts together: [`Builder::max_total`].
    ///
    /// Defaults to `None`.
    pub fn max_total(self, n: impl Into<Option<usize>>) -> Self {
        self.set_pool(|pool| pool.max_total(n))
    }

    /// The longest wait for a connection, its dial included: [`Builder::acquire_timeout`].
    ///
    /// Defaults to 30 seconds.
    pub fn acquire_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.acquire_timeout(limit))
    }

    /// The longest that a dial may take, with its TLS handshake: [`Builder::connect_timeout`].
    ///
    /// Defaults to 10 seconds.
    pub fn connect_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.connect_timeout(limit))
    }

    /// How long a connection may be idle before it is closed: [`Builder::idle_timeout`].
    ///
    /// Defaults to 90 seconds.
    pub fn idle_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.idle_timeout(limit))
    }

    /// How old a connection may become: [`Builder::max_lifetime`].
    ///
    /// Defaults to 30 minutes.
    pub fn max_lifetime(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.max_lifetime(limit))
    }

    fn set_pool(mut self, set: impl FnOnce(Builder<Shared>) -> Builder<Shared>) -> Self {
        self.pool = set(self.pool);
        self
    }

    /// The longest that a request may take, from the call until its answer has been read to the end:
    /// the wait for a connection, attempts that are repeated, and the body of the answer included.
    /// When it is over, the request or the next read of the answer's body fails with
    /// [`Error::Timeout`](super::Error::Timeout), and its connection (on HTTP/2: its stream) is
    /// closed as if the caller had given up.
    ///
    /// Defaults to `None`: how long an answer may take, only its caller knows.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.limits.whole = limit.into();
        self
    }

    /// The longest that the head of an answer may take to come, once the connection has taken the
    /// whole request. Each attempt has its own. When it is over, the request fails with
    /// [`Error::HeaderTimeout`](super::Error::HeaderTimeout), as if the caller had given up.
    ///
    /// Defaults to `None`, as in Go, whose `ResponseHeaderTimeout` this is.
    pub fn response_header_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.limits.head = limit.into();
        self
    }

    /// Which version of HTTP is spoken.
    ///
    /// Defaults to [`Protocol::Negotiated`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// What is trusted, and how the client shows who it is. The list of ALPN protocols in it is
    /// replaced by what [`protocol`](ClientBuilder::protocol) offers.
    ///
    /// Defaults to what the system trusts, a company's own authorities included: macOS and Windows
    /// verify certificates themselves, elsewhere the authorities of `/etc/ssl` or of `SSL_CERT_FILE`
    /// are read, once for the program, at the first handshake. Where there are none, dials fail with
    /// an error that says so. It is TLS 1.2 and 1.3 with ring's cryptography, and no certificate of
    /// the client's.
    pub fn tls(mut self, config: impl Into<Arc<ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// How hosts are dialed: the resolver, which of their addresses, and what is set on the sockets.
    ///
    /// Defaults to [`TcpOptions::new`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// Requests that one HTTP/2 connection carries at once. Where the peer allows fewer, that holds.
    ///
    /// Defaults to 100, the least that the standard recommends peers to allow, which is also what is
    /// assumed of a peer until it tells.
    pub fn http2_max_streams(mut self, n: usize) -> Self {
        self.http2.max_streams = n;
        self
    }

    /// Pings HTTP/2 connections, idle ones too, that were silent for `interval`, and ends those that
    /// do not answer within `timeout`: the requests on them fail, and new ones go elsewhere.
    ///
    /// Defaults to 20 seconds and 10 seconds, which are those of gRPC's guide, and only while a request is under way
    /// ([`http2_keep_alive_while_idle`](ClientBuilder::http2_keep_alive_while_idle)). So a request that waits for a peer
    /// that has vanished fails after 30 seconds, with no time-out of its own.
    ///
    /// Some servers take pings for abuse. gRPC's by default let a client ping every five minutes, and none that has no call
    /// under way; the third ping that comes too early while they send nothing ends the connection with
    /// `ENHANCE_YOUR_CALM`, and the requests on it fail. Where answers take minutes, allow more pings at the server (in
    /// Go, `keepalive.EnforcementPolicy`), or set a longer interval here.
    pub fn http2_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.http2.keep_alive = Some(KeepAlive { interval, timeout });
        self.pings_idle.get_or_insert(true);
        self
    }

    /// Whether [keep-alive](ClientBuilder::http2_keep_alive) pings HTTP/2 connections that carry no request, too.
    ///
    /// Defaults to no for the default times, and to yes where `http2_keep_alive` sets others.
    pub fn http2_keep_alive_while_idle(mut self, pings_idle: bool) -> Self {
        self.pings_idle = Some(pings_idle);
        self
    }

    /// Pings no HTTP/2 connection on a timer. A peer that has vanished is found when a request to it is cancelled or its
    /// time is over, and not before.
    ///
    /// Defaults to [pings](ClientBuilder::http2_keep_alive) while a request is under way.
    pub fn no_http2_keep_alive(mut self) -> Self {
        self.http2.keep_alive = None;
        self
    }

    fn http2_options(&self) -> Http2Options {
        let pings_idle = self.pings_idle.unwrap_or(self.http2.pings_idle);
        Http2Options { pings_idle, ..self.http2.clone() }
    }

    /// Makes the client. Does no I/O, and needs no runtime.
    ///
    /// # Errors
    ///
    /// A setting that cannot be meant: the error names the field and the value.
    pub fn build(self) -> Result<Client, BuildError> {
        self.http2.check()?;
        let http2 = self.http2_options();
        self.limits.check()?;
        let connector = HttpConnector {
            transport: Transport::new(self.tcp)?,
            tls: Tls::new(self.tls, self.protocol.alpn()),
            protocol: self.protocol,
            http2,
        };
        let pool: SharedPool<HttpConnector> = self.pool.build(connector)?;
        Ok(Client::on(pool, self.limits))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("pool", &self.pool)
            .field("protocol", &self.protocol)
            .field("tcp", &self.tcp)
            .field("http2", &self.http2)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interval and time for the answer, in seconds, and whether idle connections are pinged.
    fn pings(builder: &ClientBuilder) -> Option<(u64, u64, bool)> {
        let options = builder.http2_options();
        let KeepAlive { interval, timeout } = options.keep_alive?;
        Some((interval.as_secs(), timeout.as_secs(), options.pings_idle))
    }

    #[test]
    fn http2_is_kept_alive_by_default_and_idle_connections_only_where_that_is_set() {
        let (default, minute) = (Client::builder, Duration::from_secs(60));
        assert_eq!(pings(&default()), Some((20, 10, false)));
        assert_eq!(pings(&default().http2_keep_alive_while_idle(true)), Some((20, 10, true)));
        assert_eq!(pings(&default().http2_keep_alive(minute, minute)), Some((60, 60, true)));
        let before = default().http2_keep_alive_while_idle(false).http2_keep_alive(minute, minute);
        assert_eq!(pings(&before), Some((60, 60, false)));
        let after = default().http2_keep_alive(minute, minute).http2_keep_alive_while_idle(false);
        assert_eq!(pings(&after), Some((60, 60, false)));
        assert_eq!(pings(&default().no_http2_keep_alive()), None);
    }
}
