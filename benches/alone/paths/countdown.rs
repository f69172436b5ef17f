//! Counts the steps of other tasks down.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// Lets one task wait until others have made a number of steps.
#[derive(Default)]
pub(crate) struct Countdown {
    left: AtomicUsize,
    is_over: Notify,
}

impl Countdown {
    /// Waits until this many steps are made, counted from the first poll.
    pub(crate) async fn run(&self, steps: usize) {
        self.left.store(steps, Relaxed);
        self.is_over.notified().await;
    }

    /// Makes a step. Steps after the last one do not count.
    pub(crate) fn step(&self) {
        match self.left.load(Relaxed) {
            0 => return,
            1 => self.is_over.notify_one(),
            _ => {}
        }
        self.left.fetch_sub(1, Relaxed);
    }
}
