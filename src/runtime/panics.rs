//! Contains panics of user code: each becomes a value and a line in the log.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The user's code has panicked; the panic hook has reported it.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Calls `f` and catches its panic. No caller uses afterwards what `f` touched: the connection is
/// closed.
pub(crate) fn catch<R>(what: &'static str, f: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| report(what, payload))
}

/// Drops a host while others are still to be visited. It may be the last reference, and its key is
/// the user's.
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

/// Writes to the log, which formats the user's types: a panic in them loses nothing else.
pub(crate) fn log(write: impl FnOnce()) {
    let _ = catch("the Debug of a key or an error", write);
}

/// A logger may panic too, and so may the drop of a panic's payload: then there is nothing more to
/// do.
#[cold]
fn report(what: &'static str, payload: Box<dyn Any + Send>) -> Panicked {
    mem::forget(catch_unwind(|| tracing::error!(target: "wharf", what, "the connector panicked")));
    mem::forget(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    Panicked
}
