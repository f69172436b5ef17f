//! When maintenance has to look at which host. It is exact: no entry outlives its reason, and there
//! is at most one for each host, so a forgotten host leaves nothing behind.
//!
//! Among the hosts that are due, those with waiters come first: a caller's time-out is punctual
//! even if a hundred thousand hosts reach their idle time-out together.

use std::collections::BTreeSet;

use crate::policy::time::Time;

/// When maintenance has to look at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) at: Time,
    /// There are waiters, or were when this was noted.
    pub(crate) waited_for: bool,
}

#[derive(Debug)]
pub(crate) struct Schedule<H> {
    waited_for: Hosts<H>,
    others: Hosts<H>,
    /// When idle connections may be checked for room.
    room_at: Time,
}

type Hosts<H> = BTreeSet<(Time, H)>;

fn first<H: Ord>(hosts: &Hosts<H>) -> Time {
    hosts.first().map_or(Time::NEVER, |(at, _)| *at)
}

fn pop_due<H: Ord>(hosts: &mut Hosts<H>, now: Time) -> Option<H> {
    (first(hosts) <= now).then(|| hosts.pop_first()).flatten().map(|(_, host)| host)
}

impl<H: Ord> Schedule<H> {
    pub(crate) fn new() -> Self {
        Schedule { waited_for: BTreeSet::new(), others: BTreeSet::new(), room_at: Time::NEVER }
    }

    fn of(&mut self, look: Look) -> &mut Hosts<H> {
        if look.waited_for { &mut self.waited_for } else { &mut self.others }
    }

    /// Moves a host's next look. Returns whether the first of all looks became earlier.
    pub(crate) fn change(&mut self, host: H, old: Look, new: Option<Look>) -> bool {
        let first = self.next();
        let noted = (old.at, host);
        self.of(old).remove(&noted);
        let Some(look) = new else { return false };
        self.of(look).insert((look.at, noted.1));
        look.at < first
    }

    /// Room may be made at this time. Returns whether the first of all looks became earlier.
    pub(crate) fn look_for_room(&mut self, at: Time) -> bool {
        let first = self.next();
        self.room_at = self.room_at.min(at);
        at < first
    }

    pub(crate) fn next(&self) -> Time {
        first(&self.waited_for).min(first(&self.others)).min(self.room_at)
    }

    /// Returns whether to look for room now.
    pub(crate) fn takes_room(&mut self, now: Time) -> bool {
        let is_due = self.room_at <= now;
        if is_due {
            self.room_at = Time::NEVER;
        }
        is_due
    }

    /// Removes and returns the next host that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<H> {
        pop_due(&mut self.waited_for, now).or_else(|| pop_due(&mut self.others, now))
    }

    #[cfg(any(all(test, not(wharf_loom)), fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.waited_for.len() + self.others.len()
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    fn look(at: u64, waited_for: bool) -> Look {
        Look { at: Time::from_nanos(at), waited_for }
    }

    #[test]
    fn a_host_that_is_waited_for_comes_before_those_that_were_due_earlier() {
        let mut schedule = Schedule::new();
        let never = look(u64::MAX, false);
        for (id, at, waited_for) in [(0, 1, false), (1, 2, false), (2, 3, true), (3, 9, true)] {
            schedule.change(id, never, Some(look(at, waited_for)));
        }
        let now = Time::from_nanos(5);
        let due: Vec<_> = std::iter::from_fn(|| schedule.pop_due(now)).collect();
        assert_eq!(due, [2, 0, 1]);
        assert_eq!((schedule.next(), schedule.len()), (Time::from_nanos(9), 1));
    }

    #[test]
    fn a_host_is_there_once_also_when_somebody_comes_to_wait() {
        let mut schedule = Schedule::new();
        schedule.change(7, look(u64::MAX, false), Some(look(4, false)));
        let is_first = schedule.change(7, look(4, false), Some(look(4, true)));
        assert_eq!((is_first, schedule.len()), (false, 1));
        schedule.change(7, look(4, true), None);
        assert_eq!((schedule.next(), schedule.len()), (Time::NEVER, 0));
    }

    #[test]
    fn it_says_whether_the_first_of_all_looks_has_moved_forward() {
        let mut schedule = Schedule::new();
        let never = look(u64::MAX, false);
        assert!(schedule.change(1, never, Some(look(5, false))));
        assert!(!schedule.change(2, never, Some(look(5, true))));
        assert!(!schedule.change(3, never, Some(look(6, false))));
        assert!(schedule.change(3, look(6, false), Some(look(4, true))));
        assert!(!schedule.change(3, look(4, true), None));
        let at = Time::from_nanos;
        assert!(!schedule.look_for_room(at(5)));
        assert!(schedule.look_for_room(at(3)));
        assert!(!schedule.look_for_room(at(4)));
        assert_eq!((schedule.next(), schedule.takes_room(at(2))), (at(3), false));
        assert_eq!((schedule.takes_room(at(3)), schedule.next()), (true, at(5)));
    }
}
