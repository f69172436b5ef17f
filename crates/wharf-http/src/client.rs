//! The HTTP client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

use super::call::Call;
use super::error::BoxError;
use super::limits::Limits;
use super::proxy_or_none::Proxies;
use super::{ClientBuilder, Error, HttpConnector, Origin, PooledBody};
use wharf::SharedPool;

/// An HTTP client on a pool of connections. Clones are cheap and share the pool.
///
/// # Examples
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::{BodyExt, Empty};
/// use wharf_http::Client;
///
/// let client = Client::builder().max_per_host(8).build()?;
///
/// let request = http::Request::get("https://example.com/").body(Empty::<bytes::Bytes>::new())?;
/// let response = client.request(request).await?;
/// println!("{} {:?}", response.status(), response.version());
/// let body = response.into_body().collect().await?.to_bytes();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pool: SharedPool<HttpConnector>,
    limits: Limits,
    /// `None` if all servers are reached directly: the origin of a request need not be looked at then.
    proxies: Option<Proxies>,
}

/// # Construction
impl Client {
    /// Makes a client with every setting at its default. It does no I/O and needs no runtime.
    #[allow(clippy::missing_panics_doc)] // It cannot: the defaults are good.
    pub fn new() -> Self {
        Client::builder().build().expect("the defaults are good")
    }

    /// Starts the configuration of a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(super) fn on(
        pool: SharedPool<HttpConnector>,
        limits: Limits,
        proxies: Option<Proxies>,
    ) -> Self {
        Client { pool, limits, proxies }
    }
}

/// # Requests
impl Client {
    /// Returns this client with another [`timeout`](ClientBuilder::timeout), on the same pool: for a
    /// request that may take longer, or for a caller that waits less long.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(client: wharf_http::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let request = http::Request::get("https://example.com/report").body(String::new())?;
    /// let response = client.with_timeout(Duration::from_secs(60)).request(request).await?;
    /// # Ok(()) }
    /// ```
    pub fn with_timeout(&self, limit: impl Into<Option<Duration>>) -> Self {
        let mut client = self.clone();
        client.limits.time.whole = limit.into();
        client
    }

    /// Sends a request and waits for the head of its response. The body holds the connection until it
    /// has been read, see [`PooledBody`].
    ///
    /// The URI must be absolute. The version of the request is ignored; the connection decides it.
    /// A `Host` header names the host instead of the URI, on HTTP/2 as `:authority`. `CONNECT` is
    /// not supported.
    ///
    /// The only time limit is the pool's own for getting a connection, unless the client has a
    /// [`timeout`](ClientBuilder::timeout) or a
    /// [`response_header_timeout`](ClientBuilder::response_header_timeout).
    ///
    /// # The length of the body
    ///
    /// A body that declares a length of at most 64 KiB, by its exact size hint or by a
    /// `content-length` header, is read into memory before anything is sent, so that it can be sent
    /// again. If headers, hint and body contradict each other, the request is rejected: several
    /// lengths, a length with a `transfer-encoding`, a `transfer-encoding` that does not end in
    /// `chunked`, or a length that is not the body's.
    ///
    /// A longer body is counted while it is sent, and its last piece is sent only when the body
    /// ends. If it is shorter or longer than declared, the request fails with [`Error::Upload`] and
    /// its connection is closed (on HTTP/2 its stream is reset), so that no other request receives
    /// the remains.
    ///
    /// A body without a declared length is sent in chunks, on HTTP/1.1 with every method.
    ///
    /// # Interim responses
    ///
    /// With an `Expect: 100-continue` header, HTTP/1.1 sends the body when the server asks for it
    /// or has been silent for a second. If the response comes first, the body is never sent, and the
    /// connection is closed after the response. On HTTP/2 the body is sent at once: hyper does not
    /// report interim responses there, and a server can hold back a body by its flow control.
    ///
    /// Other interim responses are skipped. A ninth one fails the request with [`Error::Interim`] and
    /// closes the connection. On HTTP/2 that fails its other requests, too. To count them on
    /// HTTP/1.1, the client overwrites any `on_informational` callback you set (`hyper::ext::on_informational`).
    ///
    /// # Sending again
    ///
    /// A server may close an idle connection just as a request is sent on it. The client follows
    /// the rule of Go's `net/http`. A request is sent again, on another connection or when there is
    /// room, if
    ///
    /// - nothing of it was written, or an HTTP/2 server says that it did not process it (`GOAWAY`,
    ///   `REFUSED_STREAM`), with any method, or
    /// - its connection ended before the head of a response arrived, and it is a `GET`, `HEAD`,
    ///   `OPTIONS` or `TRACE`, or has an `Idempotency-Key` (or `X-Idempotency-Key`) header.
    ///
    /// In both cases the body must be in memory or must not have been started. A connection that
    /// [`http2_keep_alive`](ClientBuilder::http2_keep_alive_interval) gave up does not count as ended.
    ///
    /// A request whose connection was dialed for it is not sent again (except when an HTTP/2 server
    /// did not process it): a server that closes a new connection does so on purpose. On HTTP/1.1,
    /// retries therefore stop once a new connection was tried. On HTTP/2 there are at most six,
    /// with pauses of 0, 1, 2, 4, 8 and 16 seconds.
    ///
    /// # Upgrades
    ///
    /// After a `101 Switching Protocols`, `hyper::upgrade::on(response)` returns the connection. It
    /// then no longer belongs to the pool and does not count against its caps.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. An HTTP/1.1 connection on which a request was sent
    /// is then closed. On HTTP/2 the stream is reset and the other requests continue. An HTTP/2
    /// peer that was silent since the request was sent is pinged, see [A peer that
    /// vanishes](crate#a-peer-that-vanishes).
    ///
    /// # Errors
    ///
    /// [`Error`], which names the host and the cause.
    #[track_caller]
    pub fn request<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<PooledBody>, Error>> + Send + use<B>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let origin = self.origin(request.uri());
        let call = Call::begin(&self.pool, origin, self.limits, request);
        async move {
            let (call, acquire, body, declared) = call?;
            call.run(acquire, body, declared).await
        }
    }

    /// Returns the key under which the pool has the connections for this URI, with the proxy that the
    /// client uses for it: to warm them, or to see their status.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the URI is not absolute, not `http` or `https`, or names no host.
    pub fn origin(&self, uri: &Uri) -> Result<Origin, Error> {
        let origin = Origin::try_from(uri)?;
        Ok(match &self.proxies {
            Some(proxies) => origin.chosen_by(proxies),
            None => origin,
        })
    }

    /// Returns the pool of the connections, for its status and to warm, retire or close.
    pub fn pool(&self) -> &SharedPool<HttpConnector> {
        &self.pool
    }
}

type Responding = Pin<Box<dyn Future<Output = Result<Response<PooledBody>, Error>> + Send>>;

/// For the layers of tower and tower-http. The service is always ready: the host is known only when
/// a request arrives, and the call then waits for a connection to it.
impl<B> Service<Request<B>> for Client
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<PooledBody>;
    type Error = Error;
    type Future = Responding;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    #[track_caller]
    fn call(&mut self, request: Request<B>) -> Responding {
        Box::pin(self.request(request))
    }
}

/// The same for a shared reference to a client.
impl<B> Service<Request<B>> for &Client
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<PooledBody>;
    type Error = Error;
    type Future = Responding;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    #[track_caller]
    fn call(&mut self, request: Request<B>) -> Responding {
        Box::pin(self.request(request))
    }
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.pool)
            .field("limits", &self.limits)
            .field("proxies", &self.proxies)
            .finish()
    }
}
