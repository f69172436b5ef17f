//! The part of the budget that is read without its lock.

use super::super::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use super::Budget;
use crate::policy::time::{Span, Time};

/// The values that a return reads.
pub(crate) struct Hints {
    /// The number of connections of the next host that is short and not served by room to come;
    /// `usize::MAX` if there is none.
    level: AtomicUsize,
    /// The time from which that host may take from one that has one more.
    from: AtomicU64,
    tenure: AtomicU64,
    /// Idle connections of all hosts, in pools that limit them.
    idle: AtomicUsize,
    /// The last time that was returned by `stamp`.
    stamp: AtomicU64,
}

impl Hints {
    pub(super) fn new() -> Self {
        Hints {
            level: AtomicUsize::new(usize::MAX),
            from: AtomicU64::new(0),
            tenure: AtomicU64::new(0),
            idle: AtomicUsize::new(0),
            stamp: AtomicU64::new(0),
        }
    }

    /// Returns whether a short host may take from one with `live` connections, of which it gained
    /// the last at this time.
    #[inline]
    pub(crate) fn may_take(&self, live: u32, gained: Option<Time>, now: Time) -> bool {
        let (live, level) = (live as usize, self.level.load(Relaxed));
        if live <= level {
            return false;
        }
        let tenure = Span::from_nanos(self.tenure.load(Relaxed));
        live >= level + 2
            || (level == 0
                && now.nanos() >= self.from.load(Relaxed)
                && gained.is_none_or(|gained| now >= gained.after(tenure)))
    }

    /// Returns whether a host is short and no room is to come.
    pub(crate) fn wants_room(&self) -> bool {
        self.level.load(Relaxed) != usize::MAX
    }

    pub(crate) fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }

    /// Returns a unique time: this one, or shortly after it.
    pub(crate) fn stamp(&self, now: Time) -> Time {
        let next = |last: u64| Some(now.nanos().max(last + 1));
        let last = self.stamp.fetch_update(Relaxed, Relaxed, next).unwrap_or_else(|last| last);
        Time::from_nanos(now.nanos().max(last + 1))
    }

    /// Records that the number of a host's idle connections has changed.
    pub(crate) fn count_idle(&self, old: u32, new: u32) {
        if new > old {
            self.idle.fetch_add((new - old) as usize, Relaxed);
        } else if new < old {
            self.idle.fetch_sub((old - new) as usize, Relaxed);
        }
    }
}

impl<H: Clone> Budget<H> {
    /// Publishes the values that returns read.
    pub(crate) fn publish(&self, hints: &Hints) {
        if self.is_over_full() {
            // Every host gives up what returns.
            hints.from.store(0, Relaxed);
            hints.tenure.store(0, Relaxed);
            return hints.level.store(0, Relaxed);
        }
        let is_covered = self.wanted() <= self.room_to_come().saturating_add(self.making_room);
        let next = self.in_turn().next().filter(|_| !is_covered);
        let level = next.map_or(usize::MAX, |rank| rank.0 as usize);
        if let Some(rank) = next {
            hints.from.store(rank.1.nanos(), Relaxed);
            hints.tenure.store(self.tenure().nanos(), Relaxed);
        }
        hints.level.store(level, Relaxed);
    }
}
