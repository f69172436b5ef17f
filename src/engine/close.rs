//! The end of a connection: it drains, is closed, and leaves.

use super::actions::CloseOrder;
use super::entry::{Entry, Holds, State};
use super::ping::Ping;
use super::slots::Slots;
use super::{HostState, Parts, Phase, Purpose, Section, Ticket};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// A close whose runtime is driven has ended by itself by then: caps are exact as long as timers
/// are no later than this.
const CLOSE_GRACE: Span = Span::from_nanos(10_000_000);

/// A close in progress, and when it gives up its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
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

/// Below this many ended closes a sweep is not worthwhile.
const FEW: usize = 32;

impl<P: Parts> HostState<P> {
    /// Drains the connection: it takes no new leases, and is closed as soon as it is not in use. A
    /// shared one gives up its place at once, except above a lowered cap.
    pub(super) fn drain(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        self.leave_ready(slot);
        self.change(slot, |entry| {
            // A connection that drains temporarily may now have a permanent reason.
            let new = State::Draining(reason);
            let is_for_good = entry.state.may_come_back() && !new.may_come_back();
            if is_for_good || !matches!(entry.state, State::Draining(_) | State::Closing) {
                entry.state = new;
            }
        });
        self.close_if_free(slot, section);
    }

    /// The connection is dead, or its loan has ended for good: its place is free at once.
    pub(super) fn end(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        if is_dead(reason) {
            self.kill(slot, reason, section);
        } else {
            self.drain(slot, reason, section);
        }
    }

    /// The connection was found dead: it holds no place from now on.
    pub(super) fn kill(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        if self.entries[slot].is_dead() {
            return self.close_if_free(slot, section);
        }
        self.leave_ready(slot);
        self.change(slot, |entry| {
            entry.state = State::Draining(reason);
            entry.holds = Holds::Nothing;
        });
        self.close_if_free(slot, section);
    }

    /// Closes a draining connection once it is not in use.
    pub(super) fn close_if_free(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let entry = &self.entries[slot];
        let State::Draining(reason) = entry.state else { return };
        if !entry.leases.is_empty() || entry.value.is_none() || self.is_pinged(slot) {
            return;
        }
        self.forget_reset(slot);
        self.rare().counters.closes.count(reason);
        let until = section.now.after(section.common.limits.close_timeout).after(CLOSE_GRACE);
        let (id, value) = self.change(slot, |entry| {
            entry.state = State::Closing;
            (entry.id, entry.value.take())
        });
        self.rare().closes.push_back(Closing { until, slot, id });
        let order = |connection| CloseOrder { slot, id, connection, reason };
        section.actions.close.extend(value.map(order));
    }

    /// Takes the places of closes that exceed their time limit: their runtime is not driven. The
    /// entries stay until the tasks end.
    pub(super) fn give_up_late_closes(&mut self, now: Time) {
        while let Some(closing) = self.first_close().filter(|first| first.until <= now) {
            self.rare().closes.pop_front();
            self.change(closing.slot, |entry| entry.holds = Holds::Nothing);
        }
    }

    /// Returns the oldest close that holds a place. Ended ones before it are removed.
    fn first_close(&mut self) -> Option<Closing> {
        let HostState { rare, entries, .. } = self;
        let closes = &mut rare.as_mut()?.closes;
        while !closes.front()?.holds_place(entries) {
            closes.pop_front();
        }
        closes.front().copied()
    }

    /// Returns when the first of the closes gives up its place, if that may matter.
    pub(super) fn next_late_close(&self) -> Option<Time> {
        if self.gauges.closing == 0 || self.phase == Phase::Closed {
            return None;
        }
        self.rare.as_ref()?.closes.front().map(|first| first.until)
    }

    /// A close has ended or was given up.
    pub(crate) fn closed(&mut self, slot: u32) {
        self.remove(slot);
        let HostState { rare, entries, gauges, .. } = self;
        // The first may take arbitrarily long: ended ones behind it are swept once they are the
        // majority.
        if let Some(rare) = rare
            && rare.closes.len() > 2 * gauges.closing as usize + FEW
        {
            rare.closes.retain(|closing| closing.holds_place(entries));
        }
    }

    /// The borrower keeps the connection.
    pub(crate) fn detach(&mut self, ticket: Ticket, section: &mut Section<'_, P>) {
        self.rare().counters.closes.count(CloseReason::Detached);
        let mut entry = self.remove(ticket.slot);
        if let Some(lease) = entry.leases.end(ticket.lease).filter(|lease| lease.reported) {
            section.actions.leaks.push(super::Leak::Back { id: entry.id, lease });
        }
    }

    /// Frees the places of draining shared connections: at most as many as the cap, so that a host
    /// never has more than twice the cap open.
    pub(super) fn give_places(&mut self) {
        let may = |entry: &Entry<P>| {
            let is_bound =
                matches!(entry.state, State::Draining(reason) if reason != CloseReason::OverCap);
            is_bound && entry.holds == Holds::Place && !entry.leases.is_empty()
        };
        let given = self.entries.iter().filter(|(_, entry)| entry.holds == Holds::Permit).count();
        let more = (self.max as usize).saturating_sub(given);
        for slot in self.slots(may).into_iter().take(more) {
            self.change(slot, |entry| entry.holds = Holds::Permit);
        }
    }

    /// Lets a draining connection take leases again, because the reason is gone. Returns false if
    /// there is no place for it or it is dead.
    pub(super) fn revive(&mut self, slot: u32) -> bool {
        let has_place = self.entries[slot].holds == Holds::Place;
        let is_full = !has_place && self.gauges.places >= self.max;
        if is_full || self.entries[slot].is_dead() {
            return false;
        }
        // If the ping of a shared connection started before it drained, its answer decides.
        let keeps = |ping: &&Ping| ping.purpose == Purpose::Heartbeat && !ping.late;
        let must_answer =
            self.pings().iter().find(|ping| ping.slot == slot).is_some_and(|ping| !keeps(&ping));
        self.change(slot, |entry| {
            entry.holds = Holds::Place;
            entry.state = match (must_answer, entry.leases.is_empty()) {
                (true, _) => State::Pinging,
                (false, true) => State::Idle,
                (false, false) => State::InUse,
            };
        });
        if self.entries[slot].has_room() {
            self.enter_ready(slot);
        }
        true
    }

    /// The same, for a connection that was not checked since it started to drain: a shared one must
    /// answer a ping first.
    pub(super) fn revive_unseen(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        let is_back = self.revive(slot);
        if is_back && section.common.is_shared() && !self.is_pinged(slot) {
            self.begin_ping(slot, Purpose::Health, self.waiting() > 0, section);
        }
        is_back
    }
}

/// Returns whether a connection that is closed for this reason was found dead.
fn is_dead(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::NotOpen
            | CloseReason::PingFailed
            | CloseReason::ResetFailed
            | CloseReason::HeartbeatMissed
            | CloseReason::Discarded
    )
}
