//! The task that moves one connection's bytes.

use tokio::task::JoinHandle;
use tokio_postgres::Error;

/// Owns the task: dropped, it cuts the connection off.
pub(super) struct Driver(JoinHandle<()>);

impl Driver {
    pub(super) fn start(
        connection: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        Driver(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(target: "wharf::postgres", ?error, "a connection has failed");
            }
        }))
    }

    /// Whether the connection is gone, also because the task's runtime is.
    pub(super) fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until the server has been told that this is the end, which happens once the client is
    /// dropped and every request has its answer.
    pub(super) async fn end(mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
