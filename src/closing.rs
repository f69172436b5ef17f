//! The task of one close.

use std::sync::Arc;

use crate::connector::Connector;
use crate::core::Shell;
use crate::engine::CloseOrder;
use crate::observer::Closed;
use crate::panics;
use crate::target::Target;

/// Starts a close in a task of its own. Without a runtime the connection is dropped on the spot.
pub(crate) fn begin<C: Connector>(order: CloseOrder<Shell<C>>) {
    let CloseOrder { host, connection, reason, holds_slot } = order;
    panics::log(|| {
        let (key, id) = (&host.key, connection.id);
        tracing::debug!(target: "wharf::close", ?key, id, ?reason, "closing");
    });
    let id = connection.id;
    host.core.settings.observer.tell(|o| o.closed(&Closed { host: &host.key, id, reason }));
    let runtime = host.core.any_runtime();
    let closing =
        Closing { connection: Some(connection.connection.connection), target: host, holds_slot };
    if let Some(runtime) = runtime {
        runtime.spawn(close(closing));
    }
}

async fn close<C: Connector>(mut closing: Closing<C>) {
    let target = closing.target.clone();
    let core = &target.core;
    let Some(connection) = closing.connection.take() else { return };
    let close = panics::catch_future("close", async { core.connector.close(connection).await });
    match core.settings.close_timeout {
        None => drop(close.await),
        Some(limit) => {
            if tokio::time::timeout(limit, close).await.is_err() {
                panics::log(|| {
                    tracing::warn!(target: "wharf::close", key = ?target.key, "a close took too long");
                });
            }
        }
    }
}

/// A connection on its way out, and its slot, if it holds one. Dropped at any point, it ends the
/// close.
struct Closing<C: Connector> {
    connection: Option<C::Connection>,
    target: Arc<Target<C>>,
    holds_slot: bool,
}

impl<C: Connector> Drop for Closing<C> {
    fn drop(&mut self) {
        // The connection goes before its slot, so that the cap holds while its destructor runs.
        let connection = self.connection.take();
        let _ = panics::catch("the drop of a connection", || drop(connection));
        let (at, holds_slot) = (self.target.id.index, self.holds_slot);
        self.target.change(|engine, now, fx| {
            if holds_slot {
                engine.close_ended(at, now, fx);
            } else {
                engine.close_beside_ended(fx);
            }
        });
    }
}
