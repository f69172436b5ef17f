//! The future of `warm`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::connector::Connector;
use crate::core::{DialFailure, Sleeper};
use crate::engine::{Ticket, Warmth};
use crate::error::WarmError;
use crate::host::Host;

/// Resolves once so many connections are open. Made by [`Pool::warm`](crate::Pool::warm).
///
/// The dials begin at the call, as far as the limits allow; awaiting it only tells how they went.
/// Called outside a runtime, they begin when it is first polled.
///
/// # Cancel safety
///
/// Dropping it changes nothing: the dials go on.
#[must_use = "dialing has begun; await this to know how it went"]
pub struct Warm<C: Connector> {
    host: Host<C>,
    n: usize,
    /// Dials of the host that had failed before.
    failed_before: u64,
    /// Its place among those who wait.
    ticket: Ticket,
    /// Whether its dials have begun.
    begun: bool,
}

impl<C: Connector> Warm<C> {
    pub(crate) fn begin(host: Host<C>, n: usize) -> Self {
        let target = host.target();
        let at = target.id.index;
        let begun = target.core.see_runtime().is_some();
        let (failed_before, ticket) = target.change(|engine, now, fx| {
            let failed_before = engine.failed_dials(at);
            if begun {
                engine.warm(at, n, now, fx);
            }
            (failed_before, engine.ticket())
        });
        Warm { host, n, failed_before, ticket, begun }
    }
}

impl<C: Connector> Future for Warm<C> {
    type Output = Result<(), WarmError<C::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let target = self.host.target().clone();
        let (at, n, before, ticket) = (target.id.index, self.n, self.failed_before, self.ticket);
        let Some(runtime) = target.core.see_runtime() else {
            return Poll::Ready(Err(WarmError::NoRuntime));
        };
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime };
        if !std::mem::replace(&mut self.begun, true) {
            target.change(|engine, now, fx| engine.warm(at, n, now, fx));
        }
        let warmth = target
            .change(|engine, now, fx| engine.warmth(at, n, (now, before), (ticket, sleeper), fx));
        match warmth {
            Warmth::Dialing => Poll::Pending,
            Warmth::Reached => Poll::Ready(Ok(())),
            Warmth::NoRoom => Poll::Ready(Err(WarmError::NoRoom)),
            Warmth::Closed => Poll::Ready(Err(WarmError::Closed)),
            Warmth::Failed(DialFailure::Error(error)) => {
                Poll::Ready(Err(WarmError::Connect(error)))
            }
            Warmth::Failed(DialFailure::TimedOut) => Poll::Ready(Err(WarmError::ConnectTimeout)),
            Warmth::Failed(DialFailure::Panicked) => Poll::Ready(Err(WarmError::ConnectorPanicked)),
        }
    }
}

impl<C: Connector> Drop for Warm<C> {
    fn drop(&mut self) {
        let (target, ticket) = (self.host.target(), self.ticket);
        target.change(|engine, _, fx| engine.leave_warmth(target.id.index, ticket, fx));
    }
}

impl<C: Connector> fmt::Debug for Warm<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm").field("n", &self.n).finish_non_exhaustive()
    }
}
