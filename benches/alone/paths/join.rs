//! A caller that joins the queue of a full shared host, and gives up.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::task::yield_now;
use wharf::{Lease, SharedHost, SharedPool};

use crate::connector::Numbers;
use crate::count::Path;
use crate::setting::Setting;
use crate::sharing;

pub(crate) struct Join {
    host: SharedHost<Numbers>,
    /// The leases that fill the host.
    _held: Vec<Lease<Numbers>>,
}

impl Join {
    /// Sets up a host with `n` connections, each full with one lease.
    pub(crate) async fn new(setting: Setting, n: usize) -> Join {
        let builder = setting.apply(SharedPool::builder(), n);
        let host = sharing::host_of(builder, Numbers::with_leases(1), n).await;
        let held = sharing::hold(&host, n).await;
        Join { host, _held: held }
    }

    async fn join_and_give_up(&self) {
        let mut acquire = pin!(self.host.acquire());
        let is_waiting = poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx).is_pending())).await;
        assert!(is_waiting, "the host has room");
    }
}

impl Path for Join {
    // Peers are also asked once a second: in real time that would depend on the machine.
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        for _ in 0..times {
            self.join_and_give_up().await;
            yield_now().await;
        }
    }
}
