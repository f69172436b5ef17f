//! The end of a connection: it drains, is closed, and leaves.

use super::HostState;
use super::membership::Phase;
use crate::engine::connections::entry::{Entry, Holds, State};
use crate::engine::{CloseOrder, Common, Leak, Parts, Purpose, Section, Ticket};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// How long the close of a connection to a server that is probably gone may take: as long as goodbyes
/// take where the server is there. With the grace of all closes it holds its place for 100 ms.
const GOODBYE: Span = Span::from_nanos(90_000_000);

impl<P: Parts> HostState<P> {
    /// Drains the connection: it takes no new leases, and is closed as soon as it is not in use. A
    /// shared one gives up its place at once, except above a lowered cap.
    pub(super) fn drain(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        self.connections.change(slot, |entry| entry.drain(reason));
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
        if !self.connections[slot].is_dead() {
            self.connections.change(slot, |entry| entry.die(reason));
            // Its ping has to stop.
            section.actions.recheck |= self.connections[slot].pinged;
            if reason != CloseReason::Discarded && self.open() == 0 {
                self.dials.pace_mut().lost_all();
            }
        }
        self.close_if_free(slot, section);
    }

    /// Closes a draining connection once it is not in use.
    pub(super) fn close_if_free(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let entry = &self.connections[slot];
        let State::Draining(reason) = entry.state else { return };
        if !entry.leases().is_empty() || !entry.is_here() || entry.pinged {
            return;
        }
        let (id, last_use) = (entry.id, entry.last_use);
        let at_most = self.close_holds_place(reason, section);
        let value = self.connections.change(slot, |entry| entry.close());
        let rare = self.rare();
        rare.pings.skip_reset(last_use, slot);
        rare.counters.closes.count(reason);
        rare.closes.begin((slot, id), section.now, at_most);
        let order = |connection| CloseOrder { slot, id, connection, reason };
        section.actions.close.extend(value.map(order));
    }

    /// Returns how long a close that begins now holds its place: not for a goodbye to a server that
    /// is probably gone, unless the host has twice its cap open by now.
    fn close_holds_place(&self, reason: CloseReason, section: &Section<'_, P>) -> Span {
        let close_timeout = section.common.limits.close_timeout;
        let is_down = || {
            self.failing().is_some() && self.dials.pace().full(self.open(), section.now).is_none()
        };
        let is_gone = reason == CloseReason::Retired || is_down();
        let most = (self.membership.max() as usize).saturating_mul(2);
        if is_gone && self.connections.len() < most {
            close_timeout.min(GOODBYE)
        } else {
            close_timeout
        }
    }

    /// Takes the places of closes that exceed their time limit: their runtime is not driven. The
    /// entries stay until the tasks end.
    pub(super) fn give_up_late_closes(&mut self, now: Time) {
        if self.next_late_close() > now {
            return;
        }
        let HostState { rare, connections, .. } = self;
        let Some(rare) = rare else { return };
        while let Some(slot) = rare.closes.take_late(now, connections.entries()) {
            connections.change(slot, |entry| entry.give_up_permit());
        }
    }

    /// Returns when the first of the closes gives up its place, if that may matter.
    pub(super) fn next_late_close(&self) -> Time {
        let matters =
            self.connections.gauges().closing > 0 && self.membership.phase() != Phase::Closed;
        let rare = self.rare.as_ref().filter(|_| matters);
        rare.map_or(Time::NEVER, |rare| rare.closes.next())
    }

    /// A close has ended or was given up.
    pub(crate) fn closed(&mut self, slot: u32) {
        self.connections.remove(slot);
        let closing = self.connections.gauges().closing;
        if let Some(rare) = &mut self.rare {
            rare.closes.sweep(closing, self.connections.entries());
        }
    }

    /// The borrower keeps the connection.
    pub(crate) fn detach(&mut self, ticket: Ticket, section: &mut Section<'_, P>) {
        self.rare().counters.closes.count(CloseReason::Detached);
        let entry = self.connections.remove(ticket.slot);
        if let Some(lease) = entry.leases().get(ticket.lease).filter(|lease| lease.reported) {
            section.actions.leaks.push(Leak::Back { id: entry.id, lease: *lease });
        }
    }

    /// Frees the places of draining shared connections: at most as many as the cap, so that a host
    /// never has more than twice the cap open.
    pub(super) fn give_places(&mut self, common: &Common<P>) {
        if !common.is_shared() || self.connections.gauges().draining == 0 {
            return;
        }
        let is_stuck = |entry: &Entry<P>| {
            entry.state == State::Draining(CloseReason::OverCap) && entry.holds == Holds::Place
        };
        let stuck = self.connections.iter().filter(|(_, entry)| is_stuck(entry)).count();
        if stuck >= self.membership.max() as usize {
            // Nothing could take the places: what has one may be taken back.
            return;
        }
        let given =
            self.connections.iter().filter(|(_, entry)| entry.holds == Holds::Permit).count();
        let more = (self.membership.max() as usize).saturating_sub(given);
        for slot in self.connections.slots(may_give_place).into_iter().take(more) {
            self.connections.change(slot, |entry| entry.give_up_place());
        }
    }

    /// Lets a draining connection take leases again, because the reason is gone. Returns false if
    /// there is no place for it or it is dead.
    pub(super) fn revive(&mut self, slot: u32) -> bool {
        let has_place = self.connections[slot].holds == Holds::Place;
        let is_full = !has_place && self.connections.gauges().places >= self.membership.max();
        if is_full || self.connections[slot].is_dead() {
            return false;
        }
        // If the ping of a shared connection started before it drained, its answer decides.
        let must_answer = self.pings().of(slot).is_some_and(|ping| !ping.leaves_it_to_borrowers());
        self.connections.change(slot, |entry| entry.come_back(must_answer));
        true
    }

    /// The same, for a connection that was not checked since it started to drain: a shared one must
    /// answer a ping first.
    pub(super) fn revive_unseen(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        let limits = &section.common.limits;
        let is_over = self.connections[slot].is_over(section.now, limits).is_some();
        let is_back = !is_over && self.revive(slot);
        if is_back && section.common.is_shared() && !self.connections[slot].pinged {
            self.begin_ping(slot, Purpose::Health, self.waiting() > 0, section);
        }
        self.note_times(slot, section);
        is_back
    }
}

/// Returns whether it drains, and may give up the place that it holds.
pub(super) fn may_give_place<P: Parts>(entry: &Entry<P>) -> bool {
    matches!(entry.state, State::Draining(reason) if reason != CloseReason::OverCap)
        && entry.holds == Holds::Place
        && !entry.leases().is_empty()
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
