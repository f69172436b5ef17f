//! One call: sends it, and decides about a retry when it fails.

use std::mem;

use http::{Request, Response, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;

use super::error;
use super::in_flight::{Held, InFlight};
use super::messages::{Handed, Messages, OwnFailure};
use super::unprocessed::{self, Gone, Unprocessed};
use wharf_http::conn::{Unanswered, reset_code};

/// A call, which may be sent more than once.
pub(super) struct Call {
    head: request::Parts,
    /// The messages to send next.
    messages: Messages,
}

/// Why a call was not answered.
pub(super) struct Failure {
    pub(super) status: Status,
    /// No server has started the call, and all of its messages are still available.
    pub(super) may_be_sent_again: bool,
}

impl Call {
    /// # Errors
    ///
    /// The error of the first message, if it cannot be encoded.
    pub(super) async fn of(request: Request<Body>) -> Result<Self, Status> {
        let (head, body) = request.into_parts();
        Ok(Call { head, messages: Messages::of(body).await? })
    }

    /// Sends the call on this connection and waits for the head of the answer.
    pub(super) async fn attempt(
        &mut self,
        channel: Held,
    ) -> Result<(InFlight, Response<Incoming>), Failure> {
        let Some(mut in_flight) = InFlight::begin(channel) else {
            return Err(Failure { status: unprocessed::status(Gone), may_be_sent_again: true });
        };
        let copy = self.messages.copy();
        in_flight.own_failure = OwnFailure::of(&self.messages);
        let failed = in_flight.own_failure.keeper();
        let (handed, outgoing) = Handed::new(mem::take(&mut self.messages));
        let request = in_flight.channel().target().address(&self.head, outgoing.map_err(failed));
        in_flight.note(true);
        let sent = in_flight.send(request).await;
        in_flight.note(false);
        match sent {
            Ok(response) => Ok((in_flight, response)),
            Err(error) => {
                in_flight.note_error(error.error());
                Err(match in_flight.own_failure.take() {
                    Some(status) => Failure { status, may_be_sent_again: false },
                    None => self.judge(error, handed.take_back(), copy),
                })
            }
        }
    }

    /// Decides whether the call can be sent again, from the messages that came back and the copy,
    /// if one was kept.
    fn judge(
        &mut self,
        error: Unanswered,
        left: Option<Messages>,
        copy: Option<Messages>,
    ) -> Failure {
        // A server starts a unary call when its message arrives, but it may start a stream with the
        // head alone.
        let is_unsent =
            left.as_ref().is_some_and(Messages::is_complete) && reset_code(error.error()).is_none();
        if !(error.is_unsent() || is_unsent || error.is_unprocessed()) {
            return Failure { status: error::status(error.into_error()), may_be_sent_again: false };
        }
        let again = left.or(copy);
        let may_be_sent_again = again.is_some();
        self.messages = again.unwrap_or_default();
        Failure { status: unprocessed::status(Unprocessed(error.into_error())), may_be_sent_again }
    }
}
