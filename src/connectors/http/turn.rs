//! One exchange's hold on its connection.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use http::header::HOST;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::runtime::Handle;
use tokio::time;

use super::client::Address;
use super::connection::Speaks;
use super::request_body::RequestBody;
use super::{HttpConnector, Origin, http1, http2};
use crate::pool::shared::Lease;

/// A lease, and what sends on it.
///
/// An HTTP/1.1 connection whose turn is dropped has an exchange under way that nobody will finish:
/// it is not open any more. One whose turn is [finished](Turn::finish) is lent again. An HTTP/2
/// connection is not touched by either: hyper resets the stream.
pub(super) struct Turn {
    sender: Sender,
    /// What was written to an HTTP/1.1 connection before.
    written: u64,
    lease: Lease<HttpConnector>,
}

enum Sender {
    /// Not present once it is back.
    Http1(Option<http1::Sender>),
    Http2(http2::Sender),
}

/// How long a connection may take to be ready again after its answer, because the request is still
/// being sent. As long as Go's.
const SETTLE: Duration = Duration::from_millis(50);

impl Turn {
    /// None when the connection has ended.
    pub(super) fn begin(lease: Lease<HttpConnector>) -> Option<Self> {
        let (sender, written) = match lease.speaks() {
            Speaks::Http1(http1) => (Sender::Http1(Some(http1.take()?)), http1.written()),
            Speaks::Http2(http2) => (Sender::Http2(http2.sender()?), 0),
        };
        Some(Turn { sender, written, lease })
    }

    /// Whether it is the first exchange of a connection that is new: one that was dialed ahead and
    /// lay idle may have died as well as one that was used.
    pub(super) fn is_first(&self) -> bool {
        let info = Lease::info(&self.lease);
        !info.reused && info.idle_for.is_zero()
    }

    /// Whether the system has taken nothing of the request. On HTTP/2 that cannot be told.
    pub(super) fn is_unwritten(&self) -> bool {
        match self.lease.speaks() {
            Speaks::Http1(http1) => http1.written() == self.written,
            Speaks::Http2(_) => false,
        }
    }

    /// Whether others go on when it is dropped.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
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

    pub(super) async fn send(
        &mut self,
        address: &Address,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                *request.version_mut() = Version::HTTP_11;
                *request.uri_mut() = origin_form(&address.uri);
                request.headers_mut().insert(HOST, address.host.clone());
                let here = sender.as_mut().expect("the sender is here until the turn ends");
                let mut answer = pin!(here.try_send_request(request));
                let Speaks::Http1(http1) = self.lease.speaks() else { return answer.await };
                let mut ended = pin!(http1.ended());
                let first = poll_fn(|cx| match answer.as_mut().poll(cx) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending => ended.as_mut().poll(cx).map(|()| None),
                });
                if let Some(answer) = first.await {
                    return answer;
                }
                // What was handed over at the very moment of the driver's end may lie in the channel
                // between, which is cleared when its only sender goes.
                *sender = None;
                http1.lose();
                answer.await
            }
            Sender::Http2(sender) => {
                *request.version_mut() = Version::HTTP_2;
                *request.uri_mut() = address.uri.clone();
                request.headers_mut().remove(HOST);
                sender.try_send_request(request).await
            }
        }
    }

    /// The answer has been read to its end: the connection is lent again as soon as it is ready, which
    /// the future that may come back waits for.
    pub(super) fn finish(mut self) -> Option<Settling> {
        let Sender::Http1(Some(sender)) = &self.sender else { return None };
        if sender.is_ready() {
            self.put_back();
            return None;
        }
        let runtime = self.runtime().clone();
        Some(Settling { future: Box::pin(self.settle()), runtime })
    }

    async fn settle(mut self) {
        let Sender::Http1(Some(sender)) = &mut self.sender else { return };
        let is_ready = within(self.lease.runtime(), || time::timeout(SETTLE, sender.ready()));
        if let Ok(Ok(())) = is_ready.await {
            self.put_back();
        }
    }

    fn put_back(&mut self) {
        if let (Sender::Http1(sender), Speaks::Http1(http1)) =
            (&mut self.sender, self.lease.speaks())
        {
            sender.take().into_iter().for_each(|sender| http1.put_back(sender));
        }
    }

    pub(super) fn runtime(&self) -> &Handle {
        self.lease.runtime()
    }
}

impl Drop for Turn {
    /// Before its lease ends.
    fn drop(&mut self) {
        if let (Sender::Http1(Some(_)), Speaks::Http1(http1)) = (&self.sender, self.lease.speaks())
        {
            http1.lose();
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
