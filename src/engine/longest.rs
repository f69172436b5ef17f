//! The loans that are held longest, found without a look at all loans each time.
//!
//! A time-out names them, and time-outs come by the thousand when a pool is exhausted. So a few of the oldest are
//! remembered. A loan that begins later is younger than all of them: what is remembered stays right until its loans
//! return, and all loans are gone through again only when too few of it are left.

use std::collections::BinaryHeap;

use super::leases::Lease;
use super::{Common, HostState, Parts};
use crate::policy::time::{Span, Time};

/// How many a time-out names.
const TOLD: usize = 16;

/// How many are remembered: all loans are gone through again when most of these are back.
const KEPT: usize = 128;

/// A loan notes a clock that may be so late: one that begins now may seem older than one that began before it.
const COARSE: Span = Span::from_nanos(16_000_000);

/// A loan as it is remembered, in the order in which loans began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    since: Time,
    id: u64,
    nth: u32,
    slot: u32,
    lease: u32,
}

impl<P: Parts> HostState<P> {
    /// The loans held longest, by the id of their connection and the oldest first, and how many more there are.
    pub(super) fn longest_held(
        &mut self,
        now: Time,
        common: &Common<P>,
    ) -> (Vec<(u64, Lease)>, usize) {
        let all = self.leases(common);
        let mut longest = std::mem::take(&mut self.rare().longest);
        longest.retain(|held| self.lease_of(held).is_some());
        if longest.len() < TOLD.min(all) {
            longest = self.oldest_leases();
        }
        let loans: Vec<_> = longest
            .iter()
            .take(TOLD)
            .filter_map(|held| Some((held.id, *self.lease_of(held)?)))
            .collect();
        longest.retain(|held| held.since.after(COARSE) <= now);
        self.rare().longest = longest;
        let more = all.saturating_sub(loans.len());
        (loans, more)
    }

    fn lease_of(&self, held: &Held) -> Option<&Lease> {
        let entry = self.entries.get(held.slot).filter(|entry| entry.id == held.id)?;
        let lease = entry.leases.get(held.lease)?;
        (lease.since == held.since && lease.nth == held.nth).then_some(lease)
    }

    /// Goes through all of them.
    fn oldest_leases(&self) -> Vec<Held> {
        let mut oldest = BinaryHeap::with_capacity(KEPT + 1);
        for (slot, entry) in self.entries.iter() {
            for (number, lease) in entry.leases.numbered() {
                let held =
                    Held { since: lease.since, id: entry.id, nth: lease.nth, slot, lease: number };
                if oldest.len() == KEPT && oldest.peek().is_some_and(|youngest| *youngest < held) {
                    continue;
                }
                oldest.push(held);
                if oldest.len() > KEPT {
                    oldest.pop();
                }
            }
        }
        oldest.into_sorted_vec()
    }

    /// How many leases are out. Of exclusive connections each is one in use.
    pub(super) fn leases(&self, common: &Common<P>) -> usize {
        if common.is_shared() { self.count_leases() } else { self.gauges.in_use as usize }
    }

    pub(super) fn count_leases(&self) -> usize {
        self.entries.iter().map(|(_, entry)| entry.leases.len()).sum()
    }
}
