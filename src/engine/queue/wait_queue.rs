//! The first-in-first-out queue of Go's `wantConnQueue` with two slices, with cheap removal, and from
//! which the newest entry can be taken as well.
//!
//! Entries are pushed on the tail slice and popped from the head slice. When the head is empty, the
//! tail is reversed and the two change places. Both backing arrays are thus reused, and a queue in
//! steady use allocates nothing.
//!
//! In contrast to Go, cancelled entries are *counted*, and the queue removes them once they
//! outnumber the live ones. Cancelling is amortized O(1), and cancelled entries take no more memory
//! than live ones. The caller knows whether an entry is live.

/// A first-in-first-out queue.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct WaitQueue<T> {
    /// Reversed: the next entry is the last element.
    head: Vec<T>,
    tail: Vec<T>,
    /// Cancelled entries that are still in one of the slices.
    cancelled: usize,
}

/// Slices shorter than this are not worth sweeping or shrinking.
const SMALL: usize = 32;

impl<T> WaitQueue<T> {
    pub(crate) const fn new() -> Self {
        WaitQueue { head: Vec::new(), tail: Vec::new(), cancelled: 0 }
    }

    /// Returns how many live entries there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.tail.len() - self.cancelled
    }

    pub(crate) fn push(&mut self, entry: T) {
        self.tail.push(entry);
    }

    /// Returns the oldest live entry, which stays. Cancelled ones before it are dropped.
    pub(crate) fn front(&mut self, is_live: impl Fn(&T) -> bool) -> Option<&T> {
        loop {
            if self.head.is_empty() {
                if self.tail.is_empty() {
                    return None;
                }
                std::mem::swap(&mut self.head, &mut self.tail);
                self.head.reverse();
            }
            if is_live(self.head.last()?) {
                return self.head.last();
            }
            self.head.pop();
            self.cancelled -= 1;
        }
    }

    /// Removes and returns the oldest live entry.
    pub(crate) fn pop(&mut self, is_live: impl Fn(&T) -> bool) -> Option<T> {
        self.front(is_live)?;
        self.head.pop()
    }

    /// Returns the newest live entry, which stays. Cancelled ones after it are dropped.
    pub(crate) fn back(&mut self, is_live: impl Fn(&T) -> bool) -> Option<&T> {
        loop {
            if self.tail.is_empty() {
                if self.head.is_empty() {
                    return None;
                }
                // The newer half, so that taking from either end is amortized O(1).
                let newer = self.head.len().div_ceil(2);
                self.tail.extend(self.head.drain(..newer));
                self.tail.reverse();
            }
            if is_live(self.tail.last()?) {
                return self.tail.last();
            }
            self.tail.pop();
            self.cancelled -= 1;
        }
    }

    /// Removes and returns the newest live entry.
    pub(crate) fn pop_back(&mut self, is_live: impl Fn(&T) -> bool) -> Option<T> {
        self.back(is_live)?;
        self.tail.pop()
    }

    /// Iterates over the live entries, the oldest first.
    pub(crate) fn iter(&self, is_live: impl Fn(&T) -> bool) -> impl DoubleEndedIterator<Item = &T> {
        self.head.iter().rev().chain(&self.tail).filter(move |entry| is_live(entry))
    }

    /// Records that a queued entry was cancelled, and sweeps when cancelled entries are the
    /// majority.
    pub(crate) fn cancel(&mut self, is_live: impl Fn(&T) -> bool) {
        self.cancelled += 1;
        let queued = self.head.len() + self.tail.len();
        if self.cancelled * 2 < queued + SMALL && self.cancelled < queued {
            return;
        }
        for slice in [&mut self.head, &mut self.tail] {
            slice.retain(|entry| is_live(entry));
            if slice.capacity() > SMALL && slice.len() < slice.capacity() / 4 {
                slice.shrink_to(slice.len() * 2);
            }
        }
        self.cancelled = 0;
    }

    /// Returns the allocated capacity.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.head.capacity() + self.tail.capacity()
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use std::cell::RefCell;
    use std::collections::{HashSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    const ALL: fn(&u32) -> bool = |_| true;

    #[test]
    fn entries_come_out_in_the_order_they_went_in() {
        let mut queue = WaitQueue::new();
        (0..10).for_each(|n| queue.push(n));
        let first: Vec<_> = (0..5).filter_map(|_| queue.pop(ALL)).collect();
        (10..15).for_each(|n| queue.push(n));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop(ALL)).collect();
        assert_eq!(first, (0..5).collect::<Vec<_>>());
        assert_eq!(rest, (5..15).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_in_steady_use_keeps_its_two_arrays() {
        let mut queue = WaitQueue::new();
        let round = |queue: &mut WaitQueue<u32>| {
            (0..100).for_each(|n| queue.push(n));
            while queue.pop(ALL).is_some() {}
        };
        round(&mut queue);
        round(&mut queue);
        let capacity = queue.capacity();
        (0..100).for_each(|_| round(&mut queue));
        assert_eq!(queue.capacity(), capacity);
    }

    #[test]
    fn a_queue_of_a_steady_length_keeps_its_arrays_whoever_leaves() {
        let mut queue = WaitQueue::new();
        (0..100).for_each(|n| queue.push(n));
        let mut round = |n: u32| {
            queue.push(n);
            queue.cancel(|other| *other + 100 > n);
            queue.capacity()
        };
        let room = (100..1000).map(&mut round).last();
        assert!((1000..10_000).map(round).all(|now| Some(now) == room));
    }

    #[test]
    fn a_hundred_thousand_cancelled_entries_behind_a_live_one_take_no_room() {
        let live = RefCell::new((0..=100_000u32).collect::<HashSet<_>>());
        let mut queue = WaitQueue::new();
        (0..=100_000).for_each(|n| queue.push(n));
        for n in 1..=100_000 {
            live.borrow_mut().remove(&n);
            queue.cancel(|n| live.borrow().contains(n));
        }
        assert!(queue.capacity() <= 2 * SMALL, "{}", queue.capacity());
        assert_eq!(queue.pop(|n| live.borrow().contains(n)), Some(0));
        assert_eq!(queue.pop(|n| live.borrow().contains(n)), None);
    }

    #[test]
    fn entries_are_taken_from_both_ends_in_steps_of_little_cost() {
        let mut queue = WaitQueue::new();
        (0..1000).for_each(|n| queue.push(n));
        for n in 0..500 {
            assert_eq!((queue.pop(ALL), queue.pop_back(ALL)), (Some(n), Some(999 - n)));
        }
        assert_eq!((queue.pop(ALL), queue.pop_back(ALL)), (None, None));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push,
        Pop,
        PopBack,
        Cancel(prop::sample::Index),
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_plain_deque(ops in prop::collection::vec(prop_oneof![
            3 => Just(Op::Push),
            2 => Just(Op::Pop),
            2 => Just(Op::PopBack),
            2 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        ], 0..400)) {
            let mut model = VecDeque::new();
            let mut queue = WaitQueue::new();
            for (n, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Push => {
                        model.push_back(n);
                        queue.push(n);
                    }
                    Op::Pop => {
                        let got = queue.pop(|entry| model.contains(entry));
                        prop_assert_eq!(got, model.pop_front());
                    }
                    Op::PopBack => {
                        let got = queue.pop_back(|entry| model.contains(entry));
                        prop_assert_eq!(got, model.pop_back());
                    }
                    Op::Cancel(which) if !model.is_empty() => {
                        model.remove(which.index(model.len()));
                        queue.cancel(|entry| model.contains(entry));
                    }
                    Op::Cancel(_) => {}
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(queue.cancelled <= model.len() + SMALL);
            }
        }
    }
}
