//! The task that moves one connection's bytes.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::Error;

/// How long the server may take for what should be done at once. What holds it up for longer is
/// something that a borrower left running.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(1);

/// Owns the task: dropped, it cuts the connection off.
pub(super) struct Driver {
    task: JoinHandle<()>,
}

impl Driver {
    pub(super) fn start(
        connection: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(target: "wharf::postgres", ?error, "a connection has failed");
            }
        });
        Driver { task }
    }

    /// Whether the connection is gone, also because the task's runtime is.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until the server has been told that this is the end, which happens once the client is
    /// dropped and every request has its answer.
    pub(super) async fn end(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
