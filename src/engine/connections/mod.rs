//! The connections of one host: their entries, and what is kept in step with them.
//!
//! An entry changes through [`Connections::change`], which keeps the gauges and the order of lending
//! in step, or in one of the operations of [`fast`]. Nothing else writes them.

mod by_use;
#[cfg(any(test, wharf_loom, fuzzing))]
mod check;
pub(crate) mod entry;
mod facts;
mod fast;
pub(crate) mod gauges;
pub(crate) mod leases;
pub(crate) mod longest;
mod ranked;
pub(crate) mod slots;

use std::ops::Index;

use smallvec::SmallVec;

use self::by_use::ByUse;
use self::entry::{Entry, Made, Proof, State};
use self::gauges::{Gauges, change};
use self::ranked::Ranked;
use self::slots::Slots;
use super::Parts;
use super::common::Common;
use super::soonest::Soonest;
use crate::policy::limits::Limits;
use crate::policy::reuse::Reuse;
use crate::policy::time::{Span, Time};

/// See the module. The fields that a hit, a return and a hand-over use come first.
#[repr(C)]
pub(crate) struct Connections<P: Parts> {
    next_use: u64,
    by_use: ByUse,
    /// Increases when a connection is found dead that was not suspect itself.
    generation: u32,
    /// When it last did.
    suspected_at: Time,
    gauges: Gauges,
    /// Connections with room that have given proof of life in this generation: the others are
    /// suspect, and none of them is looked at to find one that may be lent.
    trusted: u32,
    /// The connections with room, in pools of shared connections.
    ranked: Option<Box<Ranked>>,
    /// When the first connection has been idle for too long, or is too old.
    ends: Soonest,
    entries: Slots<Entry<P>>,
}

impl<P: Parts> Index<u32> for Connections<P> {
    type Output = Entry<P>;

    #[inline]
    fn index(&self, slot: u32) -> &Entry<P> {
        &self.entries[slot]
    }
}

/// # Reading
impl<P: Parts> Connections<P> {
    pub(crate) fn new(common: &Common<P>) -> Self {
        Connections {
            next_use: 0,
            by_use: ByUse::new(),
            generation: 0,
            suspected_at: Time::START,
            gauges: Gauges::default(),
            trusted: 0,
            entries: Slots::new(),
            ranked: common.is_shared().then(|| Box::new(Ranked::new(&common.limits))),
            ends: Soonest::new(),
        }
    }

    /// Returns how many entries there are: connections, dials and closes.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Entry<P>> {
        self.entries.get(slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry<P>)> {
        self.entries.iter()
    }

    /// Iterates over all once, from this slot on.
    pub(crate) fn iter_from(&self, slot: u32) -> impl Iterator<Item = (u32, &Entry<P>)> {
        self.entries.iter_from(slot)
    }

    pub(crate) fn entries(&self) -> &Slots<Entry<P>> {
        &self.entries
    }

    /// Returns the slots of entries for which this holds.
    pub(crate) fn slots(&self, is_it: impl Fn(&Entry<P>) -> bool) -> SmallVec<[u32; 8]> {
        self.iter().filter(|(_, entry)| is_it(entry)).map(|(slot, _)| slot).collect()
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.ranked.is_some()
    }

    /// Returns the number of leases.
    pub(crate) fn leases(&self) -> usize {
        let in_use = self.gauges.in_use as usize;
        self.ranked.as_ref().map_or(in_use, |ranked| ranked.leases())
    }

