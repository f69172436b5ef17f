//! The caps across hosts: which host may have one more connection, and whose idle connection makes
//! room.
//!
//! A *permit* is one place in `open` and one in `dialing`, taken and released together, so both
//! caps are exact at every moment. A host reports what it has and wants when that changes, and only
//! then: a hit and a return report nothing. A host is *short* while it wants more than it was
//! promised.
//!
//! # Which host is next
//!
//! Free permits go to the hosts that are short, in the order (live connections, time from which the
//! host may take, turn). A grant is counted before it is delivered; a host that no longer wants it
//! refuses it. Hosts whose last dial failed hold at most a quarter of the permits while others want
//! them, and wait longer for their turn.
//!
//! # Which host gives
//!
//! The least recently used idle connection of all hosts makes room, once it has been idle for as
//! long as a dial takes. The order is exact although lends and returns are not reported: the budget
//! keeps one lower bound per host, and a *scan* visits hosts in that order. Of connections in use,
//! one that returns to a host with at least two more than the next short host is given up at once.
//! A host without a connection also takes one from a host with a single one, when that host has
//! served its *tenure*; the longest-serving host gives first.
//!
//! # Hints
//!
//! The values that a return needs are published in [`Hints`], which are read without the lock. A
//! stale hint costs one more use of a connection, and never an endless wait: scans find connections
//! that become idle.

#[cfg(any(test, wharf_loom, fuzzing))]
mod check;
mod givers;
mod hints;
mod record;
pub(crate) mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use super::sync::Mutex;
pub(crate) use givers::Scanned;
pub(crate) use hints::Hints;
pub(crate) use record::Note;
use record::{Rank, Record};

use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// The budget of a pool behind its lock, and the hints that are read without the lock.
pub(crate) struct Ledger<H> {
    pub(crate) budget: Mutex<Budget<H>>,
    pub(crate) hints: Hints,
}

pub(crate) enum Grant<H> {
    /// The current host starts a dial.
    Mine,
    /// The other host has to be notified.
    Other(H),
}

/// See the module.
pub(crate) struct Budget<H> {
    max_total: usize,
    max_dialing: usize,
    max_idle: usize,
    /// The longest time that a round of all hosts may take, and that a failing host waits for its
    /// turn: a caller's time-out is not to pass before that.
    round: Span,
    pub(crate) open: usize,
    pub(crate) dialing: usize,
    pub(crate) closing: usize,
    making_room: usize,
    late: usize,
    /// Scans in progress.
    scanning: usize,
    /// Permits on their way to hosts.
    promised: usize,
    /// Permits of hosts whose last dial failed, and those of them that are dials.
    failing: usize,
    failing_dials: usize,
    records: BTreeMap<u64, Record<H>>,
    short: BTreeSet<Rank>,
    short_and_failing: BTreeSet<Rank>,
    /// Hosts that want connections without a waiter.
    sparing: BTreeSet<(u64, u64)>,
    /// Dials that hosts want for waiters.
    demand: usize,
    failing_demand: usize,
    starving: usize,
    /// Hosts with connections that drain to make room.
    draining: BTreeMap<u64, H>,
    /// Hosts with a slow dial that makes room as soon as another host wants it.
    giving_way: BTreeMap<u64, H>,
    /// Hosts with idle connections, by a lower bound of the time since which one of them is idle.
    listed: BTreeMap<(Time, u64), H>,
    /// Hosts that have connections, the longest-serving first.
    serving: BTreeSet<(Time, u64)>,
    next_turn: u64,
    /// The time that a dial takes, smoothed over the pool.
    took: Span,
    /// The time from which the least recently used idle connection may make room.
    not_before: Time,
}

/// The shortest tenure, and the number of dial times that it lasts where dials are slow.
const TENURE: Span = Span::from_nanos(100_000_000);
const TENURE_IN_DIALS: u64 = 10;
/// The longest time that a round of all hosts may take, and that a failing host waits for its turn, where callers have
/// three times as long.
const ROUND: Span = Span::from_nanos(10_000_000_000);
/// Failing hosts hold at most one permit in this many while others want them.
const FAILING_SHARE: usize = 4;

/// Returns the longest time that a round of all hosts may take.
fn round(limits: &Limits) -> Span {
    ROUND.min(Span::from_nanos(limits.acquire_timeout.nanos() / 3))
}

impl<H: Clone> Ledger<H> {
    pub(crate) fn new(limits: &Limits) -> Self {
        Ledger { budget: Mutex::new(Budget::new(limits)), hints: Hints::new() }
    }
}

