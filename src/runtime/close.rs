//! The task of one close.

use std::sync::Arc;

use super::cell::HostCell;
use super::panics;
use super::parts::PartsOf;
use crate::engine::CloseOrder;
use crate::policy::connector::Connector;
use crate::policy::observer::Closed;

/// Starts a close in a task of its own. Without a runtime the connection is dropped at once.
pub(super) fn begin<C: Connector>(cell: &Arc<HostCell<C>>, order: CloseOrder<PartsOf<C>>) {
    let CloseOrder { loan, reason, id } = order;
    let (key, pool) = (cell, &cell.pool);
    panics::log(|| tracing::debug!(target: "wharf::close", ?key, id, ?reason, "closing"));
    pool.settings.observer.tell(|observer| observer.closed(&Closed { host: key, id, reason }));
    let runtime = pool.any_runtime();
    let (slot, loan) = (loan.slot, *loan);
    let closing = Closing { connection: Some(loan.connection), cell: cell.clone(), slot };
    if let Some(runtime) = runtime {
        runtime.spawn(close(closing));
    }
}

async fn close<C: Connector>(mut closing: Closing<C>) {
    let cell = closing.cell.clone();
    let pool = &cell.pool;
    let Some(connection) = closing.connection.take() else { return };
    let close = panics::catch_future("close", async { pool.connector.close(connection).await });
    match pool.settings.close_timeout {
        None => drop(close.await),
        Some(limit) => {
            if tokio::time::timeout(limit, close).await.is_err() {
                panics::log(|| {
                    tracing::warn!(target: "wharf::close", key = ?cell, "a close took too long");
                });
            }
        }
    }
}

/// A connection being closed, with its slot. Dropping it at any point ends the close.
struct Closing<C: Connector> {
    connection: Option<C::Connection>,
    cell: Arc<HostCell<C>>,
    slot: u32,
}

impl<C: Connector> Drop for Closing<C> {
    fn drop(&mut self) {
        // The connection is dropped before its place is freed, so that the cap holds while its
        // destructor runs.
        let connection = self.connection.take();
        let _ = panics::catch("the drop of a connection", || drop(connection));
        self.cell.change(|state, _| state.closed(self.slot));
    }
}
