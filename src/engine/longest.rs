//! Finds the loans that are held longest, without visiting all loans each time.
//!
//! A time-out lists them, and there are thousands of time-outs when a pool is exhausted. Therefore
//! a few of the oldest loans are remembered. Later loans are younger than all of them, so the list
//! stays correct as its loans return. All loans are visited again only when too few of the list are
//! left.

use std::collections::BinaryHeap;

use super::leases::Lease;
use super::{Common, HostState, Parts};
use crate::policy::time::{Span, Time};

/// How many a time-out lists.
const TOLD: usize = 16;

/// How many are remembered: all loans are visited again when most of these have returned.
const KEPT: usize = 128;

/// How late the clock of a loan may be: a later loan may appear older than an earlier one.
const COARSE: Span = Span::from_nanos(16_000_000);

/// A remembered loan, ordered by its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    since: Time,
    id: u64,
    nth: u32,
    slot: u32,
    lease: u32,
}

impl<P: Parts> HostState<P> {
    /// Returns the loans held longest with the ids of their connections, the oldest first, and how
    /// many more there are.
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

    /// Visits all loans.
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

    /// Returns the number of leases. For exclusive connections it equals those in use.
    pub(super) fn leases(&self, common: &Common<P>) -> usize {
        if common.is_shared() { self.count_leases() } else { self.gauges.in_use as usize }
    }

    pub(super) fn count_leases(&self) -> usize {
        self.entries.iter().map(|(_, entry)| entry.leases.len()).sum()
    }
}
