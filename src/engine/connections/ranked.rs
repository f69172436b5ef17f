//! The shared connections that have room for a lease, in the order in which they are lent.

use std::collections::BTreeSet;

use super::Connections;
use super::entry::{Entry, Facts};
use crate::engine::Parts;
use crate::policy::limits::Limits;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;

/// The place of a connection in the order: the lowest is lent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The leases that it carries, or whether it carries a single one at most.
    level: u32,
    within: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ranked {
    reuse: Reuse,
    spread: Spread,
    order: BTreeSet<(Rank, u32)>,
    /// Those of all connections, with room or without.
    leases: usize,
}

impl Ranked {
    pub(super) fn new(limits: &Limits) -> Self {
        Ranked { reuse: limits.reuse, spread: limits.spread, order: BTreeSet::new(), leases: 0 }
    }

    /// Returns whether the order is that of these limits.
    pub(super) fn is_of(&self, limits: &Limits) -> bool {
        (self.reuse, self.spread) == (limits.reuse, limits.spread)
    }

    /// Returns the rank of a connection, if it has room.
    pub(super) fn rank<P: Parts>(&self, entry: &Entry<P>) -> Option<Rank> {
        entry.has_room().then(|| match self.spread {
            // Connections with one lease each are lent as exclusive ones are.
            Spread::OldestFirst if entry.max_leases > 1 => Rank { level: 0, within: entry.id },
            Spread::OldestFirst => Rank { level: 1, within: self.by_use(entry) },
            Spread::LeastLoaded => {
                let level = u32::try_from(entry.leases().len()).unwrap_or(u32::MAX);
                Rank { level, within: self.by_use(entry) }
            }
        })
    }

    fn by_use(&self, facts: &Facts) -> u64 {
        match self.reuse {
            Reuse::MostRecent => u64::MAX - facts.last_use,
            Reuse::LeastRecent => facts.last_use,
        }
    }

    /// A connection has changed its rank.
    pub(super) fn moves(&mut self, slot: u32, old: Option<Rank>, new: Option<Rank>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, slot));
        }
        if let Some(new) = new {
            self.order.insert((new, slot));
        }
    }

    /// A connection had this many leases, and has this many now.
    #[inline]
    pub(super) fn count(&mut self, old: usize, new: usize) {
        self.leases = self.leases + new - old;
    }

    #[inline]
    pub(super) fn leases(&self) -> usize {
        self.leases
    }

    /// Returns the one that is lent first.
    pub(super) fn first(&self) -> Option<(Rank, u32)> {
        self.order.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the slots, the first to be lent first.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.order.iter().map(|(_, slot)| *slot)
    }
}

