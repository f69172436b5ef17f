//! One exchange's hold on its connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::header::HOST;
use http::{Request, Uri, Version};
use tokio::runtime::Handle;
use tokio::time;

use super::call::Address;
use super::connection::Speaks;
use super::http1::Answer;
use super::peer::Exchange;
use super::request_body::RequestBody;
use super::upload::Upload;
use super::{HttpConnector, Origin, framing, http2};
use crate::pool::shared::Lease;

/// A lease, and what sends on it.
///
/// An HTTP/1.1 connection whose turn is dropped has an exchange under way that nobody will finish:
/// it is not open any more. One whose turn is [finished](Turn::finish) is lent again. On an HTTP/2
/// connection hyper resets the stream; one whose turn is dropped while it waits for a silent peer is suspect.
pub(super) struct Turn {
    sender: Sender,
    /// The body of the request, if it is watched.
    upload: Option<Arc<Upload>>,
    lease: Lease<HttpConnector>,
}

enum Sender {
    Http1 {
        /// What was written to the connection before.
        written: u64,
    },
    /// The sender until the request is sent.
    Http2(Option<http2::Sender>, Exchange),
    /// The exchange is over, and the connection is free.
    Finished,
}

/// How long a connection may take to be ready again after its answer, because the request is still
/// being sent. As long as Go's.
const SETTLE: Duration = Duration::from_millis(50);

impl Turn {
    /// None when the connection has ended.
    pub(super) fn begin(lease: Lease<HttpConnector>) -> Option<Self> {
        let sender = match lease.speaks() {
            Speaks::Http1(http1) if http1.is_free() => Sender::Http1 { written: http1.written() },
            Speaks::Http1(_) => return None,
            Speaks::Http2(http2) => {
                let (sender, exchange) = http2.begin()?;
                Sender::Http2(Some(sender), exchange)
            }
        };
        Some(Turn { sender, upload: None, lease })
    }

    /// Whether it is the first exchange of a connection that is new: one that was dialed ahead and
    /// lay idle may have died as well as one that was used.
    pub(super) fn is_first(&self) -> bool {
        let info = Lease::info(&self.lease);
        !info.reused && info.idle_for.is_zero()
    }

    /// Whether the system has taken nothing of the request. On HTTP/2 that cannot be told.
    pub(super) fn is_unwritten(&self) -> bool {
        match (self.lease.speaks(), &self.sender) {
            (Speaks::Http1(http1), Sender::Http1 { written }) => http1.written() == *written,
            _ => false,
        }
    }

    /// Whether others go on when it is dropped.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Http2(..))
    }

    /// Whether the connection's driver has ended by itself, not with its runtime.
    pub(super) fn has_ended(&self) -> bool {
        match self.lease.speaks() {
            Speaks::Http1(_) => false,
            Speaks::Http2(http2) => http2.has_ended(),
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        Lease::key(&self.lease)
    }

    pub(super) fn send(
        &mut self,
        address: &Address,
        mut request: Request<RequestBody>,
        upload: Option<Arc<Upload>>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.upload.clone_from(&upload);
        if let Sender::Http2(sender, exchange) = &mut self.sender {
            exchange.note(true);
            let sender = sender.take().expect("a turn sends one request");
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = address.uri.clone();
            request.headers_mut().remove(HOST);
            return Either::Left(sender.send(request, exchange));
        }
        let Speaks::Http1(http1) = self.lease.speaks() else { unreachable!("it is one of two") };
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = origin_form(&address.uri);
        let host = address.host.clone().unwrap_or_else(|| self.origin().as_host());
        request.headers_mut().insert(HOST, host);
        framing::announce_chunks(&mut request);
        Either::Right(http1.send(request, upload))
    }

    /// Whether it waits for what the peer sends next.
    pub(super) fn note(&mut self, waits: bool) {
        if let Sender::Http2(_, exchange) = &mut self.sender {
            exchange.note(waits);
        }
    }

    /// The answer has been read to its end: the connection is lent again as soon as it is ready, which
    /// the future that may come back waits for.
    pub(super) fn finish(mut self) -> Option<Settling> {
        if let Sender::Http2(_, exchange) = &mut self.sender {
            // The peer may still want the rest of the request.
            exchange.let_upload_go();
            self.upload = None;
            return None;
        }
        let (Speaks::Http1(http1), Sender::Http1 { .. }) = (self.lease.speaks(), &self.sender)
        else {
            return None;
        };
        if self.upload.as_ref().is_some_and(|upload| upload.is_refused()) {
            // The rest of the request will never come.
            return None;
        }
        if http1.finish() {
            self.sender = Sender::Finished;
            return None;
        }
        let runtime = self.runtime().clone();
        Some(Settling { future: Box::pin(self.settle()), runtime })
    }

    async fn settle(mut self) {
        let Speaks::Http1(http1) = self.lease.speaks() else { return };
        let is_settled = within(self.lease.runtime(), || time::timeout(SETTLE, http1.settle()));
        if is_settled.await.is_ok() {
            self.sender = Sender::Finished;
        }
    }

    /// Ready when an HTTP/1.1 peer has sent too many interim answers. Those on HTTP/2 are not heard.
    pub(super) fn poll_interim_exceeded(&self, cx: &Context<'_>) -> Poll<()> {
        match self.lease.speaks() {
            Speaks::Http1(http1) => http1.poll_interim_exceeded(cx),
            Speaks::Http2(_) => Poll::Pending,
        }
    }

    pub(super) fn runtime(&self) -> &Handle {
        self.lease.runtime()
    }
}

impl Drop for Turn {
    /// Before its lease ends.
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.end();
        }
        match (&self.sender, self.lease.speaks()) {
            (Sender::Http1 { .. }, Speaks::Http1(http1)) => http1.lose(),
            (Sender::Http2(_, exchange), _) if exchange.ends_in_silence() => {
                Lease::suspect(&self.lease);
            }
            _ => {}
        }
    }
}

/// The end of a turn, for as long as the connection is not ready again.
pub(super) struct Settling {
    pub(super) future: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    pub(super) runtime: Handle,
}

impl Settling {
    /// Lets it go on by itself.
    pub(super) fn let_go(self) {
        self.runtime.spawn(self.future);
    }
}

/// Sets a timer in the runtime that this thread is in, or else in that one.
pub(super) fn within<T>(runtime: &Handle, set: impl FnOnce() -> T) -> T {
    let _guard = Handle::try_current().is_err().then(|| runtime.enter());
    set()
}

/// Path and query, as HTTP/1.1 wants them.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}
