//! Closes in progress. One that takes too long gives up its place.

use std::collections::VecDeque;

use crate::engine::Parts;
use crate::engine::connections::entry::Entry;
use crate::engine::connections::slots::Slots;
use crate::policy::time::{Span, Time};

/// A close whose runtime is driven has ended by itself by then: caps are exact as long as timers
/// are no later than this.
const GRACE: Span = Span::from_nanos(10_000_000);

/// Below this many ended closes a sweep is not worthwhile.
const FEW: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Closing {
    until: Time,
    slot: u32,
    id: u64,
}

impl Closing {
    /// Returns whether it is in progress and still holds its place.
    fn holds_place<P: Parts>(&self, entries: &Slots<Entry<P>>) -> bool {
        let entry = entries.get(self.slot).filter(|entry| entry.id == self.id);
        entry.is_some_and(|entry| !entry.is_dead())
    }
}

/// In the order in which they give up their places. It may still include ended ones.
#[derive(Debug, Default)]
pub(crate) struct Closes(VecDeque<Closing>);

impl Closes {
    /// A close has begun that may take this long.
    pub(crate) fn begin(&mut self, (slot, id): (u32, u64), now: Time, at_most: Span) {
        let until = now.after(at_most).after(GRACE);
        // At the end, unless this one may take less time than those before it.
        let at = self.0.partition_point(|closing| closing.until <= until);
        self.0.insert(at, Closing { until, slot, id });
    }

    /// Takes the slot of the next one that has to give up its place. Ended ones before it are
    /// removed.
    pub(crate) fn take_late<P: Parts>(
        &mut self,
        now: Time,
        entries: &Slots<Entry<P>>,
    ) -> Option<u32> {
        while !self.0.front()?.holds_place(entries) {
            self.0.pop_front();
        }
        let is_late = self.0.front()?.until <= now;
        if is_late { self.0.pop_front().map(|first| first.slot) } else { None }
    }

    /// Returns when the first of them gives up its place.
    pub(crate) fn next(&self) -> Time {
        self.0.front().map_or(Time::NEVER, |first| first.until)
    }

    /// One has ended. The first may take arbitrarily long: ended ones behind it are swept once they
    /// are the majority.
    pub(crate) fn sweep<P: Parts>(&mut self, in_progress: u32, entries: &Slots<Entry<P>>) {
        if self.0.len() > 2 * in_progress as usize + FEW {
            self.0.retain(|closing| closing.holds_place(entries));
            self.0.shrink_to(2 * self.0.len() + FEW);
        }
    }

    /// Returns how many are kept, ended ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;
    use crate::engine::programs::world::Plain;

    #[test]
    fn one_that_may_take_less_time_gives_up_its_place_first() {
        let mut entries: Slots<Entry<Plain>> = Slots::new();
        let slots = [(); 3].map(|()| entries.insert(Entry::dialing(Time::START, 0)));
        let mut closes = Closes::default();
        for (slot, at_most) in slots.into_iter().zip([5, 1, 3]) {
            closes.begin((slot, 0), Time::START, Span::from_nanos(at_most));
        }
        let mut late = || closes.take_late(Time::NEVER, &entries);
        assert_eq!([late(), late(), late()], [slots[1], slots[2], slots[0]].map(Some));
    }

    #[test]
    fn a_close_gives_up_its_place_once_it_is_late_unless_it_has_ended() {
        let mut entries: Slots<Entry<Plain>> = Slots::new();
        let slots = [(); 3].map(|()| entries.insert(Entry::dialing(Time::START, 0)));
        let (mut closes, at_most) = (Closes::default(), Span::from_nanos(1));
        for slot in slots {
            closes.begin((slot, 0), Time::START, at_most);
        }
        let late = closes.next();
        assert_eq!(closes.take_late(Time::START, &entries), None);
        entries.remove(slots[0]);
        assert_eq!(closes.take_late(late, &entries), Some(slots[1]));
        assert_eq!(closes.take_late(late, &entries), Some(slots[2]));
        assert_eq!(closes.next(), Time::NEVER);
    }

    #[test]
    fn the_memory_of_many_closes_is_given_back_when_they_have_ended() {
        let mut entries: Slots<Entry<Plain>> = Slots::new();
        let mut closes = Closes::default();
        for _ in 0..1_000 {
            let slot = entries.insert(Entry::dialing(Time::START, 0));
            closes.begin((slot, 0), Time::START, Span::from_nanos(1));
        }
        for slot in 0..1_000 {
            entries.remove(slot);
            closes.sweep(999 - slot, &entries);
        }
        assert!(closes.0.capacity() <= 4 * FEW, "{}", closes.0.capacity());
    }
}
