//! One call: whether anything of it was sent.
//!
//! A connection may be told to go away when a call has a place in it and no more. hyper then fails
//! the call like one that was cut off in the middle, and nobody could tell whether it may be made
//! again. Here its messages and its failure settle between them which of the two came first.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::transport::channel::ResponseFuture;
use tower_service::Service;

/// The answer to a call on a [`GrpcChannel`](super::GrpcChannel).
#[derive(Debug)]
pub struct Call {
    response: ResponseFuture,
    fate: Arc<OnceLock<Fate>>,
}

/// What came first.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// A message was taken to be sent.
    Sent,
    /// The call failed: nothing of it is sent any more.
    Failed,
}

impl Call {
    pub(super) fn begin(channel: &mut Channel, request: Request<Body>) -> Call {
        let fate = Arc::new(OnceLock::new());
        if request.body().is_end_stream() {
            // There is no message to wait for: the head is everything.
            let _ = fate.set(Fate::Sent);
        }
        let request = request.map(|body| Body::new(Messages { body, fate: fate.clone() }));
        Call { response: channel.call(request), fate }
    }
}

impl Future for Call {
    type Output = Result<Response<Body>, Box<dyn Error + Send + Sync>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.response).poll(cx));
        Poll::Ready(response.map_err(|error| match self.fate.get_or_init(|| Fate::Failed) {
            Fate::Sent => error.into(),
            Fate::Failed => Unsent(error).into(),
        }))
    }
}

/// The messages of a request.
struct Messages {
    body: Body,
    fate: Arc<OnceLock<Fate>>,
}

impl HttpBody for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.fate.get_or_init(|| Fate::Sent) {
            Fate::Sent => Pin::new(&mut self.body).poll_frame(cx),
            Fate::Failed => Poll::Ready(Some(Err(Status::cancelled("the call has failed")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A call failed before its first message was sent.
#[derive(Debug)]
pub(super) struct Unsent(tonic::transport::Error);

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ended before a message was sent")
    }
}

impl Error for Unsent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