    /// Returns the number of idle connections that may be lent. A shared one may be pinged
    /// meanwhile.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.gauges.free as usize
    }

    /// Returns whether any connection has room for a lease.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        match &self.ranked {
            None => self.gauges.free > 0,
            Some(ranked) => !ranked.is_empty(),
        }
    }

    /// Returns how many connections have room for a lease.
    pub(crate) fn with_room(&self) -> usize {
        self.ranked.as_ref().map_or(self.free(), |ranked| ranked.len())
    }

    /// Returns how many connections count for the minimum idle: those with room for a lease, also if a
    /// ping or a reset keeps them from being lent. An exclusive one has room while it is not in use.
    pub(crate) fn ready(&self) -> usize {
        self.with_room() + self.gauges.answering as usize
    }

    /// Returns whether the next lease takes the last room of its connection.
    pub(crate) fn lending_fills(&self) -> bool {
        let next = self.ranked.as_ref().and_then(|ranked| ranked.first());
        next.is_none_or(|(_, slot)| self.entries[slot].room() == 1)
    }

    /// Returns whether every connection with room has given proof of life in this generation.
    pub(crate) fn has_no_suspect(&self) -> bool {
        self.trusted as usize == self.with_room()
    }

    /// Iterates over the idle connections that may be lent, the least recently used first.
    pub(crate) fn idle(&self) -> impl Iterator<Item = u32> {
        self.at_rest().filter(|slot| self.entries[*slot].state == State::Idle)
    }

    /// The same, including those that are pinged or wait for their reset.
    fn at_rest(&self) -> impl Iterator<Item = u32> {
        let after = |slot: &u32| self.by_use.after(*slot, &self.entries);
        std::iter::successors(self.by_use.oldest(), after)
    }

    fn at_rest_newest_first(&self) -> impl Iterator<Item = u32> {
        let before = |slot: &u32| self.by_use.before(*slot, &self.entries);
        std::iter::successors(self.by_use.newest(), before)
    }

    /// Returns the first connection with room that satisfies the condition, in the order in which
    /// they are lent.
    pub(crate) fn choose(&self, reuse: Reuse, is_it: impl Fn(&Entry<P>) -> bool) -> Option<u32> {
        let is_it = |slot: &u32| is_it(&self.entries[*slot]);
        if let Some(ranked) = &self.ranked {
            return ranked.iter().find(is_it);
        }
        let is_it = |slot: &u32| self.entries[*slot].state == State::Idle && is_it(slot);
        match reuse {
            _ if self.gauges.free == 0 => None,
            Reuse::MostRecent => self.at_rest_newest_first().find(is_it),
            Reuse::LeastRecent => self.at_rest().find(is_it),
        }
    }

    /// Returns the next connection that may be lent as it is.
    pub(crate) fn next_fit(&self, now: Time, limits: &Limits) -> Option<u32> {
        let is_fit = |entry: &Entry<P>| entry.is_fit(self.generation, now, limits);
        let most_are_suspect = self.trusted < self.gauges.free / 2;
        match limits.reuse {
            _ if self.trusted == 0 || self.must_all_answer(limits) => None,
            Reuse::LeastRecent if most_are_suspect && !self.is_shared() => {
                self.least_recent(is_fit)
            }
            reuse => self.choose(reuse, is_fit),
        }
    }

    /// Returns whether each idle connection must answer a ping before it is lent: none of them is
    /// looked at.
    fn must_all_answer(&self, limits: &Limits) -> bool {
        let has_ping = |slot| self[slot].proof != Proof::Nothing;
        limits.ping_after == Span::ZERO
            && !self.is_shared()
            && self.by_use.oldest().is_some_and(has_ping)
    }

    /// Returns the least recently used connection that satisfies the condition, if most are
    /// suspect: those that are not were used lately, and are looked for from that end.
    fn least_recent(&self, is_it: impl Fn(&Entry<P>) -> bool) -> Option<u32> {
        let is_trusted = |slot: &u32| self[*slot].is_trusted(self.generation);
        let trusted = self.at_rest_newest_first().filter(is_trusted).take(self.trusted as usize);
        trusted.filter(|slot| is_it(&self[*slot])).last()
    }

    /// Returns the connection with room that was used last of those that satisfy the condition.
    pub(crate) fn last_used(&self, is_it: impl Fn(&Entry<P>) -> bool) -> Option<u32> {
        let is_it = |slot: &u32| is_it(&self.entries[*slot]);
        match &self.ranked {
            None => {
                let is_free = |slot: &u32| self.entries[*slot].state == State::Idle;
                self.at_rest_newest_first().find(|slot| is_free(slot) && is_it(slot))
            }
            Some(ranked) => ranked.iter().filter(is_it).max_by_key(|slot| self[*slot].last_use),
        }
    }
}

/// # Changing
impl<P: Parts> Connections<P> {
    /// Takes the next number of a use.
    pub(crate) fn take_use(&mut self) -> u64 {
        self.next_use += 1;
        self.next_use - 1
    }