/// # Reports of hosts
impl<H: Clone> Budget<H> {
    fn new(limits: &Limits) -> Self {
        Budget {
            max_total: limits.max_total,
            max_dialing: limits.max_dialing,
            max_idle: limits.max_idle,
            round: round(limits),
            open: 0,
            dialing: 0,
            closing: 0,
            making_room: 0,
            late: 0,
            scanning: 0,
            promised: 0,
            failing: 0,
            failing_dials: 0,
            records: BTreeMap::new(),
            short: BTreeSet::new(),
            short_and_failing: BTreeSet::new(),
            sparing: BTreeSet::new(),
            demand: 0,
            failing_demand: 0,
            starving: 0,
            draining: BTreeMap::new(),
            giving_way: BTreeMap::new(),
            listed: BTreeMap::new(),
            serving: BTreeSet::new(),
            next_turn: 0,
            took: Span::ZERO,
            not_before: Time::START,
        }
    }

    /// Other caps hold from now on: every host has to report anew.
    pub(crate) fn adapt(&mut self, limits: &Limits) {
        self.max_total = limits.max_total;
        self.max_dialing = limits.max_dialing;
        self.max_idle = limits.max_idle;
        self.round = round(limits);
    }

    /// Records that the holdings or the demand of a host have changed.
    pub(crate) fn tell(&mut self, (id, host): (u64, &H), old: &Note, new: &Note, now: Time) {
        let moved = |sum: &mut usize, old: u32, new: u32| *sum = *sum + new as usize - old as usize;
        moved(&mut self.open, old.permits, new.permits);
        moved(&mut self.dialing, old.dialing, new.dialing);
        moved(&mut self.closing, old.closing, new.closing);
        moved(&mut self.making_room, old.making_room, new.making_room);
        moved(&mut self.late, old.late, new.late);
        let failing = |note: &Note, held: u32| if note.failures > 0 { held } else { 0 };
        moved(&mut self.failing, failing(old, old.permits), failing(new, new.permits));
        moved(&mut self.failing_dials, failing(old, old.dialing), failing(new, new.dialing));
        if old.serves != new.serves {
            old.serves.map(|at| self.serving.remove(&(at, id)));
            new.serves.map(|at| self.serving.insert((at, id)));
        }
        if old.listed != new.listed {
            old.listed.map(|at| self.listed.remove(&(at, id)));
            new.listed.map(|at| self.listed.insert((at, id), host.clone()));
        }
        for (hosts, is_there) in
            [(&mut self.draining, new.making_room > 0), (&mut self.giving_way, new.gives_way)]
        {
            if is_there {
                hosts.entry(id).or_insert_with(|| host.clone());
            } else {
                hosts.remove(&id);
            }
        }
        if new.wants + new.spare == 0 && !self.records.contains_key(&id) {
            return;
        }
        self.change((id, host), now, |record| record.note = *new);
    }

    /// Changes a record, and everything that is sorted or summed by it.
    fn change(&mut self, (id, host): (u64, &H), now: Time, f: impl FnOnce(&mut Record<H>)) {
        let mut record = self.records.remove(&id).unwrap_or_else(|| Record::new(id, host.clone()));
        self.count(id, &record, false);
        let (was_short, was_promised) = (record.is_short(), record.promised);
        f(&mut record);
        if (record.is_short() && !was_short) || record.promised > was_promised {
            // A host that was granted a permit comes last among equals.
            record.turn = self.next_turn;
            self.next_turn += 1;
            record.ready = now.after(self.turn_after(&record));
        }
        self.count(id, &record, true);
        if record.note.wants + record.note.spare + record.promised > 0 {
            self.records.insert(id, record);
        }
    }

    fn count(&mut self, id: u64, record: &Record<H>, is_there: bool) {
        let moved =
            |sum: &mut usize, by: usize| *sum = if is_there { *sum + by } else { *sum - by };
        let is_failing = record.is_failing();
        let short_of = record.short_of() as usize;
        moved(if is_failing { &mut self.failing_demand } else { &mut self.demand }, short_of);
        moved(&mut self.starving, usize::from(record.starves()));
        if is_failing {
            moved(&mut self.failing, record.promised as usize);
            moved(&mut self.failing_dials, record.promised as usize);
        }
        let short = if is_failing { &mut self.short_and_failing } else { &mut self.short };
        if short_of > 0 {
            if is_there {
                short.insert(record.rank(id))
            } else {
                short.remove(&record.rank(id))
            };
        } else if record.spare_of() > 0 {
            let rank = (record.turn, id);
            if is_there {
                self.sparing.insert(rank)
            } else {
                self.sparing.remove(&rank)
            };
        }
    }

