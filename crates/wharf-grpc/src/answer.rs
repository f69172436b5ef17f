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
use super::in_flight::InFlight;

/// The messages of an answer, until the last one or the call's deadline. Dropping it earlier
/// cancels the call.
pub(super) struct Answer {
    /// `None` after a failure. The stream must be reset before the exchange ends.
    incoming: Option<Incoming>,
    /// `None` once the last message has arrived.
    in_flight: Option<InFlight>,
    deadline: Deadline,
}

impl Answer {
    /// Makes the messages of an answer whose head has arrived.
    pub(super) fn to(
        (in_flight, response): (InFlight, Response<Incoming>),
        deadline: Deadline,
    ) -> Response<Body> {
        response.map(|incoming| {
            Body::new(Answer { incoming: Some(incoming), in_flight: Some(in_flight), deadline })
        })
    }

    /// Ends as if the caller had dropped it, even while the caller still holds it.
    fn fail(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.incoming = None;
        self.in_flight = None;
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
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.note(polled.is_pending());
            // Checked here too, because the next message may always be ready.
            if let Poll::Ready(status) = self.deadline.poll(cx) {
                return self.fail(status);
            }
        }
        let frame = match ready!(polled).transpose() {
            Ok(frame) => frame,
            Err(error) => {
                let own = self.in_flight.as_ref().and_then(|in_flight| {
                    in_flight.note_error(&error);
                    in_flight.own_failure.take()
                });
                return self.fail(own.unwrap_or_else(|| error::status(error)));
            }
        };
        if frame.is_none() || self.is_end_stream() {
            self.in_flight = None;
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
