//! A slab: values that keep their number as long as they are stored.
//!
//! The first is stored inline: most hosts have one connection, and a hit then touches one memory
//! location less. The rest grows by an eighth, because entries are large and hosts are many.
//!
//! Memory is given back from the end. A value cannot move, so one that stays for long keeps the memory
//! of all slots below its own. Therefore the lowest free slot is taken: those with low numbers stay,
//! and those with high ones go in the course of time.

use std::collections::BTreeSet;
use std::mem;
use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

pub(crate) struct Slots<T> {
    /// The last one is taken.
    items: SmallVec<[Slot<T>; 1]>,
    /// The slots that are free, if any are: the pointer keeps a host with one connection small.
    #[allow(clippy::box_collection)]
    free: Option<Box<BTreeSet<u32>>>,
}

enum Slot<T> {
    Taken(T),
    Free,
}

const PRESENT: &str = "it is there until it is removed";

/// Memory is given back once it is for more than this many times the slots.
const ROOM: usize = 4;

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Slots { items: SmallVec::new(), free: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.free.as_ref().map_or(0, |free| free.len())
    }

    pub(crate) fn insert(&mut self, item: T) -> u32 {
        let Some(slot) = self.take_free() else { return self.push(item) };
        self.items[slot as usize] = Slot::Taken(item);
        slot
    }

    /// Takes the lowest free slot.
    fn take_free(&mut self) -> Option<u32> {
        let slot = self.free.as_mut()?.pop_first();
        self.free.take_if(|free| free.is_empty());
        slot
    }

    fn push(&mut self, item: T) -> u32 {
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(1 + self.items.len() / 8);
        }
        self.items.push(Slot::Taken(item));
        u32::try_from(self.items.len() - 1).expect("fewer than `u32::MAX` connections")
    }

    pub(crate) fn remove(&mut self, slot: u32) -> T {
        let item = mem::replace(&mut self.items[slot as usize], Slot::Free);
        if slot as usize + 1 == self.items.len() {
            self.items.pop();
            self.cut_end();
        } else {
            self.free.get_or_insert_default().insert(slot);
        }
        item.taken().expect(PRESENT)
    }

    /// Removes the free slots at the end, and gives memory back. That costs no more for each slot if
    /// there are many: those that stay and move are fewer than those that have gone since the memory
    /// was taken.
    fn cut_end(&mut self) {
        while let Some(Slot::Free) = self.items.last() {
            self.items.pop();
            self.free.as_mut().and_then(|free| free.pop_last());
        }
        self.free.take_if(|free| free.is_empty());
        if self.items.capacity() > self.items.len().saturating_mul(ROOM) {
            self.items.shrink_to_fit();
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.items.get(slot as usize)?.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.numbered(0)
    }

    /// Iterates over all once, from this slot on.
    pub(crate) fn iter_from(&self, slot: u32) -> impl Iterator<Item = (u32, &T)> {
        let before = move |(other, _): &(u32, &T)| *other < slot;
        self.numbered(slot).chain(self.numbered(0).take_while(before))
    }

    fn numbered(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        let items = self.items.get(from as usize..).unwrap_or_default();
        (from..).zip(items).filter_map(|(slot, item)| Some((slot, item.as_ref()?)))
    }

    /// Returns the allocated capacity.
    #[cfg(all(test, not(wharf_loom)))]
    pub(crate) fn capacity(&self) -> usize {
        self.items.capacity()
    }
}

impl<T> Slot<T> {
    #[inline]
    fn as_ref(&self) -> Option<&T> {
        if let Slot::Taken(item) = self { Some(item) } else { None }
    }

    #[inline]
    fn as_mut(&mut self) -> Option<&mut T> {
        if let Slot::Taken(item) = self { Some(item) } else { None }
    }

