//! What governs a host: its limits, and the state that all hosts of a pool share.

use std::sync::Arc;

use super::Parts;
use super::budget::Ledger;
use super::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Makes a borrower's share of a connection. It runs under the lock and must not call user code.
pub(crate) type Share<P> = fn(&<P as Parts>::Connection) -> <P as Parts>::Connection;

/// See the module. Hosts with the same limits have the same one.
pub(crate) struct Common<P: Parts> {
    pub(crate) limits: Limits,
    /// Present in pools of shared connections.
    pub(crate) share: Option<Share<P>>,
    /// Whether connections are exclusive and no setting makes a lend or a return affect anything
    /// but the borrower.
    pub(crate) is_plain: bool,
    all_hosts: Arc<AllHosts<P>>,
}

/// Loans that were reported must be reported again when they are back: they are watched, although no
/// new ones are reported.
const NO_NEW_REPORTS: Span = Span::from_nanos(u64::MAX - 1);

struct AllHosts<P: Parts> {
    /// Present in pools that were made with a cap across hosts.
    ledger: Option<Ledger<P::Host>>,
    next_id: AtomicU64,
}

impl<P: Parts> Common<P> {
    pub(crate) fn new(limits: Limits, share: Option<Share<P>>) -> Self {
        let ledger = limits.span_hosts().then(|| Ledger::new(&limits));
        let all_hosts = Arc::new(AllHosts { ledger, next_id: AtomicU64::new(1) });
        Common::of(limits, share, all_hosts)
    }

    /// Returns what governs other hosts of the same pool, or the same one from now on.
    pub(crate) fn with(&self, mut limits: Limits) -> Self {
        if limits.leak_after == Span::FOREVER && self.limits.leak_after != Span::FOREVER {
            limits.leak_after = NO_NEW_REPORTS;
        }
        Common::of(limits, self.share, self.all_hosts.clone())
    }

    fn of(limits: Limits, share: Option<Share<P>>, all_hosts: Arc<AllHosts<P>>) -> Self {
        let is_plain = share.is_none()
            && all_hosts.ledger.is_none()
            && limits.min_idle_per_host == 0
            && limits.max_idle_per_host == usize::MAX
            && limits.heartbeat.is_none()
            && limits.leak_after == Span::FOREVER;
        Common { limits, share, is_plain, all_hosts }
    }

    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.share.is_some()
    }

    #[inline]
    pub(crate) fn ledger(&self) -> Option<&Ledger<P::Host>> {
        self.all_hosts.ledger.as_ref()
    }

    /// Returns the id of the next connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.all_hosts.next_id.fetch_add(1, Relaxed)
    }

    /// Returns the time at which a connection becomes idle on the slow path. Under a cap on idle
    /// connections these times are unique, so that the least recently used connection is always
    /// known.
    pub(crate) fn idle_stamp(&self, now: Time) -> Time {
        match self.ledger() {
            Some(ledger) if self.limits.max_idle != usize::MAX => ledger.hints.stamp(now),
            _ => now,
        }
    }

    /// Returns whether the connections of all hosts have reached the cap.
    pub(crate) fn is_total_full(&self) -> bool {
        self.ledger().is_some_and(|ledger| ledger.budget.lock().is_full())
    }
}