    /// Records the time of a successful dial.
    pub(crate) fn dialed(&mut self, took: Span) {
        let (old, new) = (self.took.nanos(), took.nanos());
        let smoothed = if old == 0 { new } else { old - old / 8 + new / 8 };
        self.took = Span::from_nanos(smoothed);
    }
}

/// # Which host is next
impl<H: Clone> Budget<H> {
    fn has_room(&self) -> bool {
        self.open < self.max_total && self.dialing < self.max_dialing
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open >= self.max_total
    }

    /// Hands out one free permit if a host is short. It counts from now on.
    pub(crate) fn next_grant(&mut self, (id, host): (u64, &H), now: Time) -> Option<Grant<H>> {
        if !self.has_room() {
            return None;
        }
        let next = self.next_short()?;
        self.open += 1;
        self.dialing += 1;
        if next == id {
            // Counted for the order: a host that was granted a permit comes last among equals.
            self.change((id, host), now, |record| record.promised += 1);
            self.change((id, host), now, |record| record.promised -= 1);
            return Some(Grant::Mine);
        }
        self.promised += 1;
        let host = self.records[&next].host.clone();
        self.change((next, &host), now, |record| record.promised += 1);
        Some(Grant::Other(host))
    }

    /// A permit has arrived at its host, which uses it or returns it.
    pub(crate) fn delivered(&mut self, (id, host): (u64, &H), is_used: bool, now: Time) {
        self.promised -= 1;
        self.change((id, host), now, |record| record.promised -= 1);
        if !is_used {
            self.open -= 1;
            self.dialing -= 1;
        }
    }

    /// Gives a permit that is already counted to a host.
    pub(crate) fn hold(&mut self, note: &mut Note) {
        note.permits += 1;
        note.dialing += 1;
        self.failing += usize::from(note.failures > 0);
        self.failing_dials += usize::from(note.failures > 0);
    }

    fn next_short(&self) -> Option<u64> {
        let next = self.in_turn().next();
        next.map(|rank| rank.3).or_else(|| self.sparing.first().map(|rank| rank.1))
    }

    /// Returns the hosts that are short in the order in which they get permits. Of those that fail,
    /// only as many as may take one.
    fn in_turn(&self) -> impl Iterator<Item = &Rank> {
        let mut healthy = self.short.iter().peekable();
        let mut failing = self.short_and_failing.iter().take(self.failing_room()).peekable();
        iter::from_fn(move || match (healthy.peek(), failing.peek()) {
            (Some(first), Some(other)) if first < other => healthy.next(),
            (_, Some(_)) => failing.next(),
            (_, None) => healthy.next(),
        })
    }

    /// Returns how many permits failing hosts may still take: a share of each cap while others want
    /// them, otherwise all.
    fn failing_room(&self) -> usize {
        if self.demand == 0 {
            return usize::MAX;
        }
        let left = |cap: usize, held: usize| (cap / FAILING_SHARE).max(1).saturating_sub(held);
        left(self.max_total, self.failing).min(left(self.max_dialing, self.failing_dials))
    }

    /// Returns how long a host that has become short waits before it takes from one that has one
    /// more.
    fn turn_after(&self, record: &Record<H>) -> Span {
        let tenure = self.tenure().nanos();
        if !record.is_failing() {
            return self.tenure();
        }
        let longer = tenure.saturating_mul(1u64 << record.note.failures.min(6));
        let wasted =
            record.note.wasted.unwrap_or(Span::ZERO).nanos().saturating_mul(TENURE_IN_DIALS);
        Span::from_nanos(longer.max(wasted).min(self.round.nanos()))
    }

    /// Returns how long a connection serves its host before it is given up for a host that has
    /// none.
    fn tenure(&self) -> Span {
        let full = TENURE.nanos().max(self.took.nanos().saturating_mul(TENURE_IN_DIALS));
        // This bounds a round of all starving hosts.
        let cap = u64::try_from(self.max_total).unwrap_or(u64::MAX);
        let share = self.round.nanos().saturating_mul(cap) / (self.starving as u64 + 1);
        Span::from_nanos(full.min(share.max(self.took.nanos())))
    }
}
