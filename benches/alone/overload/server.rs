//! A server that does a number of things at once, and everything more slowly beyond that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

#[derive(Clone)]
pub(crate) struct Server {
    /// How many uses at once slow each other down by nothing.
    at_once: u32,
    /// What such a use takes.
    time: Duration,
    in_use: Arc<AtomicU32>,
}

impl Server {
    pub(crate) fn new(at_once: u32, time: Duration) -> Server {
        Server { at_once, time, in_use: Arc::default() }
    }

    /// One use. With twice as many in use as it can do at once, it takes twice as long.
    pub(crate) async fn serve(&self) {
        let in_use = self.in_use.fetch_add(1, Relaxed) + 1;
        sleep(self.time * in_use.max(self.at_once) / self.at_once).await;
        self.in_use.fetch_sub(1, Relaxed);
    }
}
