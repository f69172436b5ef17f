//! The settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wharf::tcp::TcpTransport;
use wharf::transport::Transport;
use wharf::{BuildError, Builder, Shared, SharedPool};

use super::dial::Dialer;
use super::http2::Http2Options;
use super::limits::{HeadLimits, Limits, TimeLimits};
use super::proxy_or_none::Proxies;
use super::tls_or_none::Tls;
use super::{Client, HttpConnector, Protocol};

/// Sets up a [`Client`]. Made by [`Client::builder`].
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::SharedPool;
/// use wharf_http::{Client, Protocol};
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
    tls: Tls,
    transport: Arc<dyn Transport>,
    /// `None` if none were set.
    proxies: Option<Proxies>,
    http2: Http2Options,
    head: HeadLimits,
    max_streams: usize,
    /// `None` if it was not set.
    pings_idle: Option<bool>,
    limits: TimeLimits,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            pool: SharedPool::builder(),
            protocol: Protocol::default(),
            tls: Tls::default(),
            transport: Arc::new(TcpTransport::new()),
            proxies: None,
            http2: Http2Options::default(),
            head: HeadLimits::default(),
            max_streams: 100,
            pings_idle: None,
            limits: TimeLimits::default(),
        }
    }
}

impl ClientBuilder {
    /// Sets all options of the pool, replacing those that were set before. Call it first, and only
    /// where the common options below are not enough. Caps count connections of either HTTP
    /// version; a use is a request.
    ///
    /// Defaults to `SharedPool::builder()`: up to 10 connections to each host. An HTTP/2 host gets
    /// a second one only when the first is full.
    pub fn pool(mut self, pool: Builder<Shared>) -> Self {
        self.pool = pool;
        self
    }

    /// Caps the connections to one host: [`Builder::max_per_host`].
    ///
    /// Defaults to 10.
    pub fn max_per_host(self, n: impl Into<Option<usize>>) -> Self {
        self.set_pool(|pool| pool.max_per_host(n))
    }

    /// Caps the idle connections to one host: [`Builder::max_idle_per_host`].
    ///
    /// Defaults to `None`: as many as `max_per_host`.
    pub fn max_idle_per_host(self, n: impl Into<Option<usize>>) -> Self {
        self.set_pool(|pool| pool.max_idle_per_host(n))
    }

    /// Caps the connections to all hosts together: [`Builder::max_total`].
    ///
    /// Defaults to `None`.
    pub fn max_total(self, n: impl Into<Option<usize>>) -> Self {
        self.set_pool(|pool| pool.max_total(n))
    }

