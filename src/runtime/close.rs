//! The task of one close.

use tracing::level_filters::LevelFilter;

use super::panics;
use super::parts::{Cell, Erased, Value};
use crate::engine::CloseOrder;
use crate::policy::close_reason::CloseReason;
use crate::policy::observer::Closed;

/// Starts a close in a task of its own. Without a runtime the connection is dropped at once.
pub(super) fn begin(cell: &Cell, order: CloseOrder<Erased>) {
    let CloseOrder { slot, id, connection, reason } = order;
    let runtime = cell.pool().any_runtime();
    let (connection, cell) = (Some(connection), cell.clone());
    let closing = Closing { connection, cell, slot, id, untold: Some(reason) };
    if let Some(runtime) = runtime {
        runtime.spawn(close(closing));
    }
}

async fn close(mut closing: Closing) {
    closing.tell();
    let cell = closing.cell.clone();
    let pool = cell.pool();
    let Some(connection) = closing.connection.take() else { return };
    let close = panics::catch_future("close", async { cell.close(connection).await });
    match pool.rules().config.close_timeout {
        None => drop(close.await),
        Some(limit) => {
            if tokio::time::timeout(limit, close).await.is_err() {
                pool.may_block(LevelFilter::WARN);
                panics::log(|| {
                    tracing::warn!(target: "wharf::close", key = ?cell, "a close took too long");
                });
            }
        }
    }
}

/// A connection being closed, with its slot. Dropping it at any point ends the close.
struct Closing {
    connection: Option<Value>,
    cell: Cell,
    slot: u32,
    id: u64,
    /// The reason, until it is reported.
    untold: Option<CloseReason>,
}

impl Closing {
    /// Runs in its own task: an observer that blocks delays only this close.
    fn tell(&mut self) {
        let Some(reason) = self.untold.take() else { return };
        let (key, id) = (&self.cell, self.id);
        key.pool().may_block(LevelFilter::DEBUG);
        panics::log(|| tracing::debug!(target: "wharf::close", ?key, id, ?reason, "closing"));
        let event = Closed { host: key, id, reason };
        key.pool().observer.tell(|observer| observer.closed(&event));
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.tell();
        // The connection is dropped before its place is freed, so that the cap holds while its
        // destructor runs.
        let connection = self.connection.take();
        let _ = panics::catch("the drop of a connection", || drop(connection));
        self.cell.change(|state, _| state.closed(self.slot));
    }
}