impl<P: Parts> Connections<P> {
    /// Puts the shared connections in the order of these limits.
    pub(crate) fn rerank(&mut self, limits: &Limits) {
        let Connections { ranked: Some(ranked), entries, .. } = self else { return };
        if ranked.is_of(limits) {
            return;
        }
        **ranked = Ranked { leases: ranked.leases, ..Ranked::new(limits) };
        for (slot, entry) in entries.iter() {
            ranked.moves(slot, None, ranked.rank(entry));
        }
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use crate::engine::CallSite;
    use std::time::Duration;

    use super::*;
    use crate::engine::connections::entry::{Made, Proof};
    use crate::engine::programs::world::Plain;
    use crate::policy::config::Config;
    use crate::policy::time::Time;

    /// A connection with this id that takes a number of leases, has begun some, and was last used as
    /// this one.
    fn entry(id: u64, max_leases: u32, leases: u32, last_use: u64) -> Entry<Plain> {
        let at = Time::START;
        let (took, idle_since, expires) = (Duration::ZERO, at, Time::NEVER);
        let proof = Proof::Ping;
        let made = Made { id, connection: 0, max_leases, took, at, idle_since, expires, proof };
        let mut entry = Entry::dialing(at, 0);
        entry.made(made, 0, last_use);
        for _ in 0..leases {
            entry.begin_lease(at, CallSite::caller(), Some(|connection| *connection));
        }
        entry
    }

    /// Returns the ids in the order in which they are lent.
    fn order(spread: Spread, reuse: Reuse, entries: &[Entry<Plain>]) -> Vec<u64> {
        let mut ranked = Ranked::new(&Limits { reuse, spread, ..Config::default().limits() });
        for (slot, entry) in (0..).zip(entries) {
            ranked.moves(slot, None, ranked.rank(entry));
        }
        assert_eq!(ranked.first().map(|(_, slot)| slot), ranked.iter().next());
        assert_eq!(ranked.len(), ranked.iter().count());
        ranked.iter().map(|slot| entries[slot as usize].id).collect()
    }

    const BOTH: [Reuse; 2] = [Reuse::MostRecent, Reuse::LeastRecent];

    #[test]
    fn the_oldest_connection_is_first_whatever_was_used_last() {
        let entries = [entry(3, 4, 0, 7), entry(1, 4, 3, 9), entry(2, 4, 1, 8)];
        for reuse in BOTH {
            assert_eq!(order(Spread::OldestFirst, reuse, &entries), [1, 2, 3]);
        }
    }

    #[test]
    fn connections_with_one_lease_each_follow_reuse() {
        let entries = [entry(3, 1, 0, 7), entry(1, 1, 0, 9), entry(2, 1, 0, 8)];
        for spread in [Spread::OldestFirst, Spread::LeastLoaded] {
            assert_eq!(order(spread, Reuse::MostRecent, &entries), [1, 2, 3]);
            assert_eq!(order(spread, Reuse::LeastRecent, &entries), [3, 2, 1]);
        }
    }

    #[test]
    fn a_connection_with_many_leases_comes_before_those_with_one() {
        let entries = [entry(1, 1, 0, 9), entry(3, 4, 2, 7), entry(2, 1, 0, 1)];
        assert_eq!(order(Spread::OldestFirst, Reuse::MostRecent, &entries), [3, 1, 2]);
        assert_eq!(order(Spread::OldestFirst, Reuse::LeastRecent, &entries), [3, 2, 1]);
    }

    #[test]
    fn the_connection_with_the_fewest_leases_is_first_and_equal_ones_follow_reuse() {
        let entries = [entry(1, 4, 2, 5), entry(2, 4, 1, 6), entry(3, 4, 1, 7), entry(4, 4, 0, 1)];
        assert_eq!(order(Spread::LeastLoaded, Reuse::MostRecent, &entries), [4, 3, 2, 1]);
        assert_eq!(order(Spread::LeastLoaded, Reuse::LeastRecent, &entries), [4, 2, 3, 1]);
    }

    #[test]
    fn a_full_connection_has_no_rank() {
        let entries = [entry(1, 2, 2, 5), entry(2, 1, 1, 6), entry(3, 2, 1, 7)];
        for spread in [Spread::OldestFirst, Spread::LeastLoaded] {
            assert_eq!(order(spread, Reuse::MostRecent, &entries), [3]);
        }
        assert!(order(Spread::OldestFirst, Reuse::MostRecent, &entries[..2]).is_empty());
    }

    #[test]
    fn a_connection_moves_with_its_rank() {
        let limits = Limits { spread: Spread::LeastLoaded, ..Config::default().limits() };
        let mut ranked = Ranked::new(&limits);
        ranked.moves(1, None, ranked.rank(&entry(2, 2, 1, 2)));
        let mut old = None;
        for (leases, expected) in [(0, vec![0, 1]), (1, vec![1, 0]), (2, vec![1]), (0, vec![0, 1])]
        {
            let new = ranked.rank(&entry(1, 2, leases, 1));
            ranked.moves(0, old, new);
            assert_eq!(ranked.iter().collect::<Vec<_>>(), expected, "with {leases} leases");
            old = new;
        }
    }
}
