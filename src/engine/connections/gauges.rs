//! Counts a host's entries by state.

use super::entry::{Entry, Holds, State};
use crate::engine::Parts;

/// The counts of the entries by state (invariant 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    /// With a permit.
    pub(crate) dialing: u32,
    /// Not in use. Includes those being pinged.
    pub(crate) idle: u32,
    /// Those of them that no ping or reset keeps from being lent.
    pub(crate) free: u32,
    /// Those of them whose idle time-out has passed: they are kept for the minimum idle.
    pub(crate) kept: u32,
    /// Those that will have room for a lease once a ping or reset has been answered.
    pub(crate) answering: u32,
    /// In use, with a place. Includes those that drain.
    pub(crate) in_use: u32,
    /// Being closed by a task, with a permit.
    pub(crate) closing: u32,
    /// They take no new leases and have a permit. Not a separate state: see `leaving`.
    pub(crate) draining: u32,
    /// Those of them that have a place: they count as idle or in use, too.
    pub(crate) leaving: u32,
    /// Places taken under the host's cap.
    pub(crate) places: u32,
    /// Permits taken under the caps across hosts.
    pub(crate) permits: u32,
}

/// What one entry counts for.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // Each is a gauge.
struct Tally {
    dialing: bool,
    idle: bool,
    free: bool,
    kept: bool,
    answering: bool,
    in_use: bool,
    closing: bool,
    draining: bool,
    leaving: bool,
    place: bool,
    permit: bool,
}

impl Tally {
    const NOTHING: Tally = Tally {
        dialing: false,
        idle: false,
        free: false,
        kept: false,
        answering: false,
        in_use: false,
        closing: false,
        draining: false,
        leaving: false,
        place: false,
        permit: false,
    };

    fn of<P: Parts>(entry: &Entry<P>) -> Tally {
        let (place, permit) = (entry.holds == Holds::Place, entry.holds != Holds::Nothing);
        let counted = Tally { place, permit, ..Tally::NOTHING };
        let (unused, answering) = (entry.leases().is_empty(), entry.room() > 0);
        match entry.state {
            State::Dialing => Tally { dialing: permit, ..counted },
            State::Idle => Tally { idle: true, free: true, kept: entry.kept, ..counted },
            State::InUse => Tally { in_use: true, ..counted },
            State::AwaitsReset => Tally { idle: true, answering, ..counted },
            State::Pinging => Tally { idle: unused, in_use: !unused, answering, ..counted },
            State::Draining(_) => {
                let (idle, in_use) = (unused && place, !unused && place);
                Tally { draining: permit, leaving: place, idle, in_use, ..counted }
            }
            State::Closing => Tally { closing: permit, ..counted },
        }
    }
}

impl Gauges {
    /// Updates the gauges when an entry counts differently than before.
    fn moved(&mut self, old: Tally, new: Tally) {
        let moved = |gauge: &mut u32, old: bool, new: bool| {
            if old != new {
                *gauge = if new { *gauge + 1 } else { *gauge - 1 };
            }
        };
        moved(&mut self.dialing, old.dialing, new.dialing);
        moved(&mut self.idle, old.idle, new.idle);
        moved(&mut self.free, old.free, new.free);
        moved(&mut self.kept, old.kept, new.kept);
        moved(&mut self.answering, old.answering, new.answering);
        moved(&mut self.in_use, old.in_use, new.in_use);
        moved(&mut self.closing, old.closing, new.closing);
        moved(&mut self.draining, old.draining, new.draining);
        moved(&mut self.leaving, old.leaving, new.leaving);
        moved(&mut self.places, old.place, new.place);
        moved(&mut self.permits, old.permit, new.permit);
    }

    pub(crate) fn enter<P: Parts>(&mut self, entry: &Entry<P>) {
        self.moved(Tally::NOTHING, Tally::of(entry));
    }

    pub(crate) fn leave<P: Parts>(&mut self, entry: &Entry<P>) {
        self.moved(Tally::of(entry), Tally::NOTHING);
    }

    /// An idle connection with a place is lent.
    #[inline]
    pub(crate) fn lend(&mut self, was_kept: bool) {
        self.idle -= 1;
        self.free -= 1;
        self.kept -= u32::from(was_kept);
        self.in_use += 1;
    }

    /// A connection with a place returns and is idle.
    #[inline]
    pub(crate) fn rest(&mut self) {
        self.in_use -= 1;
        self.idle += 1;
        self.free += 1;
    }

    /// Returns how many connections are there to stay.
    pub(crate) fn staying(&self) -> u32 {
        self.idle + self.in_use - self.leaving
    }

    /// Returns how many connections are open or on their way.
    pub(crate) fn live(&self) -> u32 {
        self.dialing + self.idle + self.in_use
    }
}

/// Changes an entry, and the gauges with it.
pub(crate) fn change<P: Parts, R>(
    entry: &mut Entry<P>,
    gauges: &mut Gauges,
    f: impl FnOnce(&mut Entry<P>) -> R,
) -> R {
    let old = Tally::of(entry);
    let result = f(entry);
    gauges.moved(old, Tally::of(entry));
    result
}
