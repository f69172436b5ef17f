//! The task that moves one connection's bytes.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::{Connection, Error};

/// How long the server may take for what should be done at once. What holds it up for longer is
/// something that a borrower left running.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(1);

/// Owns the task: dropped, it cuts the connection off.
pub(super) struct Driver {
    task: JoinHandle<()>,
    /// What the server remarks is about the pool's own requests, which nobody else has to know of.
    is_quiet: Arc<AtomicBool>,
}

impl Driver {
    pub(super) fn start<S, T>(mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_quiet = Arc::new(AtomicBool::new(false));
        let quiet = Arc::clone(&is_quiet);
        let task = tokio::spawn(async move {
            let ended = poll_fn(|cx| drive(&mut connection, quiet.load(Ordering::Relaxed), cx));
            if let Err(error) = ended.await {
                tracing::debug!(target: "wharf::postgres", ?error, "a connection has failed");
            }
        });
        Driver { task, is_quiet }
    }

    /// Whether the connection is gone, also because the task's runtime is.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Keeps the server's notices out of the log, or no longer.
    pub(super) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// Waits until the server has been told that this is the end, which happens once the client is
    /// dropped and every request has its answer.
    pub(super) async fn end(&mut self) {
        let _ = (&mut self.task).await;
    }
}

/// tokio-postgres' own way logs notices, and this one may drop them.
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
