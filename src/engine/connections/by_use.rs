//! The connections at rest, in the order of their last use: a list through their entries.
//!
//! Taking the next one to lend, returning one, and removing one from the middle cost the same for
//! any number of connections. One that is pinged, or waits for its reset, keeps its place: its order
//! does not change. So a connection enters at another place than the end only if its last loan was
//! not used, or if it drained meanwhile.

use super::entry::Entry;
use super::slots::Slots;
use crate::engine::Parts;

const NONE: u32 = u32::MAX;

/// The neighbours of an entry in the list. Those beyond an end of the list mean nothing: taking
/// one from an end does not touch the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    older: u32,
    newer: u32,
}

impl Default for Links {
    fn default() -> Self {
        Links { older: NONE, newer: NONE }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct ByUse {
    oldest: u32,
    newest: u32,
}

type Entries<P> = Slots<Entry<P>>;

impl ByUse {
    pub(super) fn new() -> Self {
        ByUse { oldest: NONE, newest: NONE }
    }

    #[inline]
    pub(super) fn newest(&self) -> Option<u32> {
        (self.newest != NONE).then_some(self.newest)
    }

    #[inline]
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Returns the one that was used next before this one.
    #[inline]
    pub(super) fn before<P: Parts>(&self, slot: u32, entries: &Entries<P>) -> Option<u32> {
        (slot != self.oldest).then(|| entries[slot].links.older)
    }

    /// Returns the one that was used next after this one.
    #[inline]
    pub(super) fn after<P: Parts>(&self, slot: u32, entries: &Entries<P>) -> Option<u32> {
        (slot != self.newest).then(|| entries[slot].links.newer)
    }

    /// Adds the one that was used last.
    #[inline]
    pub(super) fn push<P: Parts>(&mut self, slot: u32, entries: &mut Entries<P>) {
        if self.newest == NONE {
            self.oldest = slot;
        } else {
            entries[slot].links.older = self.newest;
            entries[self.newest].links.newer = slot;
        }
        self.newest = slot;
    }

    /// Inserts an entry at its place.
    pub(super) fn enter<P: Parts>(&mut self, slot: u32, entries: &mut Entries<P>) {
        let last_use = entries[slot].last_use;
        if self.newest == NONE || entries[self.newest].last_use < last_use {
            return self.push(slot, entries);
        }
        let newer = self.next_newer(last_use, entries);
        if newer == self.oldest {
            self.oldest = slot;
        } else {
            let older = entries[newer].links.older;
            entries[older].links.newer = slot;
            entries[slot].links.older = older;
        }
        entries[slot].links.newer = newer;
        entries[newer].links.older = slot;
    }

    /// Returns the first one after this use, of which there is one. It looks from both ends.
    fn next_newer<P: Parts>(&self, last_use: u64, entries: &Entries<P>) -> u32 {
        let (mut low, mut high) = (self.oldest, self.newest);
        loop {
            if entries[low].last_use > last_use {
                return low;
            }
            if high == self.oldest || entries[entries[high].links.older].last_use < last_use {
                return high;
            }
            (low, high) = (entries[low].links.newer, entries[high].links.older);
        }
    }

    /// Removes an entry that is at one of the ends.
    #[inline]
    pub(super) fn leave_end(&mut self, slot: u32, links: Links) {
        if self.oldest == self.newest {
            *self = ByUse::new();
        } else if slot == self.newest {
            self.newest = links.older;
        } else {
            self.oldest = links.newer;
        }
    }

    /// Removes an entry.
    #[inline]
    pub(super) fn leave<P: Parts>(&mut self, slot: u32, entries: &mut Entries<P>) {
        let Links { older, newer } = entries[slot].links;
        match (slot == self.oldest, slot == self.newest) {
            (true, true) => *self = ByUse::new(),
            (true, false) => self.oldest = newer,
            (false, true) => self.newest = older,
            (false, false) => {
                entries[older].links.newer = newer;
                entries[newer].links.older = older;
            }
        }
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::connections::entry::Used;
    use crate::engine::programs::world::Plain;
    use crate::policy::time::Time;

    const SLOTS: u32 = 24;

    /// The list, and a sorted vector of the same last uses and slots.
    struct Both {
        list: ByUse,
        entries: Entries<Plain>,
        plain: Vec<(u64, u32)>,
        next_use: u64,
    }

    impl Both {
        fn new() -> Self {
            let mut entries = Slots::new();
            for _ in 0..SLOTS {
                entries.insert(Entry::dialing(Time::START, 0));
            }
            Both { list: ByUse::new(), entries, plain: Vec::new(), next_use: 0 }
        }

        /// One that is in the list leaves it; another one enters it, with a new number or with its
        /// last one.
        fn toggle(&mut self, slot: u32, is_used: bool) {
            if let Some(at) = self.plain.iter().position(|(_, other)| *other == slot) {
                self.plain.remove(at);
                return self.take(slot);
            }
            if is_used || self.entries[slot].last_use == 0 {
                self.next_use += 1;
                self.entries[slot].end_lease(0, Used::Until(Time::START, self.next_use));
            }
            self.plain.push((self.entries[slot].last_use, slot));
            self.plain.sort_unstable();
            self.list.enter(slot, &mut self.entries);
        }

        fn take(&mut self, slot: u32) {
            if Some(slot) == self.list.newest() || Some(slot) == self.list.oldest() {
                self.list.leave_end(slot, self.entries[slot].links);
            } else {
                self.list.leave(slot, &mut self.entries);
            }
        }

        fn ascending(&self) -> Vec<u32> {
            let after = |slot: &u32| self.list.after(*slot, &self.entries);
            std::iter::successors(self.list.oldest(), after).take(100).collect()
        }

        fn descending(&self) -> Vec<u32> {
            let before = |slot: &u32| self.list.before(*slot, &self.entries);
            std::iter::successors(self.list.newest(), before).take(100).collect()
        }
    }

    proptest! {
        #[test]
        fn the_list_has_the_order_of_a_sorted_vector_in_both_directions(
            steps in prop::collection::vec((0..SLOTS, any::<bool>()), 1..200)
        ) {
            let mut both = Both::new();
            for (slot, is_used) in steps {
                both.toggle(slot, is_used);
                let mut plain: Vec<u32> = both.plain.iter().map(|(_, slot)| *slot).collect();
                prop_assert_eq!(both.ascending(), plain.clone());
                plain.reverse();
                prop_assert_eq!(both.descending(), plain);
            }
        }
    }
}
