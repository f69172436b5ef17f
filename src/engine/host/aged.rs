//! Shared connections that are too old, while callers wait and nothing else has room.
//!
//! Age is a preference, not a ban. Where long leases keep open all that the host may have, and each
//! connection drains for age, the youngest takes leases again: it must answer a ping first, and gets
//! another life. Otherwise each caller would wait for the end of a lease that may last for days.
//! Where leases are short, one of them ends before that, and a new connection takes its place.

use super::HostState;
use super::close::may_give_place;
use crate::engine::connections::entry::{Entry, Holds, State};
use crate::engine::{Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// A connection that has drained for so long has long leases.
const PATIENCE: Span = Span::from_nanos(1_000_000_000);

impl<P: Parts> HostState<P> {
    /// Takes back connections that drain for age, the youngest first, until those who wait have
    /// something on its way, or there is none. Returns whether any was taken back.
    #[inline]
    pub(super) fn take_back_aged(&mut self, section: &mut Section<'_, P>) -> bool {
        self.connections.gauges().draining > 0 && self.take_back_all(section)
    }

    fn take_back_all(&mut self, section: &mut Section<'_, P>) -> bool {
        let mut any = false;
        while let Some(slot) = self.aged_to_take_back(section) {
            self.make_place_for(slot);
            let expires = section.end_of_life();
            self.connections.change(slot, |entry| entry.live_until(expires));
            self.revive_unseen(slot, section);
            any = true;
        }
        any
    }

    /// Returns the connection that is to be taken back next.
    pub(super) fn aged_to_take_back(&self, section: &Section<'_, P>) -> Option<u32> {
        let aged = self.aged(section).filter(|(_, entry)| long_held_at(entry) <= section.now);
        aged.max_by_key(|(_, entry)| entry.id).map(|(slot, _)| slot)
    }

    /// Returns when one may be taken back, if nothing changes here. The caps across hosts are asked
    /// again after a while.
    pub(super) fn next_take_back(&self, section: &Section<'_, P>) -> Time {
        if self.connections.gauges().draining == 0 || !section.common.is_shared() {
            return Time::NEVER;
        }
        if section.common.ledger().is_some() && self.lacks_room_here(section) {
            return section.now.after(PATIENCE);
        }
        let times = self.aged(section).map(|(_, entry)| long_held_at(entry));
        times.filter(|at| *at > section.now).min().unwrap_or(Time::NEVER)
    }

    /// Returns the connections that may be taken back, if nothing else has room.
    fn aged(&self, section: &Section<'_, P>) -> impl Iterator<Item = (u32, &Entry<P>)> {
        let is_needed = section.common.is_shared() && self.lacks_all_room(section);
        let max_uses = section.common.limits.max_uses;
        let has_place = is_needed && self.has_place_to_give();
        let may = move |entry: &Entry<P>| {
            entry.state == State::Draining(CloseReason::Age)
                && !entry.pinged
                && entry.room() > 0
                && entry.uses < max_uses
                && (has_place || entry.holds == Holds::Place)
        };
        let entries = is_needed.then(|| self.connections.iter()).into_iter().flatten();
        entries.filter(move |(_, entry)| may(entry))
    }

    /// Returns whether callers wait, nothing is on its way to them, and no dial helps them: because
    /// connections that drain hold the room for it, or because dials fail. No other host needs the
    /// room that becomes free when these have drained.
    fn lacks_all_room(&self, section: &Section<'_, P>) -> bool {
        if !self.lacks_room_here(section) {
            return false;
        }
        let is_full = self.connections.gauges().places >= self.membership.max();
        let lacks = is_full || self.failing().is_some();
        let Some(ledger) = section.common.ledger() else { return lacks };
        let (budget, id) = (ledger.budget.lock(), self.share.id());
        !budget.needs_drained(id) && (lacks || budget.is_exhausted())
    }

    /// The same, as far as it does not depend on what the room is.
    fn lacks_room_here(&self, section: &Section<'_, P>) -> bool {
        let (gauges, max) = (self.connections.gauges(), self.membership.max());
        gauges.draining > 0
            && gauges.closing == 0
            && self.waiting() > self.on_its_way(section.now, &section.common.limits)
            && gauges.staying() + gauges.dialing < max
    }

    /// Returns whether a place is free, or held by a connection that drains and may give it up.
    fn has_place_to_give(&self) -> bool {
        self.connections.gauges().places < self.membership.max() || self.place_giver().is_some()
    }

    fn place_giver(&self) -> Option<u32> {
        let mut givers = self.connections.iter().filter(|(_, entry)| may_give_place(entry));
        givers.next().map(|(slot, _)| slot)
    }

    /// Another one that drains gives up its place, if there is no other for this one: as many as
    /// before drain without a place.
    fn make_place_for(&mut self, slot: u32) {
        let has_place = self.connections[slot].holds == Holds::Place;
        if has_place || self.connections.gauges().places < self.membership.max() {
            return;
        }
        if let Some(giver) = self.place_giver() {
            self.connections.change(giver, |entry| entry.give_up_place());
        }
    }
}

/// Returns when its leases turn out to be long.
fn long_held_at<P: Parts>(entry: &Entry<P>) -> Time {
    entry.expires.after(PATIENCE)
}