    /// All connections become suspect that have given no proof of life in this generation.
    pub(crate) fn suspect_all(&mut self, now: Time) {
        self.generation = self.generation.wrapping_add(1);
        self.suspected_at = now;
        self.trusted = 0;
    }

    /// Returns since when its peer must have been heard for a ping at this interval to be needless,
    /// if it can be.
    pub(crate) fn heard_is_enough(&self, slot: u32, interval: Span, now: Time) -> Option<Time> {
        let entry = &self[slot];
        let is_suspect = entry.generation != self.generation;
        entry.heard_is_enough(interval, is_suspect.then_some(self.suspected_at), now)
    }

    /// Adds an entry, for a dial.
    pub(crate) fn insert(&mut self, now: Time) -> u32 {
        let entry = Entry::dialing(now, self.generation);
        self.gauges.enter(&entry);
        self.entries.insert(entry)
    }

    /// Puts a new connection in the place of its dial.
    pub(crate) fn make(&mut self, slot: u32, made: Made<P::Connection>) {
        let (generation, last_use) = (self.generation, self.take_use());
        self.change(slot, |entry| entry.made(made, generation, last_use));
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, slot: u32) -> Entry<P> {
        let entry = &self.entries[slot];
        self.trusted -= u32::from(entry.is_trusted(self.generation));
        if entry.is_at_rest() {
            self.by_use.leave(slot, &mut self.entries);
        }
        if let Some(ranked) = &mut self.ranked {
            ranked.moves(slot, ranked.rank(&self.entries[slot]), None);
            ranked.count(self.entries[slot].leases().len(), 0);
        }
        let entry = self.entries.remove(slot);
        self.gauges.leave(&entry);
        entry
    }

    /// Changes an entry, and everything that is kept in step with it.
    pub(crate) fn change<R>(&mut self, slot: u32, f: impl FnOnce(&mut Entry<P>) -> R) -> R {
        let Connections { entries, gauges, ranked, generation, .. } = self;
        let entry = &mut entries[slot];
        let (was_at_rest, was_trusted) = (entry.is_at_rest(), entry.is_trusted(*generation));
        let result = match ranked {
            None => change(entry, gauges, f),
            Some(ranked) => {
                let (rank, leases) = (ranked.rank(entry), entry.leases().len());
                let result = change(entry, gauges, f);
                ranked.moves(slot, rank, ranked.rank(entry));
                ranked.count(leases, entry.leases().len());
                result
            }
        };
        self.trusted += u32::from(entry.is_trusted(*generation));
        self.trusted -= u32::from(was_trusted);
        match (was_at_rest, entry.is_at_rest()) {
            (false, true) => self.by_use.enter(slot, entries),
            (true, false) => self.by_use.leave(slot, entries),
            _ => {}
        }
        result
    }

    /// Notes when time alone ends the connection.
    pub(crate) fn note_end(&mut self, slot: u32, limits: &Limits) {
        self.ends.note(end(&self.entries[slot], self.is_shared(), limits));
    }

    /// Returns a lower bound of the time when the first connection is idle for too long or is too
    /// old.
    #[inline]
    pub(crate) fn next_end(&self) -> Time {
        self.ends.next()
    }

    /// Returns a connection that may have come to its end. Once it is dealt with, the next one can
    /// be taken.
    pub(crate) fn take_end(&mut self, now: Time, limits: &Limits) -> Option<u32> {
        let shared = self.is_shared();
        let Connections { ends, entries, .. } = self;
        let all = || entries.iter().map(|(slot, entry)| (end(entry, shared, limits), slot));
        ends.take(now, all)
    }
}

/// Returns when time alone ends the connection. An exclusive one that is lent is closed when it
/// returns.
fn end<P: Parts>(entry: &Entry<P>, shared: bool, limits: &Limits) -> Time {
    match entry.state {
        State::Idle if !entry.pinged => entry.idles_until(entry.kept, limits).min(entry.expires),
        State::Idle | State::InUse if shared => entry.expires,
        state if shared && state.drains_young() => entry.expires,
        _ => Time::NEVER,
    }
}
