//! The future of warming a host of a shared pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::policy::shared_connector::SharedConnector;
use crate::pool::shared::share::Shares;
use crate::pool::warm::Warm;
use crate::pool::warm_error::WarmError;

/// Dials until a number of connections are open: what [`Warm`] is for a [`Pool`](crate::Pool). Made by
/// [`SharedPool::warm`](crate::SharedPool::warm) and [`SharedHost::warm`](crate::SharedHost::warm).
#[must_use = "dialing has begun; await this to know how it went"]
pub struct WarmShared<C: SharedConnector>(Warm<Shares<C>>);

impl<C: SharedConnector> WarmShared<C> {
    pub(super) fn new(warm: Warm<Shares<C>>) -> Self {
        WarmShared(warm)
    }
}

impl<C: SharedConnector> Future for WarmShared<C> {
    type Output = Result<(), WarmError<C::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<C: SharedConnector> fmt::Debug for WarmShared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WarmShared").field(&self.0).finish()
    }
}
