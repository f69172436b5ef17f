//! A host's lock, and what is read or done under it at once. No type of the connector is known here.
//!
//! No user code runs under the lock: no drop of a connection, no clone of a waker, no `is_open`.

use std::sync::Arc;

use super::failure::DialFailure;
use super::panics;
use super::parts::{Erased, HostState, Waiter};
use super::pool_base::PoolBase;
use crate::engine::host::peers::FullPeer;
use crate::engine::status::{Causes, EntryView, HostView};
use crate::engine::sync::Mutex;
use crate::engine::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::engine::{Asking, Common, Lease, Listing, Phase, Ticket};
use crate::policy::limits::Limits;
use crate::policy::time::Time;

/// What does not depend on the connector.
#[repr(C)]
pub(crate) struct HostBase {
    /// Whether there were waiters when the lock was last released: callers then skip the first
    /// attempt. A stale `true` costs a slower attempt, a stale `false` one more lock. The attempt
    /// and the joining are under one lock, so no waiter is overtaken.
    crowded: AtomicBool,
    pub(super) state: Mutex<HostState>,
    /// Never reused for another host.
    pub(super) id: u64,
    pub(crate) hash: u64,
}

impl HostBase {
    /// Makes a host whose new connections are expected to carry this many leases.
    pub(super) fn new(pool: &PoolBase, hash: u64, carries: usize, own_max: Option<usize>) -> Self {
        let id = pool.next_host();
        let state = HostState::new(id, carries, &pool.common).with_max(own_max);
        HostBase { crowded: AtomicBool::new(false), state: Mutex::new(state), id, hash }
    }

    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Relaxed)
    }

    /// Called under the lock, or soon after.
    #[inline]
    pub(super) fn note_crowded(&self, crowded: bool) {
        if self.is_crowded() != crowded {
            self.crowded.store(crowded, Relaxed);
        }
    }

    /// The host is in the directory from now on, unless the pool is closed. Returns whether it is. Called under the
    /// directory's lock.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        if phase != Phase::Closed {
            self.state.lock().enter(phase);
        }
        phase != Phase::Closed
    }
}

/// # The queue's fast path
impl HostBase {
    /// Joins the queue on the fast path, if there are waiters already. Returns how many.
    #[inline]
    pub(crate) fn join_crowd(&self, waiter: &Arc<Waiter>, pool: &PoolBase) -> Option<usize> {
        if !self.is_crowded() || pool.is_closed() {
            return None;
        }
        self.state.lock().join_crowd(waiter, &pool.common)
    }

    /// Leaves the queue on the fast path, if that is all there is to do. Returns whether it did.
    pub(crate) fn leave_crowd(&self, waiter: &Waiter, pool: &PoolBase) -> bool {
        let now = pool.clock.exact();
        let unused = self.state.lock().leave_crowd(waiter, now, &pool.common);
        let has_left = unused.is_some();
        let _ = panics::catch("a waker", || drop(unused));
        has_left
    }
}

/// # Inspection
impl HostBase {
    /// Reads the host's state.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&HostState) -> R) -> R {
        f(&self.state.lock())
    }

    pub(super) fn listing(&self) -> Listing {
        self.state.lock().listing()
    }

    pub(crate) fn view(&self) -> HostView {
        self.state.lock().view()
    }

    pub(crate) fn entry_view(&self, ticket: Ticket) -> EntryView {
        self.state.lock().entry_view(ticket)
    }

    /// Returns the loans, each with its connection's id.
    pub(crate) fn loans(&self) -> Vec<(u64, Lease)> {
        self.state.lock().loans()
    }

    /// Returns the next few shared connections that are full.
    pub(super) fn full_peers(
        &self,
        asking: Asking,
        common: &Common<Erased>,
    ) -> Vec<FullPeer<Erased>> {
        self.state.lock().full_peers(asking, common)
    }

    pub(crate) fn idle_ids(&self) -> Vec<u64> {
        self.state.lock().idle_ids()
    }

    /// Returns why a caller may have waited in vain. The state remembers what was looked for.
    pub(crate) fn causes(&self, now: Time, limits: &Limits) -> Causes<DialFailure> {
        self.state.lock().causes(now, limits)
    }

    /// The loan does not depend any more on the task that began it.
    pub(crate) fn note_no_holder(&self, ticket: Ticket) {
        self.state.lock().note_no_holder(ticket);
    }
}
