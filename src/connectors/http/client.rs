//! The client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::call::{Call, TimeLimits};
use super::error::BoxError;
use super::{ClientBuilder, Error, HttpConnector, PooledBody};
use crate::pool::shared::SharedPool;

/// An HTTP client on a pool of connections. Cloning is cheap, and all clones are one client.
///
/// # Examples
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::{BodyExt, Empty};
/// use wharf::http::Client;
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
    limits: TimeLimits,
}

/// # Making one
impl Client {
    /// Makes a client with every setting at its default. Does no I/O, and needs no runtime.
    #[allow(clippy::missing_panics_doc)] // It cannot: the defaults are good.
    pub fn new() -> Self {
        Client::builder().build().expect("the defaults are good")
    }

    /// Sets up a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(super) fn on(pool: SharedPool<HttpConnector>, limits: TimeLimits) -> Self {
        Client { pool, limits }
    }
}

/// # Using it
impl Client {
    /// Sends a request and waits for the head of its answer. The body holds the connection until it
    /// has been read, see [`PooledBody`].
    ///
    /// The URI must be absolute. The version of the request is not looked at: the connection's is
    /// spoken. A `Host` header names the host instead of the URI, on HTTP/2 as `:authority`.
    /// `CONNECT` is not sent.
    ///
    /// There is no time limit but the pool's own for getting a connection, unless the client has a
    /// [`timeout`](ClientBuilder::timeout) or a
    /// [`response_header_timeout`](ClientBuilder::response_header_timeout).
    ///
    /// # The length of the body
    ///
    /// A body that is declared to be at most 64 KiB long, by its exact size hint or by a
    /// `content-length` header, is read into memory before anything is sent, so that it can be sent
    /// again. Where headers, hint and body contradict each other, the request is refused: several
    /// lengths, a length with a `transfer-encoding`, a `transfer-encoding` that does not end in
    /// `chunked`, a length that is not the body's. A longer body is counted while it is sent. If it
    /// ends early or goes on, the request fails with [`Error::Upload`], its connection is closed (on
    /// HTTP/2 its stream is reset), and no other request gets its remains. Its last piece is sent when
    /// the body ends.
    ///
    /// A body that tells nothing is sent in chunks, on HTTP/1.1 with every method.
    ///
    /// # Interim answers
    ///
    /// With an `Expect: 100-continue` header, HTTP/1.1 sends the body when the server asks for it, or
    /// has said nothing for a second. If the answer comes first, the body is never sent, and the
    /// connection is closed after it. On HTTP/2 the body is sent at once: hyper does not hear interim
    /// answers there, and a server stops a body by its flow control.
    ///
    /// Other interim answers are passed over. A ninth one fails the request with [`Error::Interim`],
    /// and closes the connection. To count them, the client takes the place of a
    /// `hyper::ext::on_informational` in the request.
    ///
    /// # Sending again
    ///
    /// A server may close an idle connection just as a request is sent on it. The rule is that of
    /// Go's `net/http`. A request is sent again, on another connection or when there is room, if
    ///
    /// - nothing of it was written, or an HTTP/2 server says that it did nothing with it (`GOAWAY`,
    ///   `REFUSED_STREAM`): whatever its method, or
    /// - its connection ended before the head of an answer had come, and it is a `GET`, `HEAD`,
    ///   `OPTIONS` or `TRACE`, or has an `Idempotency-Key` (or `X-Idempotency-Key`) header.
    ///
    /// A body must not have been begun, or be in memory. A connection that
    /// [`http2_keep_alive`](ClientBuilder::http2_keep_alive) gave up is not one that ended.
    ///
    /// But one whose connection was a new one, made for it, is not sent again (except in HTTP/2's
    /// first case): a server that ends such a connection means it. On HTTP/1.1 this goes on until a
    /// new connection was tried; on HTTP/2 up to six times, with pauses of 0, 1, 2, 4, 8 and 16
    /// seconds.
    ///
    /// # Upgrades
    ///
    /// After a `101 Switching Protocols`, `hyper::upgrade::on(response)` gives the connection, which
    /// is then none of the pool's: it does not count against its caps.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point. An HTTP/1.1 connection that a request was sent on is
    /// then closed; on HTTP/2 the stream is reset and the others go on. An HTTP/2 peer that was silent
    /// since the request was sent is pinged, see [A peer that
    /// vanishes](crate::http#a-peer-that-vanishes).
    ///
    /// # Errors
    ///
    /// [`Error`], which says which host and why.
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
        let call = Call::begin(&self.pool, self.limits, request);
        async move {
            let (call, acquire, body, declared) = call?;
            call.run(acquire, body, declared).await
        }
    }

    /// The pool that the connections are in: for its status, to warm a host, to retire one, to close
    /// it.
    pub fn pool(&self) -> &SharedPool<HttpConnector> {
        &self.pool
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<PooledBody>, Error>> + Send>>;

/// For tower's layers, and those of tower-http. It is always ready: which host's connection a request
/// needs shows when it is called, and then it waits for one.
impl<B> Service<Request<B>> for Client
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<PooledBody>;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    #[track_caller]
    fn call(&mut self, request: Request<B>) -> Answering {
        Box::pin(self.request(request))
    }
}

/// The same, for callers that share a client.
impl<B> Service<Request<B>> for &Client
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<PooledBody>;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    #[track_caller]
    fn call(&mut self, request: Request<B>) -> Answering {
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
        f.debug_struct("Client").field("pool", &self.pool).field("limits", &self.limits).finish()
    }
}
