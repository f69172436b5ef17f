//! The future of one acquire.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::policy::shared_connector::SharedConnector;
use crate::pool::acquire::Acquire;
use crate::pool::error::AcquireError;
use crate::pool::shared::Lease;
use crate::pool::shared::share::Shares;

/// Waits for a lease. Made by [`SharedPool::acquire`](crate::SharedPool::acquire) and similar
/// methods.
///
/// # Cancel safety
///
/// Dropping it at any point loses nothing, and does not affect other leases of the same connection.
#[must_use = "an acquire does nothing until it is awaited"]
pub struct AcquireLease<C: SharedConnector>(Acquire<Shares<C>>);

impl<C: SharedConnector> AcquireLease<C> {
    pub(super) fn new(acquire: Acquire<Shares<C>>) -> Self {
        AcquireLease(acquire)
    }

    /// Has logs and reports name this place in the code, instead of the line that called `acquire`:
    /// see [`Acquire::called_at`].
    pub fn called_at(self, place: &'static Location<'static>) -> Self {
        AcquireLease(self.0.called_at(place))
    }

    /// Names the purpose of this acquire, as logs and reports show it: see [`Acquire::label`].
    pub fn label(self, label: &'static str) -> Self {
        AcquireLease(self.0.label(label))
    }

    /// Waits for this long at most, or for [`acquire_timeout`](crate::Builder::acquire_timeout) if that is
    /// shorter: see [`Acquire::at_most`].
    pub fn at_most(self, limit: Duration) -> Self {
        AcquireLease(self.0.at_most(limit))
    }
}

impl<C: SharedConnector> Future for AcquireLease<C> {
    type Output = Result<Lease<C>, AcquireError<C::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(Lease::new)
    }
}

impl<C: SharedConnector> fmt::Debug for AcquireLease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AcquireLease").field(&self.0).finish()
    }
}
