//! A host's lock, and what is read or done under it at once. No type of the connector is known here.
//!
//! No user code runs under the lock: no drop of a connection, no clone of a waker, no `is_open`.

use std::sync::Arc;
// The models change no settings: loom need not see these.
use std::sync::atomic::AtomicU64;

use super::failure::DialFailure;
use super::panics;
use super::parts::{Erased, HostState, Waiter};
use super::pool_base::PoolBase;
use super::rules::Rules;
use crate::engine::host::peers::FullPeers;
use crate::engine::status::{Causes, Counted, EntryView, HostView, Seen};
use crate::engine::sync::Mutex;
use crate::engine::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::engine::{Asking, Lease, Listing, Phase, Ticket};
use crate::policy::advice::Advice;
use crate::policy::time::{Span, Time};

/// What the lock guards: a host's state, and what governs it.
pub(super) struct Governed {
    pub(super) rules: Arc<Rules>,
    pub(super) state: HostState,
}

/// What does not depend on the connector.
#[repr(C)]
pub(crate) struct HostBase {
    /// Whether there were waiters when the lock was last released: callers then skip the first
    /// attempt. A stale `true` costs a slower attempt, a stale `false` one more lock. The attempt
    /// and the joining are under one lock, so no waiter is overtaken.
    crowded: AtomicBool,
    pub(super) state: Mutex<Governed>,
    /// `acquire_timeout`, in nanoseconds: read before a wait.
    acquire_timeout: AtomicU64,
    /// Never reused for another host.
    pub(super) id: u64,
    pub(crate) hash: u64,
}

impl HostBase {
    /// Makes a host whose new connections are expected to carry this many leases.
    pub(super) fn new(pool: &PoolBase, hash: u64, carries: usize, rules: Arc<Rules>) -> Self {
        let id = pool.next_host();
        let acquire_timeout = AtomicU64::new(rules.common.limits.acquire_timeout.nanos());
        let state = HostState::new(id, carries, &rules.common);
        let state = Mutex::new(Governed { rules, state });
        HostBase { crowded: AtomicBool::new(false), state, acquire_timeout, id, hash }
    }

    /// The time limit of an acquire without one of its own.
    #[inline]
    pub(crate) fn acquire_timeout(&self) -> Span {
        Span::from_nanos(self.acquire_timeout.load(Relaxed))
    }

    /// Called under the lock.
    pub(super) fn note_rules(&self, rules: &Rules) {
        self.acquire_timeout.store(rules.common.limits.acquire_timeout.nanos(), Relaxed);
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.state.lock().rules.clone()
    }

    /// Returns whether the host has the settings of this version.
    pub(super) fn follows(&self, rules: &Rules) -> bool {
        self.state.lock().rules.version >= rules.version
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
            self.state.lock().state.enter(phase);
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
        let Governed { rules, state } = &mut *self.state.lock();
        state.join_crowd(waiter, &rules.common)
    }

    /// Leaves the queue on the fast path, if that is all there is to do. Returns whether it did.
    pub(crate) fn leave_crowd(&self, waiter: &Waiter, pool: &PoolBase) -> bool {
        let now = pool.clock.exact();
        let unused = {
            let Governed { rules, state } = &mut *self.state.lock();
            state.leave_crowd(waiter, now, &rules.common)
        };
        let has_left = unused.is_some();
        let _ = panics::catch("a waker", || drop(unused));
        has_left
    }
}

/// # Inspection
impl HostBase {
    /// Reads the host's state.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&HostState) -> R) -> R {
        f(&self.state.lock().state)
    }

    pub(super) fn stops_ping(&self, slot: u32, now: Time) -> bool {
        let Governed { rules, state } = &mut *self.state.lock();
        state.stops_ping(slot, now, &rules.common)
    }

    pub(super) fn listing(&self) -> Listing {
        self.state.lock().state.listing()
    }

    pub(crate) fn view(&self) -> HostView {
        self.state.lock().state.view()
    }

    /// Adds the host's figures to those of others.
    pub(crate) fn add_to(&self, seen: &mut Seen, counted: &mut Counted) {
        self.state.lock().state.add_to(seen, counted);
    }

    /// Returns the last failed dial since the last one that succeeded, and its time.
    pub(crate) fn failure(&self) -> Option<(DialFailure, Time)> {
        self.state.lock().state.failure()
    }

    pub(crate) fn entry_view(&self, ticket: Ticket) -> EntryView {
        self.state.lock().state.entry_view(ticket)
    }

    /// Returns the loans, each with its connection's id.
    pub(crate) fn loans(&self) -> Vec<(u64, Lease)> {
        self.state.lock().state.loans()
    }

    /// Returns the next few shared connections that are full.
    pub(super) fn full_peers(&self, asking: Asking) -> FullPeers<Erased> {
        let Governed { rules, state } = &mut *self.state.lock();
        state.full_peers(asking, &rules.common)
    }

    pub(crate) fn idle_ids(&self) -> Vec<u64> {
        self.state.lock().state.idle_ids()
    }

    /// Returns why a caller may have waited in vain. The state remembers what was looked for.
    pub(crate) fn causes(&self, now: Time) -> Causes<DialFailure> {
        let Governed { rules, state } = &mut *self.state.lock();
        state.causes(now, &rules.common.limits)
    }

    /// Returns what would help the host's callers.
    pub(crate) fn advice(&self, now: Time) -> Option<Advice> {
        let Governed { rules, state } = &*self.state.lock();
        state.advice(&rules.common.limits, now)
    }

    /// The loan does not depend any more on the task that began it.
    pub(crate) fn note_no_holder(&self, ticket: Ticket) {
        self.state.lock().state.note_no_holder(ticket);
    }
}
