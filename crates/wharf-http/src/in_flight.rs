//! One exchange's hold on its connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::header::{HOST, HeaderMap, PROXY_AUTHORIZATION};
use http::{Request, Uri, Version};
use tokio::runtime::Handle;
use tokio::time;

use super::call::Address;
use super::connection::Proto;
use super::heads::Unacceptable;
use super::http1::HeadResult;
use super::peer::Exchange;
use super::proxy_or_none::Proxy;
use super::request_body::RequestBody;
use super::upload::Upload;
use super::{HttpConnector, Origin, framing, http2};
use wharf::Lease;

/// A lease and the handle that sends on it.
///
/// An HTTP/1.1 connection whose exchange is dropped has an unfinished exchange and is not open any
/// more. One whose exchange is [finished](InFlight::finish) can be lent again. On an HTTP/2 connection
/// hyper resets the stream; if the value is dropped while it waits for a silent peer, the connection
/// becomes suspect.
pub(super) struct InFlight {
    sender: Sender,
    /// The body of the request, if it is observed.
    upload: Option<Arc<Upload>>,
    lease: Lease<HttpConnector>,
}

enum Sender {
    Http1 {
        /// The bytes that had been written to the connection before.
        written: u64,
    },
    /// The sender, until the request is sent.
    Http2(Option<http2::Sender>, Exchange),
    /// The exchange is over, and the connection is free.
    Finished,
}

impl Sender {
    /// `None` if the connection has ended.
    fn of(lease: &Lease<HttpConnector>) -> Option<Self> {
        match lease.proto() {
            Proto::Http1(http1) => {
                http1.is_free().then(|| Sender::Http1 { written: http1.written() })
            }
            Proto::Http2(http2) => {
                let (sender, exchange) = http2.begin()?;
                Some(Sender::Http2(Some(sender), exchange))
            }
        }
    }
}

/// How long a connection may take to become ready after its response, because the request is still
/// being sent. The same as in Go.
const SETTLE: Duration = Duration::from_millis(50);

impl InFlight {
    /// Returns the lease if the connection has ended.
    pub(super) fn begin(lease: Lease<HttpConnector>) -> Result<Self, Lease<HttpConnector>> {
        match Sender::of(&lease) {
            Some(sender) => Ok(InFlight { sender, upload: None, lease }),
            None => Err(lease),
        }
    }

    pub(super) fn is_first(&self) -> bool {
        is_first(&self.lease)
    }

    /// Returns whether the system has taken nothing of the request. On HTTP/2 that cannot be known.
    pub(super) fn is_unwritten(&self) -> bool {
        match (self.lease.proto(), &self.sender) {
            (Proto::Http1(http1), Sender::Http1 { written }) => http1.written() == *written,
            _ => false,
        }
    }

