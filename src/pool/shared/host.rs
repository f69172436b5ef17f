//! A handle on one host of a shared pool.

use std::fmt;
use std::time::Duration;

use crate::policy::build_error::BuildError;
use crate::policy::shared_connector::SharedConnector;
use crate::pool::host::Host;
use crate::pool::shared::share::Shares;
use crate::pool::shared::{AcquireLease, Lease, SharedPool, WarmShared};
use crate::pool::status::{HostStatus, LoanInfo};
use crate::pool::timeout_report::LastDialError;

/// One host of a shared pool: saves the look-up of the key. Made by
/// [`SharedPool::host`](crate::SharedPool::host). It is for a [`SharedPool`] what a [`Host`] is for
/// a [`Pool`](crate::Pool).
pub struct SharedHost<C: SharedConnector>(Host<Shares<C>>);

impl<C: SharedConnector> SharedHost<C> {
    pub(super) fn new(host: Host<Shares<C>>) -> Self {
        SharedHost(host)
    }

    /// Returns the pool that the host belongs to.
    pub fn pool(&self) -> SharedPool<C> {
        SharedPool::of(self.0.pool())
    }

    /// Returns the host's key.
    pub fn key(&self) -> &C::Key {
        self.0.key()
    }

    /// Waits for a lease.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    pub fn acquire(&self) -> AcquireLease<C> {
        AcquireLease::new(self.0.acquire())
    }

    /// Waits for a lease with this time limit. With zero it does not wait.
    ///
    /// # Errors
    ///
    /// [`AcquireError`](crate::AcquireError), which says why.
    #[track_caller]
    pub fn acquire_within(&self, timeout: Duration) -> AcquireLease<C> {
        AcquireLease::new(self.0.acquire_within(timeout))
    }

    /// Takes a lease on a connection that has room, if there is one. It never waits or dials.
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Lease<C>> {
        self.0.try_acquire().map(Lease::new)
    }

    /// Dials until `n` connections are open, as [`Pool::warm`](crate::Pool::warm) does.
    pub fn warm(&self, n: usize) -> WarmShared<C> {
        WarmShared::new(self.0.warm(n))
    }

    /// Changes the host's cap on connections for the lifetime of the pool. Lowering it closes idle
    /// ones at once; the newest of the others take no new leases until the cap is raised again.
    ///
    /// # Errors
    ///
    /// Rejects zero, as the builder does.
    pub fn set_max(&self, n: usize) -> Result<(), BuildError> {
        self.0.set_max(n)
    }

    /// Drains all connections of the host, as [`SharedPool::retire`](crate::SharedPool::retire) does.
    pub fn retire(&self) {
        self.0.retire();
    }

    /// Returns the current leases, the longest held first.
    pub fn loans(&self) -> Vec<LoanInfo> {
        self.0.loans()
    }

    /// Returns how the last dial failed, if none has succeeded since, as
    /// [`Host::last_dial_error`] does.
    ///
    /// # Panics
    ///
    /// If the `Display` of the connector's error panics.
    pub fn last_dial_error(&self) -> Option<LastDialError> {
        self.0.last_dial_error()
    }

    /// Returns the current state of the host.
    pub fn status(&self) -> HostStatus {
        self.0.status()
    }
}

impl<C: SharedConnector> Clone for SharedHost<C> {
    fn clone(&self) -> Self {
        SharedHost(self.0.clone())
    }
}

impl<C: SharedConnector> fmt::Debug for SharedHost<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedHost").field(&self.0).finish()
    }
}
