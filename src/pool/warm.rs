//! The future of `warm`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::host::Host;
use super::warm_error::WarmError;
use crate::engine::{Progress, WarmRequest};
use crate::policy::connector::Connector;
use crate::runtime::parts::{TaskWaker, WaitsIn};

/// Resolves once the requested number of connections is open. Made by
/// [`Pool::warm`](crate::Pool::warm).
///
/// The dials start at the call, as far as the limits allow; awaiting it only reports how they
/// ended. If it is called outside a runtime, they start at the first poll.
///
/// # Cancel safety
///
/// Dropping it changes nothing: the dials continue.
#[must_use = "dialing has begun; await this to know how it went"]
pub struct Warm<C: Connector> {
    host: Host<C>,
    request: WarmRequest,
    /// False until it is polled in a runtime.
    begun: bool,
}

impl<C: Connector> Warm<C> {
    pub(super) fn begin(host: Host<C>, connections: usize) -> Self {
        let cell = host.cell();
        let begun = cell.pool.see_runtime().is_some();
        let request = cell.any().begin_warm(connections, begun);
        Warm { host, request, begun }
    }
}

impl<C: Connector> Future for Warm<C> {
    type Output = Result<(), WarmError<C::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let cell = self.host.cell().any();
        let request = self.request;
        let Some(runtime) = cell.pool().see_runtime() else {
            return Poll::Ready(Err(WarmError::NoRuntime));
        };
        let waits_in = WaitsIn::Other(runtime);
        let waker = TaskWaker { waker: cx.waker().clone(), waits_in };
        if !std::mem::replace(&mut self.begun, true) {
            cell.warm(request.connections);
        }
        match cell.progress(&request, waker) {
            Progress::Dialing => Poll::Pending,
            Progress::Reached => Poll::Ready(Ok(())),
            Progress::NoRoom => {
                let (key, max) = (cell.name(), cell.base().view().max);
                Poll::Ready(Err(WarmError::NoRoom { key, wanted: request.connections, max }))
            }
            Progress::Closed => Poll::Ready(Err(WarmError::Closed)),
            Progress::Failed(failure) => Poll::Ready(Err(WarmError::of_dial(failure, cell.name()))),
        }
    }
}

impl<C: Connector> Drop for Warm<C> {
    fn drop(&mut self) {
        self.host.cell().any().leave_warm(self.request.number);
    }
}

impl<C: Connector> fmt::Debug for Warm<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm").field("n", &self.request.connections).finish_non_exhaustive()
    }
}