    /// Returns whether other exchanges continue when this is dropped.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Http2(..))
    }

    /// Returns what an HTTP/2 peer did that no peer may do.
    pub(super) fn fault(&self) -> Option<Unacceptable> {
        match self.lease.proto() {
            Proto::Http1(_) => None,
            Proto::Http2(http2) => http2.fault(),
        }
    }

    /// Returns whether the connection's driver has ended by itself, not with its runtime.
    pub(super) fn has_ended(&self) -> bool {
        match self.lease.proto() {
            Proto::Http1(_) => false,
            Proto::Http2(http2) => http2.has_ended(),
        }
    }

    /// The exchange has ended with this error.
    pub(super) fn note_error(&self, error: &hyper::Error) {
        self.lease.note_error(error);
    }

    pub(super) fn origin(&self) -> &Origin {
        Lease::key(&self.lease)
    }

    pub(super) fn send(
        &mut self,
        address: &Address,
        mut request: Request<RequestBody>,
        upload: Option<Arc<Upload>>,
    ) -> impl Future<Output = HeadResult> + Send + use<> {
        self.upload.clone_from(&upload);
        if let Sender::Http2(sender, exchange) = &mut self.sender {
            exchange.note(true);
            let sender = sender.take().expect("an exchange sends one request");
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = address.uri.clone();
            request.headers_mut().remove(HOST);
            return Either::Left(sender.send(request, exchange));
        }
        let Proto::Http1(http1) = self.lease.proto() else { unreachable!("it is one of two") };
        *request.version_mut() = Version::HTTP_11;
        let origin = self.origin();
        *request.uri_mut() = match origin.forwarded_by() {
            Some(proxy) => {
                authorize(request.headers_mut(), proxy);
                origin.absolute(&address.uri)
            }
            None => origin_form(&address.uri),
        };
        let host = address.host.clone().unwrap_or_else(|| origin.as_host());
        request.headers_mut().insert(HOST, host);
        framing::announce_chunks(&mut request);
        Either::Right(http1.send(request, upload))
    }

    /// The exchange starts or stops waiting for the peer.
    pub(super) fn note(&mut self, waits: bool) {
        if let Sender::Http2(_, exchange) = &mut self.sender {
            exchange.note(waits);
        }
    }

    /// The response has been read to its end. The connection is lent again as soon as it is ready;
    /// the returned future, if any, waits for that.
    pub(super) fn finish(mut self) -> Option<Settling> {
        if self.is_shared() {
            self.end_upload_soon();
            return None;
        }
        let (Proto::Http1(http1), Sender::Http1 { .. }) = (self.lease.proto(), &self.sender) else {
            return None;
        };
        if self.upload.as_ref().is_some_and(|upload| upload.is_refused()) {
            // The rest of the request will never arrive.
            return None;
        }
        if http1.finish() {
            self.sender = Sender::Finished;
            return None;
        }
        let runtime = self.runtime().clone();
        self.leave_task();
        Some(Settling { future: Box::pin(self.settle()), runtime })
    }

    /// The peer may still need the rest of the request, for a moment. Then the stream is reset: its
    /// lease must not end while a peer that reads nothing keeps it.
    fn end_upload_soon(mut self) {
        let Some(upload) = self.upload.take().filter(|upload| !upload.is_over()) else { return };
        self.leave_task();
        self.runtime().clone().spawn(async move {
            let _ = time::timeout(SETTLE, upload.over()).await;
            upload.end();
            drop(self);
        });
    }

    /// It ends by itself from now on.
    pub(super) fn leave_task(&self) {
        Lease::leave_task(&self.lease);
    }

    async fn settle(mut self) {
        let Proto::Http1(http1) = self.lease.proto() else { return };
        let is_settled = within(self.lease.runtime(), || time::timeout(SETTLE, http1.settle()));
        if is_settled.await.is_ok() {
            self.sender = Sender::Finished;
        }
    }

    /// Ready after too many interim responses of an HTTP/1.1 peer. Those on HTTP/2 are not reported.
    pub(super) fn poll_interim_exceeded(&self, cx: &Context<'_>) -> Poll<()> {
        match self.lease.proto() {
            Proto::Http1(http1) => http1.poll_interim_exceeded(cx),
            Proto::Http2(_) => Poll::Pending,
        }
    }

    pub(super) fn runtime(&self) -> &Handle {
        self.lease.runtime()
    }
}

impl Drop for InFlight {
    /// Runs before the lease ends.
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.end();
        }
        self.lease.judge();
        match (&self.sender, self.lease.proto()) {
            (Sender::Http1 { .. }, Proto::Http1(http1)) => http1.lose(),
            (Sender::Http2(_, exchange), _) if exchange.ends_in_silence() => {
                Lease::suspect(&self.lease);
            }
            _ => {}
        }
    }
}

/// Returns whether this is the first exchange of a connection that was dialed for it. A connection
/// that was dialed ahead and then was idle may have died, like a used one.
pub(super) fn is_first(lease: &Lease<HttpConnector>) -> bool {
    let info = Lease::info(lease);
    !info.reused && info.idle_for.is_zero()
}

/// Returns whether other exchanges may run on the connection.
pub(super) fn is_shared(lease: &Lease<HttpConnector>) -> bool {
    matches!(lease.proto(), Proto::Http2(_))
}

/// The end of an exchange while the connection is not ready yet.
pub(super) struct Settling {
    pub(super) future: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    pub(super) runtime: Handle,
}

impl Settling {
    /// Lets it finish in the background.
    pub(super) fn let_go(self) {
        self.runtime.spawn(self.future);
    }
}

/// Sets a timer in the current runtime, or else in the given one.
pub(super) fn within<T>(runtime: &Handle, set: impl FnOnce() -> T) -> T {
    let _guard = Handle::try_current().is_err().then(|| runtime.enter());
    set()
}

/// Returns path and query, the form that HTTP/1.1 requires.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// Adds what the proxy wants, unless the caller did.
fn authorize(headers: &mut HeaderMap, proxy: &Proxy) {
    if let Some(authorization) = proxy.authorization() {
        headers.entry(PROXY_AUTHORIZATION).or_insert(authorization);
    }
}
