//! Deadlines.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use super::in_flight::within;

/// A time limit that starts when this is made.
pub(super) struct Deadline {
    pub(super) limit: Duration,
    /// `None` if it is too far away to matter.
    at: Option<Instant>,
    /// Made when it is first polled.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Deadline { limit, at: Instant::now().checked_add(limit), sleep: None }
    }

    /// Returns the time that is left. `None` if it is too long to matter.
    pub(super) fn left(&self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Ready when the time is over. It uses the timer of the current runtime, or else of the one
    /// given.
    pub(super) fn poll(&mut self, runtime: &Handle, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let sleep = self
            .sleep
            .get_or_insert_with(|| within(runtime, || Box::pin(tokio::time::sleep_until(at))));
        sleep.as_mut().poll(cx)
    }

    /// Waits for the future, and returns `None` when the deadline passes first.
    pub(super) async fn bound<T>(
        &mut self,
        runtime: &Handle,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(runtime, cx).map(|()| None),
        })
        .await
    }
}