    fn taken(self) -> Option<T> {
        if let Slot::Taken(item) = self { Some(item) } else { None }
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    #[inline]
    fn index(&self, slot: u32) -> &T {
        self.items[slot as usize].as_ref().expect(PRESENT)
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.items[slot as usize].as_mut().expect(PRESENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keeps_its_slot_and_the_lowest_free_one_is_taken_next() {
        let mut slots = Slots::new();
        (0..5u32).for_each(|n| assert_eq!(slots.insert(n), n));
        assert_eq!((slots.remove(1), slots.remove(3)), (1, 3));
        assert_eq!((slots.insert(6), slots.insert(7), slots.insert(8)), (1, 3, 5));
        let all: Vec<_> = slots.iter().map(|(slot, item)| (slot, *item)).collect();
        assert_eq!(all, [(0, 0), (1, 6), (2, 2), (3, 7), (4, 4), (5, 8)]);
        assert_eq!((slots[3], slots.len()), (7, 6));
        let from: Vec<_> = slots.iter_from(4).map(|(slot, _)| slot).collect();
        assert_eq!(from, [4, 5, 0, 1, 2, 3]);
        assert_eq!(slots.iter_from(9).count(), 6);
    }

    #[test]
    fn a_slot_at_the_end_that_was_removed_is_the_next_one_again() {
        let mut slots = Slots::new();
        (0..4u32).for_each(|n| assert_eq!(slots.insert(n), n));
        assert_eq!((slots.remove(2), slots.remove(1), slots.remove(3)), (2, 1, 3));
        assert_eq!((slots.get(3), slots.len()), (None, 1));
        assert_eq!((slots.insert(5), slots.insert(6), slots.insert(7)), (1, 2, 3));
        assert_eq!(slots.iter().map(|(_, item)| *item).collect::<Vec<_>>(), [0, 5, 6, 7]);
    }

    #[test]
    #[cfg(not(wharf_loom))]
    fn the_room_grows_by_an_eighth_and_is_given_back_with_the_last() {
        let mut slots = Slots::new();
        for n in 1..=200 {
            slots.insert(n);
            assert!(slots.capacity() <= n + n / 8 + 1, "{} for {n}", slots.capacity());
        }
        (0..200).for_each(|slot| assert_eq!(slots.remove(slot), slot as usize + 1));
        assert_eq!((slots.len(), slots.capacity()), (0, 1));
    }

    /// Slots after 10,000 have come, of which this one stays.
    #[cfg(not(wharf_loom))]
    fn after_a_burst(stays: u32) -> Slots<u32> {
        let mut slots = Slots::new();
        (0..10_000).for_each(|n| assert_eq!(slots.insert(n), n));
        (0..10_000).filter(|n| *n != stays).for_each(|n| assert_eq!(slots.remove(n), n));
        slots
    }

    #[test]
    #[cfg(not(wharf_loom))]
    fn a_host_gives_its_memory_back_after_a_burst() {
        let slots = after_a_burst(0);
        assert_eq!((slots.len(), slots.capacity()), (1, 1));
    }

    #[test]
    #[cfg(not(wharf_loom))]
    fn a_connection_in_a_high_slot_keeps_the_memory_below_it_until_it_goes() {
        let mut slots = after_a_burst(9_999);
        assert!(slots.capacity() >= 10_000);
        // Those that come meanwhile take low slots.
        assert_eq!([slots.insert(1), slots.insert(2)], [0, 1]);
        assert_eq!(slots.remove(9_999), 9_999);
        assert_eq!(slots.capacity(), 2);
        assert_eq!((slots[0], slots[1], slots.len()), (1, 2, 2));
    }

    #[test]
    #[cfg(not(wharf_loom))]
    fn memory_is_not_given_back_each_time_and_taken_again() {
        let mut slots = Slots::new();
        (0..1_000).for_each(|n| assert_eq!(slots.insert(n), n));
        let full = slots.capacity();
        for _ in 0..3 {
            (500..1_000).for_each(|n| assert_eq!(slots.remove(n), n));
            assert_eq!(slots.capacity(), full);
            (500..1_000).for_each(|n| assert_eq!(slots.insert(n), n));
        }
        assert_eq!(slots.capacity(), full);
    }
}
