//! The messages of a request while they are sent.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tonic::Status;
use tonic::body::Body;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The messages to send; the first part may be in memory already.
#[derive(Default)]
pub(super) struct Messages {
    held: Bytes,
    /// `None` when all messages are held.
    rest: Option<Body>,
}

/// The longest request that is kept so that it can be sent again. The same as in gRPC's own
/// libraries.
const MAX_KEPT: usize = 256 * 1024;

impl Messages {
    /// Reads the messages that are ready, up to the length that can be kept. For a unary request
    /// that is everything.
    pub(super) async fn of(mut body: Body) -> Result<Self, Status> {
        let mut held = Bytes::new();
        while held.len() <= MAX_KEPT {
            match poll_fn(|cx| Poll::Ready(poll(&mut body, cx))).await {
                Poll::Ready(Some(frame)) => append(&mut held, data(frame?)?),
                Poll::Ready(None) => return Ok(Messages { held, rest: None }),
                Poll::Pending => break,
            }
        }
        Ok(Messages { held, rest: Some(body) })
    }

    /// Returns a copy if all messages are held and short enough.
    pub(super) fn copy(&self) -> Option<Self> {
        let is_kept = self.is_complete() && self.held.len() <= MAX_KEPT;
        is_kept.then(|| Messages { held: self.held.clone(), rest: None })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.rest.is_none()
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.rest.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

fn poll(body: &mut Body, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    Pin::new(body).poll_frame(cx)
}

fn data(frame: Frame<Bytes>) -> Result<Bytes, Status> {
    frame.into_data().map_err(|_| Status::internal("a gRPC request has no trailers"))
}

fn append(held: &mut Bytes, data: Bytes) {
    if held.is_empty() {
        *held = data;
    } else {
        let mut all = BytesMut::from(mem::take(held));
        all.extend_from_slice(&data);
        *held = all.freeze();
    }
}

/// Messages that are handed to HTTP/2, which may never send them.
///
/// A connection may receive GOAWAY when a call has just been assigned to it. hyper then fails the
/// call like one that was interrupted in the middle. Whether the call was started depends on who
/// takes the messages out first: [`Outgoing`], which sends them, or the failed call.
pub(super) struct Handed(Arc<Mutex<Option<Messages>>>);

impl Handed {
    pub(super) fn new(messages: Messages) -> (Self, Outgoing) {
        if messages.is_empty() {
            // No message to wait for: the head is the whole request.
            return (Handed(Arc::default()), Outgoing::Begun(messages));
        }
        let handed = Arc::new(Mutex::new(Some(messages)));
        (Handed(handed.clone()), Outgoing::Waiting(handed))
    }

    /// Returns the messages if none of them was sent, and ensures that none will be.
    pub(super) fn take_back(&self) -> Option<Messages> {
        self.0.lock().take()
    }
}

/// The error of the caller's own stream of messages: HTTP/2 then reports only that the call was
/// reset.
#[derive(Default)]
pub(super) struct OwnFailure(Option<Arc<Mutex<Option<Status>>>>);

impl OwnFailure {
    /// Messages that are complete cannot fail any more.
    pub(super) fn of(messages: &Messages) -> Self {
        OwnFailure((!messages.is_complete()).then(Arc::default))
    }

    /// Returns a mapping for the body's error that also keeps the error here.
    pub(super) fn keeper(&self) -> impl FnMut(Status) -> BoxError + Send + use<> {
        let kept = self.0.clone();
        move |status| {
            if let Some(kept) = &kept {
                *kept.lock() = Some(status.clone());
            }
            status.into()
        }
    }

    pub(super) fn take(&self) -> Option<Status> {
        self.0.as_ref()?.lock().take()
    }
}

/// The body of a request.
pub(super) enum Outgoing {
    Waiting(Arc<Mutex<Option<Messages>>>),
    Begun(Messages),
}

impl Outgoing {
    /// `None` when the call has failed.
    fn begin(&mut self) -> Option<&mut Messages> {
        if let Outgoing::Waiting(handed) = self {
            let messages = handed.lock().take()?;
            *self = Outgoing::Begun(messages);
        }
        match self {
            Outgoing::Waiting(_) => None,
            Outgoing::Begun(messages) => Some(messages),
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(messages) = self.begin() else {
            return Poll::Ready(Some(Err(Status::cancelled("the call has failed"))));
        };
        if !messages.held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut messages.held)))));
        }
        match &mut messages.rest {
            Some(rest) => poll(rest, cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Waiting(_) => false,
            Outgoing::Begun(messages) => messages.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