    /// Limits the wait for a connection, including its dial: [`Builder::acquire_timeout`].
    ///
    /// Defaults to 30 seconds.
    pub fn acquire_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.acquire_timeout(limit))
    }

    /// Limits a dial, including its TLS handshake: [`Builder::connect_timeout`].
    ///
    /// Defaults to 10 seconds.
    pub fn connect_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.connect_timeout(limit))
    }

    /// Sets how long a connection may stay idle before it is closed: [`Builder::idle_timeout`].
    ///
    /// Defaults to 90 seconds.
    pub fn idle_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.idle_timeout(limit))
    }

    /// Sets how old a connection may become: [`Builder::max_lifetime`].
    ///
    /// Defaults to 30 minutes.
    pub fn max_lifetime(self, limit: impl Into<Option<Duration>>) -> Self {
        self.set_pool(|pool| pool.max_lifetime(limit))
    }

    fn set_pool(mut self, set: impl FnOnce(Builder<Shared>) -> Builder<Shared>) -> Self {
        self.pool = set(self.pool);
        self
    }

    /// Limits a request, from the call until its response has been read to the end. This includes the
    /// wait for a connection, repeated attempts, and the body of the response. When the limit is
    /// over, the request or the next read of the response's body fails with
    /// [`Error::Timeout`](super::Error::Timeout), and its connection (on HTTP/2: its stream) is
    /// closed as if the caller had given up. A request that got no connection in that time fails with
    /// the pool's own report, [`Error::Acquire`](super::Error::Acquire). For a single request there
    /// is [`Client::with_timeout`].
    ///
    /// Defaults to `None`: only the caller knows how long a response may take.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.limits.whole = limit.into();
        self
    }

    /// Limits the time until the head of a response arrives, once the connection has taken the whole
    /// request. Each attempt has its own limit. When it is over, the request fails with
    /// [`Error::HeaderTimeout`](super::Error::HeaderTimeout), as if the caller had given up.
    ///
    /// Defaults to `None`, like Go's `ResponseHeaderTimeout`.
    pub fn response_header_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.limits.head = limit.into();
        self
    }

    /// Selects the version of HTTP.
    ///
    /// Defaults to [`Protocol::Negotiated`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets the trusted authorities and the client's own certificate: a [`crate::tls::Tls`], or
    /// the `ClientConfig` of rustls. Its ALPN protocols are replaced by those that
    /// [`protocol`](ClientBuilder::protocol) offers.
    ///
    /// Defaults to [`Tls::new`](crate::tls::Tls::new), which trusts what the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<crate::tls::Tls>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets how streams to hosts are made: a
    /// [`TcpTransport`] with other settings, a proxy, or servers in memory.
    ///
    /// Defaults to [`TcpTransport::new`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Arc::new(transport);
        self
    }

    /// Sends requests through these proxies, chosen for each request by scheme, host and port: a
    /// [`Proxy`](crate::proxy::Proxy) for all of them, a function, or
    /// [`Proxies::from_env`](crate::proxy::Proxies::from_env). Replaces those that were set before.
    ///
    /// Defaults to none. The environment is read only if you ask for it.
    ///
    /// A SOCKS5 proxy, and an HTTP proxy for `https`, opens a tunnel to the server. `http` requests are
    /// sent to an HTTP proxy in absolute form (`GET http://example.com/ HTTP/1.1`) with its
    /// `Proxy-Authorization`, and its answers are responses, `407` too. With
    /// [`Protocol::Http2`] they go through a tunnel. A Unix socket is always dialed directly.
    ///
    /// As in Go, the proxy is a part of the pool's key: a connection through one is not used for
    /// requests through another, or for direct ones. Unlike in Go, and as in reqwest, so is the host of a
    /// request in absolute form; a proxy that forwards requests has connections for each host, and
    /// [`max_per_host`](ClientBuilder::max_per_host) counts them for each.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf_http::Client;
    /// use wharf_http::proxy::{Proxies, Proxy};
    ///
    /// let client = Client::builder().proxies(Proxies::from_env()?).build()?;
    ///
    /// let proxy: Proxy = "http://user:password@proxy.example:3128".parse()?;
    /// let client = Client::builder().proxies(proxy).build()?;
    /// let origin = client.origin(&"http://example.com/".parse()?)?;
    /// let shown = "http://example.com:80 through http://***@proxy.example:3128";
    /// assert_eq!(origin.to_string(), shown);
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    #[cfg(feature = "proxy")]
    pub fn proxies(mut self, proxies: impl Into<Proxies>) -> Self {
        self.proxies = Some(proxies.into());
        self
    }

    /// Limits the requests that one HTTP/2 connection carries at once. A lower limit of the peer
    /// takes precedence.
    ///
    /// Defaults to 100, the lowest limit that the standard recommends to peers. It is also assumed
    /// of a peer until its settings arrive.
    pub fn http2_max_streams(mut self, n: usize) -> Self {
        self.max_streams = n;
        self
    }

    /// Pings HTTP/2 connections that were silent for this long, and ends those that do not answer
    /// within [`http2_keep_alive_timeout`](ClientBuilder::http2_keep_alive_timeout): the requests on
    /// them fail, and new ones use other connections. `None` turns this off: a vanished peer is then
    /// found only when a request to it is cancelled or times out.
    ///
    /// Defaults to 20 seconds, the value of gRPC's guide, and only while a request is in progress
    /// ([`http2_keep_alive_while_idle`](ClientBuilder::http2_keep_alive_while_idle)). A request
    /// that waits for a vanished peer therefore fails after 30 seconds, even without a time-out.
    ///
    /// Some servers treat pings as abuse. By default, gRPC servers let a client ping every five
    /// minutes, and not at all without a call in progress. The third ping that comes too early
    /// while the server sends nothing ends the connection with `ENHANCE_YOUR_CALM`, and the
    /// requests on it fail. Where responses take minutes, allow more pings at the server (in Go,
    /// `keepalive.EnforcementPolicy`), or set a longer interval here.
    pub fn http2_keep_alive_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.http2.keep_alive_interval = interval.into();
        self.pings_idle.get_or_insert(true);
        self
    }

    /// Limits the time for the answer to such a ping.
    ///
    /// Defaults to 10 seconds, the value of gRPC's guide.
    pub fn http2_keep_alive_timeout(mut self, limit: Duration) -> Self {
        self.http2.keep_alive_timeout = limit;
        self
    }

    /// Sets whether [keep-alive](ClientBuilder::http2_keep_alive_interval) also pings HTTP/2
    /// connections that carry no request.
    ///
    /// Defaults to false with the default interval, and to true where `http2_keep_alive_interval`
    /// sets another.
    pub fn http2_keep_alive_while_idle(mut self, pings_idle: bool) -> Self {
        self.pings_idle = Some(pings_idle);
        self
    }

    /// Sets how many bytes of one response's body an HTTP/2 connection stores while nobody reads
    /// them, from 16 KiB to 2 GiB - 1. A server sends no more before some are read, so this also
    /// bounds the speed of one download: a window for each round trip.
    ///
    /// Defaults to 2 MiB. A connection stores at most this much for each request that it carries
    /// (200 MiB with 100 downloads that nobody reads), and at most 1 GiB. That limit of the whole
    /// connection is Go's: it is so high that responses which nobody reads hold up no others.
    pub fn http2_stream_window(mut self, bytes: u32) -> Self {
        self.http2.stream_window = bytes;
        self
    }

    /// Limits the head of a response (on HTTP/1.1 status line and headers; on HTTP/2 names, values,
    /// and 32 bytes for each of them), from 8 KiB to 16 MiB. A request whose response has a larger
    /// one fails with [`Error::HeadTooLarge`](super::Error::HeadTooLarge).
    ///
    /// Defaults to 256 KiB. On HTTP/2, a head of up to four times the limit ends its own request
    /// only; a larger one ends the connection.
    pub fn max_response_head(mut self, bytes: u32) -> Self {
        self.head.bytes = bytes;
        self
    }

    /// Limits the number of headers in an HTTP/1.1 response, from 1 to 10,000. A request whose
    /// response has more fails with [`Error::HeadTooLarge`](super::Error::HeadTooLarge).
    ///
    /// Defaults to 256. Room for all of them is made for each response: 64 bytes for each.
    pub fn http1_max_headers(mut self, n: usize) -> Self {
        self.head.headers = n;
        self
    }

    fn http2_options(&self) -> Http2Options {
        let keep_alive_while_idle = self.pings_idle.unwrap_or(self.http2.keep_alive_while_idle);
        let max_header_list_size = self.head.received();
        Http2Options { keep_alive_while_idle, max_header_list_size, ..self.http2.clone() }
    }

    /// Makes the client. It does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// An invalid setting: the error names the field and the value.
    pub fn build(self) -> Result<Client, BuildError> {
        let head = self.head;
        head.check()?;
        if self.max_streams == 0 {
            return Err(BuildError::new("http2_max_streams", 0, "must be at least 1"));
        }
        self.http2.check([
            "http2_keep_alive_interval",
            "http2_keep_alive_timeout",
            "http2_stream_window",
            "max_response_head",
        ])?;
        let http2 = self.http2_options();
        self.limits.check()?;
        let connector = HttpConnector {
            dialer: Dialer {
                transport: self.transport,
                tls: self.tls.offering(self.protocol.alpn()),
            },
            protocol: self.protocol,
            http2,
            head,
            max_streams: self.max_streams,
        };
        let pool: SharedPool<HttpConnector> = self.pool.build(connector)?;
        Ok(Client::on(pool, Limits { head, time: self.limits }, self.proxies))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("pool", &self.pool)
            .field("protocol", &self.protocol)
            .field("proxies", &self.proxies)
            .field("http2", &self.http2)
            .field("head", &self.head)
            .field("max_streams", &self.max_streams)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the interval and the time for the answer, in seconds, and whether idle connections
    /// are pinged.
    fn pings(builder: &ClientBuilder) -> Option<(u64, u64, bool)> {
        let options = builder.http2_options();
        let interval = options.keep_alive_interval?.as_secs();
        Some((interval, options.keep_alive_timeout.as_secs(), options.keep_alive_while_idle))
    }

    #[test]
    fn http2_is_kept_alive_by_default_and_idle_connections_only_where_that_is_set() {
        let (default, minute) = (Client::builder, Duration::from_secs(60));
        assert_eq!(pings(&default()), Some((20, 10, false)));
        assert_eq!(pings(&default().http2_keep_alive_while_idle(true)), Some((20, 10, true)));
        let set = |builder: ClientBuilder| {
            builder.http2_keep_alive_interval(minute).http2_keep_alive_timeout(minute)
        };
        assert_eq!(pings(&set(default())), Some((60, 60, true)));
        let before = set(default().http2_keep_alive_while_idle(false));
        assert_eq!(pings(&before), Some((60, 60, false)));
        let after = set(default()).http2_keep_alive_while_idle(false);
        assert_eq!(pings(&after), Some((60, 60, false)));
        assert_eq!(pings(&default().http2_keep_alive_interval(None)), None);
    }
}
