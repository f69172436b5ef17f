//! Decides when a request is sent again.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::{Method, Request};
use hyper::client::conn::TrySendError;

use tokio::runtime::Handle;

use super::heads::Unacceptable;
use super::in_flight::InFlight;
use super::request_body::RequestBody;
use super::{Error, Origin};

/// A request that was not answered, and how to retry it.
pub(super) struct Failure {
    error: hyper::Error,
    /// The peer's fault.
    fault: Option<Unacceptable>,
    pub(super) may_be_sent_again: bool,
    /// Whether retries are limited in number and separated by pauses: one connection may fail many
    /// requests, or the same request many times.
    pub(super) is_paced: bool,
    /// The runtime of the connection.
    pub(super) runtime: Handle,
}

impl Failure {
    /// Decides whether to retry a request. `request` holds a copy of it if its body is kept; a
    /// request that comes back unsent replaces the copy.
    pub(super) fn judge(
        in_flight: &InFlight,
        mut error: TrySendError<Request<RequestBody>>,
        copy: &mut Request<RequestBody>,
    ) -> Self {
        let unsent = error.take_message();
        let error = error.into_error();
        let (is_first, is_shared) = (in_flight.is_first(), in_flight.is_shared());
        let fault = in_flight.fault();
        let is_paced = is_shared && (unsent.is_none() || is_first);
        // hyper drops a request that waits for a free stream when the connection ends, and reports
        // that as an error of the user's.
        let is_untaken = is_untaken(&error) || (error.is_user() && in_flight.has_ended());
        // A server that closes a new HTTP/1.1 connection does so on purpose.
        let unsent = unsent.filter(|_| is_shared || !is_first);
        let is_lost = !is_first && is_lost(&error);
        let is_unwritten = in_flight.is_unwritten();
        let may_be_sent_twice = copy.body().is_kept()
            && (is_untaken || (is_lost && (is_unwritten || is_replayable(copy))));
        let may_be_sent_again = fault.is_none() && (unsent.is_some() || may_be_sent_twice);
        if let Some(unsent) = unsent {
            *copy = unsent;
        }
        Failure { error, fault, may_be_sent_again, is_paced, runtime: in_flight.runtime().clone() }
    }

    pub(super) fn into_error(self, origin: Origin) -> Error {
        match self.fault {
            Some(Unacceptable::NoHttp2) => Error::NoHttp2 { origin },
            Some(Unacceptable::Interim) => Error::Interim { origin },
            None => Error::Exchange { origin, source: self.error },
        }
    }
}

/// Takes a request for sending, and leaves a copy, with the body if that is kept.
pub(super) fn take(request: &mut Request<RequestBody>) -> Request<RequestBody> {
    let mut taken = Request::new(request.body_mut().take());
    *taken.method_mut() = request.method().clone();
    *taken.headers_mut() = request.headers().clone();
    *taken.extensions_mut() = request.extensions().clone();
    taken
}

/// Returns whether the method or a header says that sending the request twice does no harm.
fn is_replayable<B>(request: &Request<B>) -> bool {
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
    let keys = ["idempotency-key", "x-idempotency-key"];
    is_safe.contains(request.method())
        || keys.iter().any(|key| request.headers().contains_key(*key))
}

/// Returns whether the connection ended before a response began.
fn is_lost(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || cause::<io::Error>(error).is_some()
        || cause::<h2::Error>(error).is_some_and(h2::Error::is_go_away)
}

/// Returns whether the peer says that it did not process this stream: it refused it or sent GOAWAY
/// before.
pub(crate) fn is_untaken(error: &hyper::Error) -> bool {
    cause::<h2::Error>(error).is_some_and(|error| {
        let is_refusal = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (error.is_go_away() || is_refusal)
    })
}

/// Returns whether the head of an HTTP/1.1 response exceeded hyper's limits. hyper tells it by a method in
/// its servers only; here by its text.
pub(super) fn is_too_large(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string() == "message head is too large"
}

pub(crate) fn cause<E: StdError + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

/// Returns the pause before the nth retry on HTTP/2, counting from 0; `None` after the last one. As
/// in Go, there are six: the first at once, the second after a second, and each pause twice as long
/// as the last.
pub(super) fn pause(nth: u32) -> Option<Duration> {
    match nth {
        0 => Some(Duration::ZERO),
        1..6 => Some(Duration::from_secs(1 << (nth - 1)).mul_f64(1.0 + 0.1 * fastrand::f64())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_double_and_end() {
        assert_eq!(pause(0), Some(Duration::ZERO));
        for nth in 1..6 {
            let seconds = pause(nth).unwrap().as_secs_f64();
            let least = f64::from(1 << (nth - 1));
            assert!((least..least * 1.1).contains(&seconds), "{nth}: {seconds}");
        }
        assert_eq!(pause(6), None);
    }
}
