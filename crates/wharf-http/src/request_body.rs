//! The body of a request while it is sent.

use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::Error;
use super::error::BoxError;
use super::http2_driver::Beginning;
use super::measured::{Measured, WrongLength};
use super::upload::{Sending, Upload};
use crate::panics::{self, Panicked};

/// A body of any type, so that all connections have the same type.
///
/// `None` if it is empty and nobody observes it, as most are. Others are boxed because requests are
/// moved often.
#[derive(Default)]
pub(crate) struct RequestBody(Option<Box<Present>>);

#[derive(Default)]
struct Present {
    content: Content,
    /// Observes the body while it is sent.
    sending: Option<Sending>,
    /// `None` once the body has been polled.
    beginning: Option<Beginning>,
    /// Given piece by piece, as HTTP/2 needs it.
    pieces: Option<Pieces>,
}

/// What is left of a frame that is given piece by piece.
///
/// What h2 is given it stores until the peer's window opens, and nobody can take it back: where the
/// end of the body is in there, not even the stream can be reset. So it is given a little at a time.
#[derive(Default)]
struct Pieces(Bytes);

/// The size of HTTP/2's frames, unless a peer wants larger ones.
const PIECE: usize = 16 * 1024;

impl Pieces {
    fn next(&mut self) -> Option<Bytes> {
        let piece = self.0.split_to(self.0.len().min(PIECE));
        (!piece.is_empty()).then_some(piece)
    }

    /// Keeps what is more than a piece.
    fn first_of(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        frame.map_data(|data| {
            self.0 = data;
            self.next().unwrap_or_default()
        })
    }
}

enum Content {
    /// In memory: it can be sent again.
    Kept(Kept),
    Streamed(Streamed),
    /// It was streamed and has been handed over for sending. A body that is being sent is never in
    /// this state.
    Gone,
}

type Streamed = UnsyncBoxBody<Bytes, BoxError>;

#[derive(Clone, Default)]
struct Kept {
    data: Bytes,
    /// Boxed because they are rare.
    trailers: Option<Box<HeaderMap>>,
}

impl Default for Content {
    fn default() -> Self {
        Content::Kept(Kept::default())
    }
}

impl From<Content> for RequestBody {
    fn from(content: Content) -> Self {
        RequestBody(Some(Box::new(Present { content, ..Present::default() })))
    }
}

/// The longest body that is kept in memory so that it can be sent again.
const MAX_KEPT: u64 = 64 * 1024;

impl RequestBody {
    /// Makes a body that is streamed.
    pub(crate) fn streamed(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Content::Streamed(body).into()
    }

    /// Reads a body into memory if it is declared to be short. A longer one is measured while it is
    /// sent.
    pub(super) async fn of<B>(body: B, declared: Option<u64>) -> Result<Self, Error>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(RequestBody::default());
        }
        Ok(match declared {
            None => Content::Streamed(in_bytes(body).boxed_unsync()),
            Some(declared) if declared > MAX_KEPT => {
                let body = Measured::new(in_bytes(body).boxed_unsync(), declared);
                Content::Streamed(body.boxed_unsync())
            }
            Some(declared) => Content::read(body, declared).await?,
        }
        .into())
    }

    /// Takes the body for sending, and leaves a copy if it is kept.
    pub(super) fn take(&mut self) -> Self {
        let Some(present) = &mut self.0 else { return RequestBody::default() };
        match &mut present.content {
            Content::Kept(kept) => Content::Kept(kept.clone()).into(),
            content @ (Content::Streamed(_) | Content::Gone) => {
                mem::replace(content, Content::Gone).into()
            }
        }
    }

    fn present(&mut self) -> &mut Present {
        self.0.get_or_insert_default()
    }

    /// Sets the observer of the body.
    pub(super) fn watch(&mut self, upload: Option<Arc<Upload>>) {
        if let Some(upload) = upload {
            self.present().sending = Some(Sending::new(upload));
        }
    }

    pub(super) fn tell_begin(&mut self, beginning: Beginning) {
        let present = self.present();
        present.beginning = Some(beginning);
        present.pieces = Some(Pieces::default());
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.as_ref().is_none_or(|present| matches!(present.content, Content::Kept(_)))
    }
}

impl Content {
    async fn read<B>(body: B, declared: u64) -> Result<Self, Error>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let body = pin!(body);
        let body = Measured::new(in_bytes(body), declared).collect().await.map_err(unreadable)?;
        let trailers = body.trailers().cloned().map(Box::new);
        Ok(Content::Kept(Kept { data: body.to_bytes(), trailers }))
    }
}

/// Boxes the body with a single data type and a single error type.
fn in_bytes<B>(body: B) -> impl Body<Data = Bytes, Error = BoxError> + use<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    body.map_frame(|frame| frame.map_data(into_bytes)).map_err(Into::into)
}

/// Reports a body that panics to its caller as failed: hyper would report nothing.
fn poll_caught(
    body: &mut Streamed,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    panics::catch("a request body", || Pin::new(body).poll_frame(cx))
        .unwrap_or_else(|Panicked| Poll::Ready(Some(Err("the request body panicked".into()))))
}

fn into_bytes(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}

/// The error of a body that could not be read into memory; nothing was sent.
fn unreadable(error: BoxError) -> Error {
    match error.downcast::<WrongLength>() {
        Ok(error) => Error::Request(error.to_string()),
        Err(error) => Error::RequestBody(error),
    }
}

impl Kept {
    fn next(&mut self) -> Option<Frame<Bytes>> {
        if !self.data.is_empty() {
            return Some(Frame::data(mem::take(&mut self.data)));
        }
        self.trailers.take().map(|trailers| Frame::trailers(*trailers))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Some(present) => present.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|present| present.is_end_stream())
    }

    /// Asked before anything is sent.
    fn size_hint(&self) -> SizeHint {
        match self.0.as_ref().map(|present| &present.content) {
            Some(Content::Kept(kept)) => SizeHint::with_exact(kept.data.len() as u64),
            Some(Content::Streamed(body)) => body.size_hint(),
            Some(Content::Gone) | None => SizeHint::with_exact(0),
        }
    }
}

impl Present {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(beginning) = self.beginning.take() {
            beginning.tell();
        }
        if let Some(sending) = &self.sending {
            ready!(sending.poll_gate(cx)?);
        }
        if let Some(piece) = self.pieces.as_mut().and_then(Pieces::next) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let frame = match &mut self.content {
            Content::Kept(kept) => kept.next().map(Ok),
            Content::Streamed(body) => ready!(poll_caught(body, cx)),
            Content::Gone => None,
        };
        Poll::Ready(match (frame, &self.sending, &mut self.pieces) {
            (Some(Err(error)), Some(sending), _) => Some(Err(sending.fail(error))),
            (Some(Ok(frame)), _, Some(pieces)) => Some(Ok(pieces.first_of(frame))),
            (frame, ..) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        if self.pieces.as_ref().is_some_and(|pieces| !pieces.0.is_empty()) {
            return false;
        }
        match &self.content {
            Content::Kept(kept) => kept.data.is_empty() && kept.trailers.is_none(),
            Content::Streamed(body) => body.is_end_stream(),
            Content::Gone => true,
        }
    }
}
