//! A slab: values that keep their number as long as they are stored.
//!
//! The first is stored inline: most hosts have one connection, and a hit then touches one memory
//! location less. The rest grows by an eighth, because entries are large and hosts are many.

use std::mem;
use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

pub(crate) struct Slots<T> {
    items: SmallVec<[Slot<T>; 1]>,
    len: u32,
    /// The slot that became free last.
    free: Option<u32>,
}

enum Slot<T> {
    Taken(T),
    /// With the one that became free before it.
    Free(Option<u32>),
}

const PRESENT: &str = "it is there until it is removed";

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Slots { items: SmallVec::new(), len: 0, free: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn insert(&mut self, item: T) -> u32 {
        self.len += 1;
        let Some(slot) = self.free else { return self.push(item) };
        let free = mem::replace(&mut self.items[slot as usize], Slot::Taken(item));
        if let Slot::Free(next) = free {
            self.free = next;
        }
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
        let item = mem::replace(&mut self.items[slot as usize], Slot::Free(self.free));
        self.free = Some(slot);
        self.len -= 1;
        if self.len == 0 {
            *self = Slots::new();
        }
        item.taken().expect(PRESENT)
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
    fn each_keeps_its_slot_and_the_one_that_became_free_last_is_taken_next() {
        let mut slots = Slots::new();
        (0..5u32).for_each(|n| assert_eq!(slots.insert(n), n));
        assert_eq!((slots.remove(3), slots.remove(1)), (3, 1));
        assert_eq!((slots.insert(6), slots.insert(7), slots.insert(8)), (1, 3, 5));
        let all: Vec<_> = slots.iter().map(|(slot, item)| (slot, *item)).collect();
        assert_eq!(all, [(0, 0), (1, 6), (2, 2), (3, 7), (4, 4), (5, 8)]);
        assert_eq!((slots[3], slots.len()), (7, 6));
        let from: Vec<_> = slots.iter_from(4).map(|(slot, _)| slot).collect();
        assert_eq!(from, [4, 5, 0, 1, 2, 3]);
        assert_eq!(slots.iter_from(9).count(), 6);
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
}
