//! The dials in flight: which of them still count, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::policy::time::{Span, Time};

/// A dial in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) since: Time,
    /// The host's turn at its start. It tells what began before an event from what began after it.
    pub(crate) turn: u64,
    /// The host was retired during the dial: it may serve one waiter that joined before that.
    pub(crate) retired_at: Option<Time>,
    /// Its task has to stop. Its place is free when it has.
    pub(crate) is_cut_off: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Dials {
    /// By slot.
    in_flight: BTreeMap<u32, Dial>,
    /// Those of them that are not cut off.
    live: u32,
    /// Those of them that are retired or cut off.
    doomed: u32,
    /// Leases that a new connection is expected to carry; 1 if connections are exclusive.
    carries: u32,
    /// How often `retire` has cut off dials since the last success.
    cut_offs: u32,
    /// A dial was lost with its runtime: the waiters were woken to dial themselves, and nothing is
    /// dialed until one is polled or a caller comes.
    stranded: bool,
}

impl Dials {
    pub(crate) fn new(carries: u32) -> Self {
        let in_flight = BTreeMap::new();
        Dials { in_flight, live: 0, doomed: 0, carries, cut_offs: 0, stranded: false }
    }

    pub(crate) fn begin(&mut self, slot: u32, since: Time, turn: u64) {
        self.live += 1;
        self.in_flight.insert(slot, Dial { since, turn, retired_at: None, is_cut_off: false });
    }

    /// Removes a dial that has ended.
    pub(crate) fn end(&mut self, slot: u32) -> Option<Dial> {
        let dial = self.in_flight.remove(&slot)?;
        if self.in_flight.is_empty() {
            // Frees its memory.
            self.in_flight = BTreeMap::new();
        }
        self.live -= u32::from(!dial.is_cut_off);
        self.doomed -= u32::from(dial.is_doomed());
        Some(dial)
    }

    /// A dial has succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.cut_offs = 0;
    }

    /// A connection takes this many leases: so will the next one.
    pub(crate) fn expect_leases(&mut self, max_leases: u32) {
        self.carries = max_leases;
    }

    /// Returns how many waiters a new connection is expected to serve: at least one.
    pub(crate) fn carries(&self) -> usize {
        self.carries.max(1) as usize
    }

    pub(crate) fn is_stranded(&self) -> bool {
        self.stranded
    }

    pub(crate) fn strand(&mut self) {
        self.stranded = true;
    }

    /// A caller is here that can dial for the waiters.
    pub(crate) fn unstrand(&mut self) {
        self.stranded = false;
    }

    fn live(&self) -> impl Iterator<Item = &Dial> {
        self.in_flight.values().filter(|dial| !dial.is_cut_off)
    }

    /// Returns how many are in flight and not cut off.
    pub(crate) fn len(&self) -> u32 {
        self.live
    }

    /// Returns whether a retired or cut off dial is in flight.
    pub(crate) fn has_doomed(&self) -> bool {
        self.doomed > 0
    }

    pub(crate) fn is_cut_off(&self, slot: u32) -> bool {
        self.in_flight.get(&slot).is_some_and(|dial| dial.is_cut_off)
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.in_flight.keys().copied()
    }
}

impl Dial {
    fn is_doomed(&self) -> bool {
        self.is_cut_off || self.retired_at.is_some()
    }

    fn began_after(&self, turn: Option<u64>) -> bool {
        turn.is_none_or(|turn| self.turn > turn)
    }
}

/// # Cutting off
impl Dials {
    /// Cuts off this many dials, the newest first. Returns how many it has cut off.
    pub(crate) fn cut_off_newest(&mut self, most: u32) -> u32 {
        let live = self.in_flight.values_mut().filter(|dial| !dial.is_cut_off);
        let mut newest_first: Vec<_> = live.collect();
        newest_first.sort_by_key(|dial| (dial.since, dial.turn));
        newest_first.reverse();
        let mut cut_off = 0;
        for dial in newest_first.into_iter().take(most as usize) {
            self.doomed += u32::from(!dial.is_doomed());
            dial.is_cut_off = true;
            cut_off += 1;
        }
        self.live -= cut_off;
        cut_off
    }

