//! The deadline of a dial. Connectors with several addresses to try divide the remaining time.

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

/// Returns when the pool will cut off the dial of the current task. `None` outside a pool's dial,
/// and in a pool without [`connect_timeout`](crate::Builder::connect_timeout).
///
/// For a connector that tries several addresses: the time that is left can be divided among them.
pub fn dial_deadline() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).unwrap_or(None)
}
