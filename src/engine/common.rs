//! The state that all hosts of a pool share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Parts;
use super::budget::Ledger;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Makes a borrower's share of a connection. It runs under the lock and must not call user code.
pub(crate) type Share<P> = fn(&<P as Parts>::Connection) -> <P as Parts>::Connection;

pub(crate) struct Common<P: Parts> {
    pub(crate) limits: Limits,
    /// Present in pools of shared connections.
    pub(crate) share: Option<Share<P>>,
    /// Present in pools with a cap across hosts.
    pub(crate) ledger: Option<Ledger<P::Host>>,
    /// Whether connections are exclusive and no setting makes a lend or a return affect anything
    /// but the borrower.
    pub(crate) is_plain: bool,
    next_id: AtomicU64,
}

impl<P: Parts> Common<P> {
    pub(crate) fn new(limits: Limits, share: Option<Share<P>>) -> Self {
        let ledger = limits.span_hosts().then(|| Ledger::new(&limits));
        let is_plain = share.is_none()
            && ledger.is_none()
            && limits.min_idle_per_host == 0
            && limits.max_idle_per_host == usize::MAX
            && limits.heartbeat.is_none()
            && limits.leak_after == Span::FOREVER;
        Common { limits, share, ledger, is_plain, next_id: AtomicU64::new(1) }
    }

    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.share.is_some()
    }

    /// Returns the id of the next connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// Returns the time at which a connection becomes idle on the slow path. Under a cap on idle
    /// connections these times are unique, so that the least recently used connection is always
    /// known.
    pub(crate) fn idle_stamp(&self, now: Time) -> Time {
        match &self.ledger {
            Some(ledger) if self.limits.max_idle != usize::MAX => ledger.hints.stamp(now),
            _ => now,
        }
    }

    /// Returns whether the connections of all hosts have reached the cap.
    pub(crate) fn is_total_full(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.budget.lock().is_full())
    }
}
