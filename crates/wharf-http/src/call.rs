//! A request, from the call to its response.

use std::future::{Future, poll_fn};
use std::mem;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{EXPECT, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time;

use super::deadline::Deadline;
use super::error::BoxError;
use super::http1::HeadResult;
use super::in_flight::{self, InFlight};
use super::limits::Limits;
use super::request_body::RequestBody;
use super::retry::{self, Failure};
use super::upload::Upload;
use super::{Error, HttpConnector, Origin, PooledBody, framing};
use wharf::{AcquireLease, Lease, SharedPool};

/// How long a body waits for a `100 Continue` before it is sent anyway. The same as in Go.
const CONTINUE: Duration = Duration::from_secs(1);

/// A request, from the call to its response. It is boxed because it is large and futures are moved.
pub(super) struct Call {
    pool: SharedPool<HttpConnector>,
    origin: Origin,
    address: Address,
    limits: Limits,
    /// The deadline of the whole request.
    deadline: Option<Deadline>,
    /// The caller's call site.
    place: &'static Location<'static>,
    /// The request to send next; while it is being sent, a copy, with the body if that is kept.
    request: Request<RequestBody>,
}

/// What a request asks for, and from which server.
pub(super) struct Address {
    /// HTTP/2 names the host by the authority of this URI.
    pub(super) uri: Uri,
    /// The `Host` header of HTTP/1.1, if it is not the origin's.
    pub(super) host: Option<HeaderValue>,
}

impl Address {
    /// The address of a request, which may name another host than the one it is sent to.
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

/// A call that has begun, with its body and the declared length of the body.
pub(super) type Begun<B> = (Box<Call>, AcquireLease<HttpConnector>, B, Option<u64>);

impl Call {
    #[track_caller]
    pub(super) fn begin<B: Body>(
        pool: &SharedPool<HttpConnector>,
        origin: Result<Origin, Error>,
        limits: Limits,
        request: Request<B>,
    ) -> Result<Begun<B>, Error> {
        // Taken at the call, so that the pool's reports name the caller's line.
        let place = Location::caller();
        let origin = origin?;
        if request.method() == Method::CONNECT {
            return Err(Error::Request("CONNECT is not supported".to_owned()));
        }
        let declared = framing::declared(&request)?;
        let (mut head, body) = request.into_parts();
        let uri = origin.requested(mem::take(&mut head.uri))?;
        let address = Address::of(uri, head.headers.remove(HOST))?;
        let request = Request::from_parts(head, RequestBody::default());
        let deadline = limits.time.whole.map(Deadline::new);
        let pool = pool.clone();
        let call = Call { pool, origin, address, limits, deadline, place, request };
        let acquire = call.acquire();
        Ok((Box::new(call), acquire, body, declared))
    }

    fn acquire(&self) -> AcquireLease<HttpConnector> {
        self.pool.acquire(&self.origin).called_at(self.place)
    }

    /// Waits for a connection until the request's deadline. The pool is told, and says what it lacked.
    async fn lease(
        &mut self,
        acquire: AcquireLease<HttpConnector>,
    ) -> Result<Lease<HttpConnector>, Error> {
        let acquire = match self.deadline.as_ref().and_then(Deadline::left) {
            Some(left) => acquire.at_most(left),
            None => acquire,
        };
        acquire.await.map_err(|source| Error::Acquire { origin: self.origin(), source })
    }

    /// Sends the request with this body.
    pub(super) async fn run<B>(
        mut self: Box<Self>,
        mut acquire: AcquireLease<HttpConnector>,
        body: B,
        declared: Option<u64>,
    ) -> Result<Response<PooledBody>, Error>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        *self.request.body_mut() = self.by_deadline(RequestBody::of(body, declared)).await??;
        let mut paced = 0;
        loop {
            let lease = self.lease(acquire).await?;
            if let Some(response) = self.attempt(lease, &mut paced).await? {
                return Ok(response);
            }
            acquire = self.acquire();
        }
    }

    /// Makes one exchange. Returns `None` when the request is to be sent again.
    async fn attempt(
        &mut self,
        lease: Lease<HttpConnector>,
        paced: &mut u32,
    ) -> Result<Option<Response<PooledBody>>, Error> {
        lease.hear_unasked().await;
        let mut in_flight = match InFlight::begin(lease) {
            Ok(in_flight) => in_flight,
            Err(lease) => {
                self.pause_after_end(lease, paced).await?;
                return Ok(None);
            }
        };
        match self.exchange(&mut in_flight).await? {
            Ok(incoming) => {
                let deadline = self.deadline.take().map(Box::new);
                let mut response = incoming.map(|body| PooledBody::of(body, in_flight, deadline));
                response.body_mut().finish_empty().await;
                return Ok(Some(response));
            }
            Err(failure) => {
                // The lease must end before the pause.
                drop(in_flight);
                self.pause(failure, paced).await?;
            }
        }
        Ok(None)
    }

    /// Sends the request and waits for the head of its response. An `Error` is final; a `Failure` may
    /// be retried.
    async fn exchange(
        &mut self,
        in_flight: &mut InFlight,
    ) -> Result<Result<Response<Incoming>, Failure>, Error> {
        let upload = self.upload(in_flight);
        let mut request = retry::take(&mut self.request);
        request.body_mut().watch(upload.clone());
        let response = in_flight.send(&self.address, request, upload.clone());
        let response = self.head(in_flight, upload.as_deref(), response).await?;
        in_flight.note(false);
        if self.is_too_large(in_flight, &response) {
            let limit = self.limits.head;
            return Err(Error::HeadTooLarge {
                origin: self.origin(),
                bytes: limit.bytes,
                headers: limit.headers,
            });
        }
        if let Err(error) = &response {
            in_flight.note_error(error.error());
        }
        if let Some(upload) = &upload {
            upload.refuse();
            if let Some(source) = response.is_err().then(|| upload.take_failure()).flatten() {
                return Err(Error::Upload { origin: self.origin(), source });
            }
        }
        Ok(response.map_err(|error| Failure::judge(in_flight, error, &mut self.request)))
    }

    /// Returns whether the head of the response exceeds its limits.
    fn is_too_large(&self, in_flight: &InFlight, response: &HeadResult) -> bool {
        match response {
            Ok(response) => {
                in_flight.is_shared() && self.limits.head.is_exceeded_by(response.headers())
            }
            Err(error) => retry::is_too_large(error.error()),
        }
    }

    /// Returns the observer of the body while it is sent, if one is needed.
    fn upload(&self, in_flight: &InFlight) -> Option<Arc<Upload>> {
        let body = self.request.body();
        let expects = !in_flight.is_shared() && !body.is_end_stream() && self.expects_continue();
        // On HTTP/2 the end of the exchange must know whether the body is still being sent.
        let is_sent_beside = in_flight.is_shared() && !body.is_end_stream();
        let is_watched =
            expects || is_sent_beside || !body.is_kept() || self.limits.time.head.is_some();
        is_watched.then(|| Upload::new(expects))
    }

    fn expects_continue(&self) -> bool {
        let expected = self.request.headers().get(EXPECT);
        expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }

    /// Waits for the head of a response, and watches the limits meanwhile.
    async fn head(
        &mut self,
        in_flight: &InFlight,
        upload: Option<&Upload>,
        response: impl Future<Output = HeadResult>,
    ) -> Result<HeadResult, Error> {
        let mut response = pin!(response);
        let mut timers = Timers { go_ahead: None, head: None, limit: self.limits.time.head };
        poll_fn(|cx| {
            // Checked first, because the response may have come after the interim response that was one
            // too many.
            if in_flight.poll_interim_exceeded(cx).is_ready() {
                return Poll::Ready(Err(Error::Interim { origin: self.origin() }));
            }
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            if timers.poll(in_flight.runtime(), upload, cx).is_ready() {
                let limit = self.limits.time.head.unwrap_or_default();
                return Poll::Ready(Err(Error::HeaderTimeout { origin: self.origin(), limit }));
            }
            let Some(deadline) = &mut self.deadline else { return Poll::Pending };
            deadline.poll(in_flight.runtime(), cx).map(|()| Err(self.timeout()))
        })
        .await
    }

    /// The connection has ended before the request. If it was a new one, this is as after a request:
    /// on HTTP/1.1 no other is dialed, and on HTTP/2, whose servers may leave at any time, some are.
    async fn pause_after_end(
        &mut self,
        lease: Lease<HttpConnector>,
        paced: &mut u32,
    ) -> Result<(), Error> {
        if !in_flight::is_first(&lease) {
            return Ok(());
        }
        let pause = if in_flight::is_shared(&lease) { retry::pause(*paced) } else { None };
        let Some(pause) = pause else { return Err(Error::Ended { origin: self.origin() }) };
        *paced += 1;
        let runtime = lease.runtime().clone();
        // The lease must end before the pause.
        drop(lease);
        self.sleep(pause, &runtime).await
    }

    /// Waits until it is time to send the request again, if that is allowed.
    async fn pause(&mut self, failure: Failure, paced: &mut u32) -> Result<(), Error> {
        let pause = if failure.is_paced { retry::pause(*paced) } else { Some(Duration::ZERO) };
        let Some(pause) = pause.filter(|_| failure.may_be_sent_again) else {
            return Err(failure.into_error(self.origin()));
        };
        *paced += u32::from(failure.is_paced);
        self.sleep(pause, &failure.runtime).await
    }

    async fn sleep(&mut self, pause: Duration, runtime: &Handle) -> Result<(), Error> {
        if pause.is_zero() {
            return Ok(());
        }
        let pause = in_flight::within(runtime, || time::sleep(pause));
        self.by_deadline(pause).await
    }

    /// Waits for a future that needs no connection, or until the request's deadline. Outside a
    /// runtime no timer runs until a connection exists, which brings its own.
    async fn by_deadline<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Error> {
        let (Some(deadline), Ok(runtime)) = (&mut self.deadline, Handle::try_current()) else {
            return Ok(future.await);
        };
        match deadline.bound(&runtime, future).await {
            Some(output) => Ok(output),
            None => Err(self.timeout()),
        }
    }

    fn timeout(&self) -> Error {
        Error::Timeout { origin: self.origin(), limit: self.limits.time.whole.unwrap_or_default() }
    }

    fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

/// The timers that run while the head is awaited.
struct Timers {
    /// When it fires, the body is sent without a `100 Continue`.
    go_ahead: Option<Deadline>,
    head: Option<Deadline>,
    /// The limit for the head once the body has been sent.
    limit: Option<Duration>,
}

impl Timers {
    /// Ready when the head takes too long.
    fn poll(
        &mut self,
        runtime: &Handle,
        upload: Option<&Upload>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(upload) = upload else { return Poll::Pending };
        if upload.is_shut() {
            let go_ahead = self.go_ahead.get_or_insert_with(|| Deadline::new(CONTINUE));
            if go_ahead.poll(runtime, cx).is_ready() {
                upload.open();
            }
        }
        let (true, Some(limit)) = (upload.poll_over(cx), self.limit) else { return Poll::Pending };
        self.head.get_or_insert_with(|| Deadline::new(limit)).poll(runtime, cx)
    }
}
