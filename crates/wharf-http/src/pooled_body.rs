//! The body of a response.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, mem};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time;

use super::deadline::Deadline;
use super::in_flight::{InFlight, Settling};
use super::{Error, Origin};

/// The body of a response, which holds its connection until it has been read to its end.
///
/// A body that is read to its end (or is empty from the start) releases the connection at once,
/// even before it is dropped. If it is dropped earlier:
///
/// - On HTTP/1.1 the rest has to be read before the connection can be used again. A rest of at most
///   256 KiB that arrives within 50 milliseconds is read in the background while the connection
///   still counts as in use. With a longer rest the connection is closed.
/// - On HTTP/2 the stream is reset, and the connection stays open.
///
/// A body that is neither read nor dropped holds its connection forever.
#[must_use = "the rest of the response is discarded when its body is dropped"]
pub struct PooledBody {
    /// `None` after its end.
    incoming: Option<Incoming>,
    hold: Hold,
    origin: Origin,
    /// The deadline of the whole request; boxed because it is rare.
    deadline: Option<Box<Deadline>>,
}

/// What a body still holds of its connection.
enum Hold {
    Reading(InFlight),
    /// The body was read, and the connection is ready in a moment.
    Settling(Settling),
    Over,
}

/// The longest rest that is read to reuse the connection. The same as in Go's servers: beyond this,
/// a new connection is cheaper.
const MAX_REST: usize = 256 * 1024;
/// How long reading the rest may take.
const DRAIN: Duration = Duration::from_millis(50);

impl PooledBody {
    pub(super) fn of(
        incoming: Incoming,
        in_flight: InFlight,
        deadline: Option<Box<Deadline>>,
    ) -> Self {
        let origin = in_flight.origin().clone();
        PooledBody { incoming: Some(incoming), hold: Hold::Reading(in_flight), origin, deadline }
    }

    /// Releases the connection of a response without a body.
    pub(super) async fn finish_empty(&mut self) {
        if self.is_end_stream() {
            self.finish();
            poll_fn(|cx| self.poll_settled(cx)).await;
        }
    }

    /// The body has been read to its end.
    fn finish(&mut self) {
        self.hold = match mem::replace(&mut self.hold, Hold::Over) {
            Hold::Reading(in_flight) => in_flight.finish().map_or(Hold::Over, Hold::Settling),
            finished => finished,
        };
    }

    /// When the deadline passes, the body ends as if its caller had dropped it.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let (Some(deadline), Hold::Reading(in_flight)) = (&mut self.deadline, &self.hold) else {
            return None;
        };
        if deadline.poll(in_flight.runtime(), cx).is_pending() {
            return None;
        }
        let limit = deadline.limit;
        self.incoming = None;
        self.hold = Hold::Over;
        Some(Error::Timeout { origin: self.origin.clone(), limit })
    }

    /// Returns whether the body really ended. On HTTP/2, hyper treats a stream that the peer has
    /// reset with `NO_ERROR` or `CANCEL` as one that has ended.
    fn is_whole(&self) -> bool {
        !matches!(&self.hold, Hold::Reading(in_flight) if in_flight.is_shared())
            || self.is_end_stream()
    }

    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Hold::Settling(settling) = &mut self.hold {
            ready!(settling.future.as_mut().poll(cx));
            self.hold = Hold::Over;
        }
        Poll::Ready(())
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = Error;

    /// The end is reported only when the connection is back in the pool, so that the next caller
    /// finds it there. If the request is still being sent, the connection is closed after 50
    /// milliseconds.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(late) = self.poll_late(cx) {
            return Poll::Ready(Some(Err(late)));
        }
        let Some(incoming) = &mut self.incoming else {
            return self.poll_settled(cx).map(|()| None);
        };
        let polled = Pin::new(incoming).poll_frame(cx);
        if let Hold::Reading(in_flight) = &mut self.hold {
            in_flight.note(polled.is_pending());
        }
        match ready!(polled) {
            Some(Ok(frame)) => {
                if self.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(source)) => {
                if let Hold::Reading(in_flight) = mem::replace(&mut self.hold, Hold::Over) {
                    in_flight.note_error(&source);
                }
                let origin = self.origin.clone();
                Poll::Ready(Some(Err(Error::Body { origin, source })))
            }
            None => {
                let is_whole = self.is_whole();
                self.incoming = None;
                if !is_whole {
                    self.hold = Hold::Over;
                    return Poll::Ready(Some(Err(Error::Reset { origin: self.origin.clone() })));
                }
                self.finish();
                self.poll_settled(cx).map(|()| None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.finish();
        }
        match mem::replace(&mut self.hold, Hold::Over) {
            Hold::Reading(in_flight) => abandon(self.incoming.take(), in_flight),
            Hold::Settling(settling) => settling.let_go(),
            Hold::Over => {}
        }
    }
}

/// Ends a response that was not read to its end.
fn abandon(incoming: Option<Incoming>, in_flight: InFlight) {
    let Some(incoming) = incoming else { return };
    if in_flight.is_shared() {
        // The stream must be reset before its lease ends.
        drop(incoming);
    } else if incoming.size_hint().lower() <= MAX_REST as u64 {
        in_flight.leave_task();
        in_flight.runtime().clone().spawn(drain(incoming, in_flight));
    }
}

/// Reads the rest of a response, if it is short, so that the connection can be reused.
async fn drain(mut incoming: Incoming, in_flight: InFlight) {
    let is_read = time::timeout(DRAIN, async {
        let mut left = MAX_REST;
        while let Some(frame) = incoming.frame().await {
            let frame = frame.inspect_err(|error| in_flight.note_error(error)).ok()?;
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = left.checked_sub(length)?;
        }
        Some(())
    });
    if let Ok(Some(())) = is_read.await {
        if let Some(settling) = in_flight.finish() {
            settling.future.await;
        }
    }
}

impl fmt::Debug for PooledBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBody")
            .field("origin", &self.origin)
            .field("holds_connection", &!matches!(self.hold, Hold::Over))
            .finish_non_exhaustive()
    }
}
