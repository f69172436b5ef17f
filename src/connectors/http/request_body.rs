//! The body of a request on its way out.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::error::BoxError;
use crate::runtime::panics::{self, Panicked};

/// A body of any type, so that connections are of one.
pub(super) enum RequestBody {
    /// In memory: it can be sent again.
    Kept(Kept),
    Streamed(Streamed),
    /// It was streamed, and is being sent. What is sent is never this.
    Gone,
}

type Streamed = UnsyncBoxBody<Bytes, BoxError>;

#[derive(Clone, Default)]
pub(super) struct Kept {
    data: Bytes,
    /// Boxed, because they are rare and requests are moved often.
    trailers: Option<Box<HeaderMap>>,
}

impl Default for RequestBody {
    fn default() -> Self {
        RequestBody::Kept(Kept::default())
    }
}

/// The longest body that is kept in memory so that it can be sent again.
const MAX_KEPT: u64 = 64 * 1024;

impl RequestBody {
    /// Reads a body into memory that says that it is short.
    pub(super) async fn of<B>(body: B) -> Result<Self, BoxError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(RequestBody::default());
        }
        if body.size_hint().exact().is_none_or(|length| length > MAX_KEPT) {
            let body = body.map_frame(|frame| frame.map_data(into_bytes));
            return Ok(RequestBody::Streamed(body.map_err(Into::into).boxed_unsync()));
        }
        let body = body.collect().await.map_err(Into::into)?;
        let trailers = body.trailers().cloned().map(Box::new);
        Ok(RequestBody::Kept(Kept { data: body.to_bytes(), trailers }))
    }

    /// Takes the body to send it, and leaves a copy if it is kept.
    pub(super) fn take(&mut self) -> Self {
        match self {
            RequestBody::Kept(kept) => RequestBody::Kept(kept.clone()),
            RequestBody::Streamed(_) | RequestBody::Gone => mem::replace(self, RequestBody::Gone),
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self, RequestBody::Kept(_))
    }
}

/// A body that panics has failed, which its caller is told: hyper would tell nobody.
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
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            RequestBody::Kept(kept) => Poll::Ready(kept.next().map(Ok)),
            RequestBody::Streamed(body) => poll_caught(body, cx),
            RequestBody::Gone => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Kept(kept) => kept.data.is_empty() && kept.trailers.is_none(),
            RequestBody::Streamed(body) => body.is_end_stream(),
            RequestBody::Gone => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Kept(kept) => SizeHint::with_exact(kept.data.len() as u64),
            RequestBody::Streamed(body) => body.size_hint(),
            RequestBody::Gone => SizeHint::with_exact(0),
        }
    }
}
