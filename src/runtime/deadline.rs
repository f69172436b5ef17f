//! When a dial has to be done. The connectors of this crate share out the time that is left.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    /// None where it is too far away to be told.
    static DEADLINE: Option<Instant>;
}

/// The dial, which is told that it has so long. It is not cut off here.
pub(super) fn told<F: Future>(limit: Duration, dial: F) -> impl Future<Output = F::Output> {
    DEADLINE.scope(Instant::now().checked_add(limit), dial)
}

/// When the dial that this task makes is cut off: none outside of a pool, and in a pool whose
/// `connect_timeout` is off.
#[cfg(feature = "tcp")]
pub(crate) fn of_this_dial() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).unwrap_or(None)
}
