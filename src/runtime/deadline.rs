//! The deadline of a dial. The connectors of this crate divide the remaining time.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    /// `None` if it is too far away to matter.
    static DEADLINE: Option<Instant>;
}

/// Gives the dial this deadline, which it can read. It is not cut off here.
pub(super) fn told<F: Future>(limit: Duration, dial: F) -> impl Future<Output = F::Output> {
    DEADLINE.scope(Instant::now().checked_add(limit), dial)
}

/// Returns when the dial of the current task is cut off. `None` outside a pool, and in a pool
/// without `connect_timeout`.
#[cfg(feature = "tcp")]
pub(crate) fn of_this_dial() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).unwrap_or(None)
}
