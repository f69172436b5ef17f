//! The messages of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;

use super::deadline::Deadline;
use super::error;
use super::turn::Turn;

/// The messages of an answer, until the last one or the call's deadline. Dropped earlier, it cancels
/// the call.
pub(super) struct Answer {
    /// Its stream is reset before the turn ends.
    incoming: Incoming,
    /// Until the last message has come.
    turn: Option<Turn>,
    deadline: Deadline,
}

impl Answer {
    /// An answer whose head has come.
    pub(super) fn to(
        (turn, response): (Turn, Response<Incoming>),
        deadline: Deadline,
    ) -> Response<Body> {
        response.map(|incoming| Body::new(Answer { incoming, turn: Some(turn), deadline }))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if let Some(turn) = &mut self.turn {
            turn.note(polled.is_pending());
        }
        let Poll::Ready(frame) = polled else {
            return self.deadline.poll(cx).map(|status| Some(Err(status)));
        };
        if frame.is_none() || self.is_end_stream() {
            self.turn = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(error::status)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
