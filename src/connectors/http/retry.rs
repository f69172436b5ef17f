//! When a request is sent again.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::{Method, Request};
use hyper::client::conn::TrySendError;

use tokio::runtime::Handle;

use super::request_body::RequestBody;
use super::turn::Turn;

/// A request that was not answered, and what may be done about it.
pub(super) struct Failure {
    pub(super) error: hyper::Error,
    pub(super) may_be_sent_again: bool,
    /// Whether it may be sent again only so often, and after a pause: one connection may fail many
    /// requests, or the same one many times.
    pub(super) is_paced: bool,
    /// The connection's.
    pub(super) runtime: Handle,
}

impl Failure {
    /// Judges how a request failed, of which a copy was kept if its body is kept. One that comes back
    /// unsent takes the place of the copy.
    pub(super) fn judge(
        turn: &Turn,
        mut error: TrySendError<Request<RequestBody>>,
        copy: &mut Request<RequestBody>,
    ) -> Self {
        let unsent = error.take_message();
        let error = error.into_error();
        let (is_first, is_shared) = (turn.is_first(), turn.is_shared());
        let is_paced = is_shared && (unsent.is_none() || is_first);
        // hyper drops the request that waits for a free stream when the connection ends, and calls
        // that an error of the user's.
        let is_untaken = is_untaken(&error) || (error.is_user() && turn.has_ended());
        // A new HTTP/1.1 connection that ends means it.
        let unsent = unsent.filter(|_| is_shared || !is_first);
        let is_lost = !is_first && is_lost(&error);
        let is_unwritten = turn.is_unwritten();
        let may_be_sent_twice = copy.body().is_kept()
            && (is_untaken || (is_lost && (is_unwritten || is_replayable(copy))));
        let may_be_sent_again = unsent.is_some() || may_be_sent_twice;
        if let Some(unsent) = unsent {
            *copy = unsent;
        }
        Failure { error, may_be_sent_again, is_paced, runtime: turn.runtime().clone() }
    }
}

/// Takes a request to send it, and leaves a copy, whose body is there if it is kept.
pub(super) fn take(request: &mut Request<RequestBody>) -> Request<RequestBody> {
    let mut taken = Request::new(request.body_mut().take());
    *taken.method_mut() = request.method().clone();
    *taken.headers_mut() = request.headers().clone();
    *taken.extensions_mut() = request.extensions().clone();
    taken
}

/// Whether the method, or the caller, says that sending it twice does no harm.
fn is_replayable<B>(request: &Request<B>) -> bool {
    let is_safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
    let keys = ["idempotency-key", "x-idempotency-key"];
    is_safe.contains(request.method())
        || keys.iter().any(|key| request.headers().contains_key(*key))
}

/// Whether the connection ended before an answer began.
fn is_lost(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || cause::<io::Error>(error).is_some()
        || cause::<h2::Error>(error).is_some_and(h2::Error::is_go_away)
}

/// Whether the peer says that it did nothing with this stream: it refused it, or went away before.
pub(crate) fn is_untaken(error: &hyper::Error) -> bool {
    cause::<h2::Error>(error).is_some_and(|error| {
        let is_refusal = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (error.is_go_away() || is_refusal)
    })
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

/// How long to wait before a request is sent again on HTTP/2 for the nth time, from 0 on; None when
/// that was often enough. As Go: six times, the first at once, then after a second, and twice as long
/// each time.
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
