//! What all hosts of a pool have in common.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Parts;
use super::budget::Ledger;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Makes a borrower's share of a connection. Runs under the lock: no code of the user's.
pub(crate) type Share<P> = fn(&<P as Parts>::Connection) -> <P as Parts>::Connection;

pub(crate) struct Common<P: Parts> {
    pub(crate) limits: Limits,
    /// In pools of shared connections.
    pub(crate) share: Option<Share<P>>,
    /// In pools with a cap across hosts.
    pub(crate) ledger: Option<Ledger<P::Host>>,
    /// No setting makes a lending or a return concern anybody but the borrower, and the connections are exclusive.
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

    /// The next connection's id.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// When a connection goes idle by the long way. Under a cap on idle connections no two go at the same time, so that
    /// the least recently used one is always known.
    pub(crate) fn idle_stamp(&self, now: Time) -> Time {
        match &self.ledger {
            Some(ledger) if self.limits.max_idle != usize::MAX => ledger.hints.stamp(now),
            _ => now,
        }
    }

    /// Whether as many are open in all hosts as the cap allows.
    pub(crate) fn is_total_full(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.budget.lock().is_full())
    }
}
