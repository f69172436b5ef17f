//! The task that reads and writes one connection's socket.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Connection, Error};

use super::failure;
use wharf::connector::Signs;

/// How long the server may take for something that should be immediate. If it takes longer, a
/// borrower left something running.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(1);

/// Owns the task: dropping it cuts the connection.
pub(super) struct Driver {
    task: JoinHandle<()>,
    /// Whether to drop the server's notices: they concern the pool's own requests.
    is_quiet: Arc<AtomicBool>,
}

impl Driver {
    pub(super) fn start<S, T>(mut connection: Connection<S, T>, signs: Signs) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_quiet = Arc::new(AtomicBool::new(false));
        let quiet = Arc::clone(&is_quiet);
        let task = tokio::spawn(async move {
            let ended = poll_fn(|cx| drive(&mut connection, quiet.load(Ordering::Relaxed), cx));
            if let Err(error) = ended.await {
                // Before the connection is dropped, which tells everybody that it has ended.
                if failure::is_of_server(&error) {
                    signs.fail();
                }
                tracing::debug!(target: "wharf::postgres", ?error, "a connection has failed");
            }
        });
        Driver { task, is_quiet }
    }

    /// Returns whether the connection is gone, possibly with the task's runtime.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Sets whether the server's notices are kept out of the log.
    pub(super) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// Waits until the server has been sent the end of the session, which happens once the client
    /// is dropped and every request has its answer.
    pub(super) async fn end(&mut self) {
        let _ = (&mut self.task).await;
    }
}

/// Returns the result of `future` if it is ready in this time. The time is split in two halves: if
/// the runtime was not driven meanwhile, an answer may have arrived that is yet to be read.
pub(super) async fn within_a_long_wait<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match timeout(LONG_WAIT / 2, future.as_mut()).await {
        Ok(output) => Some(output),
        Err(_) => timeout(LONG_WAIT / 2, future).await.ok(),
    }
}

/// tokio-postgres' own implementation logs notices; this one can drop them.
fn drive<S, T>(
    connection: &mut Connection<S, T>,
    is_quiet: bool,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    if !is_quiet {
        return Pin::new(connection).poll(cx);
    }
    while let Some(_message) = ready!(connection.poll_message(cx)?) {}
    Poll::Ready(Ok(()))
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
