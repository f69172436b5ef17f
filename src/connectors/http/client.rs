//! The client.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;
use std::{fmt, mem};

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use tokio::time;

use super::error::BoxError;
use super::request_body::RequestBody;
use super::retry::{self, Failure};
use super::turn::{self, Turn};
use super::{ClientBuilder, Error, HttpConnector, Origin, PooledBody};
use crate::pool::shared::{AcquireLease, SharedPool};

/// An HTTP client on a pool of connections. Cloning is cheap, and all clones are one client.
///
/// # Examples
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::{BodyExt, Empty};
/// use wharf::SharedPool;
/// use wharf::http::Client;
///
/// let client = Client::builder().pool(SharedPool::builder().max_per_host(8)).build()?;
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

    pub(super) fn on(pool: SharedPool<HttpConnector>) -> Self {
        Client { pool }
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
    /// A body that tells an exact length of at most 64 KiB is read into memory before anything is
    /// sent, so that it can be sent again.
    ///
    /// There is no time-out but the pool's own for getting a connection: put one around the request
    /// where it is needed.
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
        // At the call, so that the pool's reports name the caller's place in the code.
        let call = Call::begin(&self.pool, request, Location::caller());
        async move {
            let (mut call, acquire, body) = call?;
            *call.request.body_mut() = RequestBody::of(body).await.map_err(Error::RequestBody)?;
            call.run(acquire).await
        }
    }

    /// The pool that the connections are in: for its status, to warm a host, to retire one, to close
    /// it.
    pub fn pool(&self) -> &SharedPool<HttpConnector> {
        &self.pool
    }
}

/// One request's way to its answer. Boxed, because it is large, and futures are moved.
struct Call {
    pool: SharedPool<HttpConnector>,
    origin: Origin,
    address: Address,
    /// Where in the caller's code it was made.
    place: &'static Location<'static>,
    /// What is sent next; while it is sent, a copy of it if its body is kept.
    request: Request<RequestBody>,
}

/// What a request asks for, and of whom.
pub(super) struct Address {
    /// The authority is what HTTP/2 names the host by.
    pub(super) uri: Uri,
    /// What HTTP/1.1 names the host by, if that is not the origin.
    pub(super) host: Option<HeaderValue>,
}

impl Address {
    /// That of a request, which may name another host than it is sent to.
    fn of(uri: Uri, host: Option<HeaderValue>) -> Result<Self, Error> {
        let Some(host) = host else { return Ok(Address { uri, host }) };
        let mut parts = uri.into_parts();
        let authority = Authority::try_from(host.as_bytes())
            .map_err(|error| Error::Request(format!("the Host header names no host: {error}")))?;
        parts.authority = Some(authority);
        let uri = Uri::from_parts(parts)
            .map_err(|error| Error::Request(format!("the Host header names no host: {error}")))?;
        Ok(Address { uri, host: Some(host) })
    }
}

type Begun<B> = (Box<Call>, AcquireLease<HttpConnector>, B);

impl Call {
    #[track_caller]
    fn begin<B>(
        pool: &SharedPool<HttpConnector>,
        request: Request<B>,
        place: &'static Location<'static>,
    ) -> Result<Begun<B>, Error> {
        let origin = Origin::try_from(request.uri())?;
        if request.method() == Method::CONNECT {
            return Err(Error::Request("CONNECT is not supported".to_owned()));
        }
        let acquire = pool.acquire_from(&origin, place);
        let (mut head, body) = request.into_parts();
        let uri = origin.requested(mem::take(&mut head.uri))?;
        let address = Address::of(uri, head.headers.remove(HOST))?;
        let request = Request::from_parts(head, RequestBody::default());
        let call = Call { pool: pool.clone(), origin, address, place, request };
        Ok((Box::new(call), acquire, body))
    }

    async fn run(
        mut self: Box<Self>,
        mut acquire: AcquireLease<HttpConnector>,
    ) -> Result<Response<PooledBody>, Error> {
        let mut paced = 0;
        loop {
            let lease = acquire.await;
            let lease = lease.map_err(|source| Error::Acquire { origin: self.origin(), source })?;
            if let Some(turn) = Turn::begin(lease) {
                match self.exchange(turn).await {
                    Ok(response) => return Ok(response),
                    Err(failure) => self.pause(failure, &mut paced).await?,
                }
            }
            acquire = self.pool.acquire_from(&self.origin, self.place);
        }
    }

    async fn exchange(&mut self, mut turn: Turn) -> Result<Response<PooledBody>, Failure> {
        let answer = turn.send(&self.address, retry::take(&mut self.request)).await;
        turn.note(false);
        match answer {
            Ok(response) => {
                let mut response = response.map(|incoming| PooledBody::of(incoming, turn));
                response.body_mut().finish_empty().await;
                Ok(response)
            }
            Err(error) => Err(Failure::judge(&turn, error, &mut self.request)),
        }
    }

    /// Waits until it is time to send the request again, if it may be.
    async fn pause(&mut self, failure: Failure, paced: &mut u32) -> Result<(), Error> {
        let pause = if failure.is_paced { retry::pause(*paced) } else { Some(Duration::ZERO) };
        let Some(pause) = pause.filter(|_| failure.may_be_sent_again) else {
            return Err(Error::Exchange { origin: self.origin(), source: failure.error });
        };
        *paced += u32::from(failure.is_paced);
        if !pause.is_zero() {
            turn::within(&failure.runtime, || time::sleep(pause)).await;
        }
        Ok(())
    }

    fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("pool", &self.pool).finish()
    }
}