    /// The host is retired. Cuts off those that have taken too long, because their target may be
    /// gone: the limit doubles each time, so that frequent retiring does not keep a slower host
    /// from being reached. Returns whether it cuts off any.
    pub(crate) fn retire(&mut self, now: Time, usual: Duration) -> bool {
        let limit = Span::from(usual.saturating_mul(1 << self.cut_offs.min(16)));
        let mut cut_off = 0;
        for dial in self.in_flight.values_mut().filter(|dial| !dial.is_cut_off) {
            self.doomed += u32::from(!dial.is_doomed());
            // It may succeed before it stops: its connection is then closed as a retired one.
            dial.retired_at.get_or_insert(now);
            dial.is_cut_off = dial.since.after(limit) <= now;
            cut_off += u32::from(dial.is_cut_off);
        }
        self.live -= cut_off;
        self.cut_offs += u32::from(cut_off > 0);
        cut_off > 0
    }
}

/// # What counts
impl Dials {
    /// Returns how many will probably serve waiters whenever these joined: those that started after
    /// this turn and have not taken longer than this.
    pub(crate) fn counting(&self, after: Option<u64>, counts_for: Span, now: Time) -> usize {
        let counts = |dial: &&Dial| {
            dial.retired_at.is_none()
                && dial.began_after(after)
                && now < dial.since.after(counts_for)
        };
        self.live().filter(counts).count()
    }

    /// Returns how many are retired, and when the last of them was.
    pub(crate) fn retired(&self) -> (usize, Time) {
        let retired = self.live().filter_map(|dial| dial.retired_at);
        retired.fold((0, Time::START), |(count, at), retired| (count + 1, at.max(retired)))
    }

    /// Returns whether one is in flight that started after this turn and has not taken longer than
    /// this.
    pub(crate) fn is_tried(&self, after: u64, counts_for: Span, now: Time) -> bool {
        self.live().any(|dial| dial.turn > after && now < dial.since.after(counts_for))
    }

    /// Returns when the next one has taken longer than this.
    pub(crate) fn next(&self, counts_for: Span, now: Time) -> Time {
        let ends = self.live().map(|dial| dial.since.after(counts_for));
        ends.filter(|at| *at > now).min().unwrap_or(Time::NEVER)
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    /// One begins at each of the first nanoseconds.
    fn dials(n: u32) -> Dials {
        let mut dials = Dials::new(1);
        (0..n).for_each(|slot| dials.begin(slot, at(slot.into()), slot.into()));
        dials
    }

    fn cut_off(dials: &Dials) -> Vec<u32> {
        dials.slots().filter(|slot| dials.is_cut_off(*slot)).collect()
    }

    #[test]
    fn the_newest_are_cut_off_first_and_none_twice() {
        let mut dials = dials(4);
        assert_eq!((dials.cut_off_newest(1), cut_off(&dials)), (1, vec![3]));
        assert_eq!((dials.cut_off_newest(2), dials.len()), (2, 1));
        assert_eq!((dials.cut_off_newest(2), dials.len()), (1, 0));
        (0..4).for_each(|slot| assert!(dials.end(slot).is_some_and(|dial| dial.is_cut_off)));
        assert_eq!((dials.has_doomed(), dials.end(0)), (false, None));
    }

    #[test]
    fn retiring_cuts_off_those_that_take_too_long_and_each_time_the_limit_doubles() {
        let mut dials = dials(10);
        assert!(dials.retire(at(9), Duration::from_nanos(8)));
        assert_eq!((cut_off(&dials), dials.retired()), (vec![0, 1], (8, at(9))));
        assert!(!dials.retire(at(15), Duration::from_nanos(8)));
        assert_eq!(dials.retired(), (8, at(9)), "the first time counts");
        dials.succeeded();
        assert!(dials.retire(at(15), Duration::from_nanos(8)));
        assert_eq!(dials.len(), 2);
    }

    #[test]
    fn a_dial_counts_that_began_late_enough_and_has_not_taken_too_long() {
        let dials = dials(10);
        let span = Span::from_nanos(5);
        assert_eq!(dials.counting(None, span, at(9)), 5);
        assert_eq!(dials.counting(Some(7), span, at(9)), 2);
        assert!(dials.is_tried(8, span, at(9)) && !dials.is_tried(9, span, at(9)));
        assert_eq!((dials.next(span, at(9)), dials.next(span, at(20))), (at(10), Time::NEVER));
    }
}
