//! Finds the loans that are held longest, without visiting all loans each time.
//!
//! A time-out lists them, and there are thousands of time-outs when a pool is exhausted. Therefore
//! a few of the oldest loans are remembered. Later loans are younger than all of them, so the list
//! stays correct as its loans return. All loans are visited again only when too few of the list are
//! left.

use std::collections::BinaryHeap;

use super::entry::Entry;
use super::leases::Lease;
use super::slots::Slots;
use crate::engine::Parts;
use crate::policy::time::{Span, Time};

/// How many a time-out lists.
const TOLD: usize = 16;

/// How many are remembered: all loans are visited again when most of these have returned.
const KEPT: usize = 128;

/// How late the clock of a loan may be: a later loan may appear older than an earlier one.
const COARSE: Span = Span::from_nanos(16_000_000);

/// A remembered loan, ordered by its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    since: Time,
    id: u64,
    nth: u32,
    slot: u32,
    lease: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Longest(Vec<Held>);

impl Longest {
    /// Returns the loans held longest with the ids of their connections, the oldest first. There
    /// are this many leases.
    pub(crate) fn list<P: Parts>(
        &mut self,
        entries: &Slots<Entry<P>>,
        leases: usize,
        now: Time,
    ) -> Vec<(u64, Lease)> {
        self.0.retain(|held| held.lease(entries).is_some());
        if self.0.len() < TOLD.min(leases) {
            self.0 = oldest(entries);
        }
        let first = self.0.iter().take(TOLD);
        let loans = first.filter_map(|held| Some((held.id, *held.lease(entries)?))).collect();
        self.0.retain(|held| held.since.after(COARSE) <= now);
        loans
    }
}

impl Held {
    /// Returns the lease, if it has not ended.
    fn lease<'a, P: Parts>(&self, entries: &'a Slots<Entry<P>>) -> Option<&'a Lease> {
        let entry = entries.get(self.slot).filter(|entry| entry.id == self.id)?;
        let lease = entry.leases().get(self.lease)?;
        (lease.since == self.since && lease.nth == self.nth).then_some(lease)
    }
}

/// Visits all loans.
fn oldest<P: Parts>(entries: &Slots<Entry<P>>) -> Vec<Held> {
    let mut oldest = BinaryHeap::with_capacity(KEPT + 1);
    for (slot, entry) in entries.iter() {
        for (number, lease) in entry.leases().numbered() {
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
