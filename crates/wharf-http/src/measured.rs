//! A body that must have its declared length.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::error::BoxError;

/// Fails when the body is shorter or longer than declared, instead of passing that on.
///
/// The piece that completes the body is held back until the end is known: after that piece,
/// HTTP/1.1 would not poll again and would call the request a success.
pub(super) struct Measured<B> {
    /// `None` after its end.
    body: Option<B>,
    declared: u64,
    left: u64,
    /// The last piece, until it is known to be the last.
    held: Option<Bytes>,
    /// Trailers that arrived while a piece was held.
    trailers: Option<Frame<Bytes>>,
}

impl<B> Measured<B> {
    pub(super) fn new(body: B, declared: u64) -> Self {
        Measured { body: Some(body), declared, left: declared, held: None, trailers: None }
    }

    fn failed(&self, has: &'static str) -> BoxError {
        Box::new(WrongLength { declared: self.declared, has })
    }
}

type Polled = Option<Result<Frame<Bytes>, BoxError>>;

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Measured<B> {
    /// Returns what to pass on, or `None` if the next frame must be checked first.
    fn take_data(&mut self, data: Bytes) -> Option<Polled> {
        let Some(left) = self.left.checked_sub(data.len() as u64) else {
            return Some(Some(Err(self.failed("more"))));
        };
        self.left = left;
        if left == 0 && !data.is_empty() && !self.is_ended() {
            self.held = Some(data);
            return None;
        }
        (!data.is_empty()).then(|| Some(Ok(Frame::data(data))))
    }

    fn is_ended(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Returns the end, or the trailers before it.
    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Polled {
        self.body = None;
        if self.left > 0 {
            return Some(Err(self.failed("fewer")));
        }
        let Some(held) = self.held.take() else { return trailers.map(Ok) };
        self.trailers = trailers;
        Some(Ok(Frame::data(held)))
    }
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for Measured<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(trailers)));
        }
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)?) else {
                return Poll::Ready(self.end(None));
            };
            let passed_on = match frame.into_data() {
                Ok(data) => self.take_data(data),
                Err(trailers) => Some(self.end(Some(trailers))),
            };
            if let Some(polled) = passed_on {
                return Poll::Ready(polled);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let nothing_kept = self.held.is_none() && self.trailers.is_none();
        nothing_kept && self.left == 0 && self.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(self.left + held)
    }
}

/// A body whose length differs from the declared one.
#[derive(Debug)]
pub(super) struct WrongLength {
    declared: u64,
    has: &'static str,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its body must have {} bytes, but has {}", self.declared, self.has)
    }
}

impl StdError for WrongLength {}
