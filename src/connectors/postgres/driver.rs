//! The task that moves one connection's bytes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};
use tokio_postgres::Error;

/// How long the server may take for what should be done at once. What holds it up for longer is
/// something that a borrower left running.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(1);

/// Owns the task: dropped, it cuts the connection off.
pub(super) struct Driver {
    task: JoinHandle<()>,
    resets: Arc<Resets>,
}

/// How many resets were begun, and how many of these were begun too long ago, whether answered or not.
///
/// The time is the driver's: in a runtime that nobody drives it cannot read an answer, and none is late.
#[derive(Default)]
struct Resets {
    begun: AtomicU64,
    late: AtomicU64,
}

impl Driver {
    pub(super) fn start(
        connection: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        let resets = Arc::<Resets>::default();
        let mut clock = Clock { resets: resets.clone(), timer: None, timed: 0 };
        let task = tokio::spawn(async move {
            let mut connection = pin!(connection);
            let end = poll_fn(|cx| {
                let end = connection.as_mut().poll(cx);
                if end.is_pending() {
                    let _ = clock.poll(cx);
                }
                end
            });
            if let Err(error) = end.await {
                tracing::debug!(target: "wharf::postgres", ?error, "a connection has failed");
            }
        });
        Driver { task, resets }
    }

    /// Whether the connection is gone, also because the task's runtime is.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Numbers a reset that is about to be sent, which wakes the task.
    pub(super) fn begin_reset(&self) -> u64 {
        self.resets.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether this reset should have been answered by now.
    pub(super) fn is_late(&self, reset: u64) -> bool {
        reset <= self.resets.late.load(Ordering::Relaxed)
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

/// Says which resets are late. One timer is enough for those that are begun while it runs: it is set
/// again for all of them.
struct Clock {
    resets: Arc<Resets>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The resets that were begun when the timer was set.
    timed: u64,
}

impl Clock {
    /// Is ready when nothing is left to time.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                self.resets.late.store(self.timed, Ordering::Relaxed);
                self.timer = None;
            }
            let begun = self.resets.begun.load(Ordering::Relaxed);
            if begun == self.timed {
                return Poll::Ready(());
            }
            self.timed = begun;
            self.timer = Some(Box::pin(sleep(LONG_WAIT)));
        }
    }
}
