//! The end of a connection: it drains, is closed, and leaves.

use super::actions::CloseOrder;
use super::entry::{Entry, Holds, State};
use super::ping::Ping;
use super::slots::Slots;
use super::{HostState, Parts, Phase, Purpose, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// A close whose runtime runs has ended itself by then: caps are exact as long as timers are no later than this.
const CLOSE_GRACE: Span = Span::from_nanos(10_000_000);

/// A close under way, and when it gives its place up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    until: Time,
    slot: u32,
    id: u64,
}

impl Closing {
    /// Whether it goes on, and has not given its place up.
    fn holds_place<P: Parts>(&self, entries: &Slots<Entry<P>>) -> bool {
        let entry = entries.get(self.slot).filter(|entry| entry.id == self.id);
        entry.is_some_and(|entry| !entry.is_dead())
    }
}

/// Fewer closes that have ended are not worth a sweep.
const FEW: usize = 32;

impl<P: Parts> HostState<P> {
    /// It is lent to nobody new, and is closed as soon as nobody uses it. A shared one gives its place to the next one
    /// at once, except above a lowered cap.
    pub(super) fn drain(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        self.leave_ready(slot);
        self.change(slot, |entry| {
            // What drains only for a while may have another reason by now, for good.
            let new = State::Draining(reason);
            let is_for_good = entry.state.may_come_back() && !new.may_come_back();
            if is_for_good || !matches!(entry.state, State::Draining(_) | State::Closing) {
                entry.state = new;
            }
        });
        self.close_if_free(slot, section);
    }

    /// It is dead, or its loan is over for good: its place is free at once.
    pub(super) fn end(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        if is_dead(reason) {
            self.kill(slot, reason, section);
        } else {
            self.drain(slot, reason, section);
        }
    }

    /// It was found dead: it holds nothing from now on.
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

    /// Closes what drains once nobody uses it.
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
        section.actions.close.extend(value.map(|loan| CloseOrder { loan, reason, id }));
    }

    /// Takes the places of closes that have gone on for longer than they may: their runtime stands still. The entries
    /// stay until the tasks end.
    pub(super) fn give_up_late_closes(&mut self, now: Time) {
        while let Some(closing) = self.first_close().filter(|first| first.until <= now) {
            self.rare().closes.pop_front();
            self.change(closing.slot, |entry| entry.holds = Holds::Nothing);
        }
    }

    /// The close that began first of those that hold a place. Those before it that have ended are forgotten.
    fn first_close(&mut self) -> Option<Closing> {
        let HostState { rare, entries, .. } = self;
        let closes = &mut rare.as_mut()?.closes;
        while !closes.front()?.holds_place(entries) {
            closes.pop_front();
        }
        closes.front().copied()
    }

    /// When the first of the closes that hold a place gives it up, where somebody may want that.
    pub(super) fn next_late_close(&self) -> Option<Time> {
        if self.gauges.closing == 0 || self.phase == Phase::Closed {
            return None;
        }
        self.rare.as_ref()?.closes.front().map(|first| first.until)
    }

    /// A close has ended, or was given up.
    pub(crate) fn closed(&mut self, slot: u32) {
        self.remove(slot);
        let HostState { rare, entries, gauges, .. } = self;
        // The first may go on for as long as it likes: those behind it are forgotten once they prevail.
        if let Some(rare) = rare
            && rare.closes.len() > 2 * gauges.closing as usize + FEW
        {
            rare.closes.retain(|closing| closing.holds_place(entries));
        }
    }

    /// The borrower keeps the connection. Returns its id.
    pub(crate) fn detach(&mut self, loan: &super::Loan<P>, section: &mut Section<'_, P>) -> u64 {
        self.rare().counters.closes.count(CloseReason::Detached);
        let mut entry = self.remove(loan.slot);
        if let Some(lease) = entry.leases.end(loan.lease).filter(|lease| lease.reported) {
            section.actions.leaks.push(super::Leak::Back { id: entry.id, lease });
        }
        entry.id
    }

    /// Shared connections that drain give their places to others: as many as the cap, so that what a host has open is
    /// bounded by twice that.
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

    /// Takes leases again: the reason for which it drained is gone. Says whether there was a place for it, and it is
    /// alive.
    pub(super) fn revive(&mut self, slot: u32) -> bool {
        let has_place = self.entries[slot].holds == Holds::Place;
        let is_full = !has_place && self.gauges.places >= self.max;
        if is_full || self.entries[slot].is_dead() {
            return false;
        }
        // Where the ping of a shared one began before it drained, its answer decides.
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

    /// The same, for one that nobody has looked at since it began to drain: a shared one must answer a ping first.
    pub(super) fn revive_unseen(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        let is_back = self.revive(slot);
        if is_back && section.common.is_shared() && !self.is_pinged(slot) {
            self.begin_ping(slot, Purpose::Health, self.waiting() > 0, section);
        }
        is_back
    }
}

/// Whether what is closed for this reason was found dead.
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
