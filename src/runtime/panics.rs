//! A panic in the user's code ends there: it becomes a value, and a line in the log.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The user's code has panicked; the panic hook has told how.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Calls `f` and catches its panic. What `f` touched is not used afterwards by any caller here:
/// the connection is closed.
pub(crate) fn catch<R>(what: &'static str, f: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| report(what, payload))
}

/// Drops a host, where others are still to be looked at. It may be the last of it, and its key is the user's.
pub(crate) fn let_go<H>(host: H) {
    let _ = catch("the drop of a key", || drop(host));
}

/// Runs `future` to its end and catches its panic.
pub(crate) async fn catch_future<F: Future>(
    what: &'static str,
    future: F,
) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(report(what, payload))),
    })
    .await
}

/// Writes to the log, which formats what is the user's: a panic in that loses nothing else.
pub(crate) fn log(write: impl FnOnce()) {
    let _ = catch("the Debug of a key or an error", write);
}

/// A log may panic too, and what a panic carries when it is dropped: then no more can be done.
#[cold]
fn report(what: &'static str, payload: Box<dyn Any + Send>) -> Panicked {
    mem::forget(catch_unwind(|| tracing::error!(target: "wharf", what, "the connector panicked")));
    mem::forget(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    Panicked
}
