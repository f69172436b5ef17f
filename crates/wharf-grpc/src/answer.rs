//! The messages of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;

use super::deadline::Deadline;
use super::error;
use super::turn::Turn;

/// The messages of an answer, until the last one or the call's deadline. Dropping it earlier
/// cancels the call.
pub(super) struct Answer {
    /// `None` after a failure. The stream must be reset before the turn ends.
    incoming: Option<Incoming>,
    /// `None` once the last message has arrived.
    turn: Option<Turn>,
    deadline: Deadline,
}

impl Answer {
    /// Makes the messages of an answer whose head has arrived.
    pub(super) fn to(
        (turn, response): (Turn, Response<Incoming>),
        deadline: Deadline,
    ) -> Response<Body> {
        response.map(|incoming| {
            Body::new(Answer { incoming: Some(incoming), turn: Some(turn), deadline })
        })
    }

    /// Ends as if the caller had dropped it, even while the caller still holds it.
    fn fail(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.incoming = None;
        self.turn = None;
        Poll::Ready(Some(Err(status)))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        if let Some(turn) = &mut self.turn {
            turn.note(polled.is_pending());
            // Checked here too, because the next message may always be ready.
            if let Poll::Ready(status) = self.deadline.poll(cx) {
                return self.fail(status);
            }
        }
        let frame = match ready!(polled).transpose() {
            Ok(frame) => frame,
            Err(error) => {
                let own = self.turn.as_ref().and_then(|turn| {
                    turn.note_error(&error);
                    turn.own_failure.take()
                });
                return self.fail(own.unwrap_or_else(|| error::status(error)));
            }
        };
        if frame.is_none() || self.is_end_stream() {
            self.turn = None;
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
