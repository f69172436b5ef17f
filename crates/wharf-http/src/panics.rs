//! Contains panics of the bodies that users give: each becomes a value and a line in the log.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The user's code has panicked; the panic hook has reported it.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Calls `f` and catches its panic. What `f` touched is not used afterwards.
pub(crate) fn catch<R>(what: &'static str, f: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| report(what, payload))
}

/// A logger may panic too, and so may the drop of a panic's payload: then there is nothing more to
/// do.
#[cold]
fn report(what: &'static str, payload: Box<dyn Any + Send>) -> Panicked {
    mem::forget(catch_unwind(|| tracing::error!(target: "wharf::http", what, "a body panicked")));
    mem::forget(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    Panicked
}
