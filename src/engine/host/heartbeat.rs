//! Heartbeats: pings on a timer.
//!
//! A connection that has not answered in time has missed a heartbeat and is *late*, but its ping
//! continues: an exchange that is cut off leaves it in an unknown state, and a late answer is still
//! an answer. The connection is given up when it has missed too many, or as soon as it keeps a
//! waiter from a connection.
//!
//! A missed heartbeat counts as evidence: the older peers become suspect and are pinged at once.

use super::HostState;
use crate::engine::connections::entry::{Entry, State};
use crate::engine::work::pings::Ping;
use crate::engine::{Parts, Purpose, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Returns when the heartbeat of a connection is due. An exclusive one is not pinged while it is
/// lent.
fn due<P: Parts>(entry: &Entry<P>, shared: bool, limits: &Limits) -> Time {
    match entry.state {
        _ if entry.pinged || entry.is_dead() => Time::NEVER,
        State::Idle => entry.next_beat(limits, shared),
        State::InUse | State::Draining(_) if shared => entry.next_beat(limits, shared),
        _ => Time::NEVER,
    }
}

impl<P: Parts> HostState<P> {
    /// Notes when the heartbeat of a connection is due.
    pub(super) fn note_beat(&mut self, slot: u32, section: &Section<'_, P>) {
        if section.common.limits.heartbeat.is_some() {
            let at = self.due_beat(slot, section);
            self.rare().pings.note_beat(at);
        }
    }

    fn due_beat(&self, slot: u32, section: &Section<'_, P>) -> Time {
        let shared = section.common.is_shared();
        due(&self.connections[slot], shared, &section.common.limits)
    }

    /// Returns whether the heartbeat of a connection that returns now need not be noted.
    pub(super) fn covers_beat(&mut self, slot: u32, now: Time, limits: &Limits) -> bool {
        let Some(beats) = &limits.heartbeat else { return true };
        let due = self.connections[slot].beat_after_use(now, beats);
        due > now && self.rare.as_mut().is_some_and(|rare| rare.pings.covers_beat(due))
    }

    /// Pings the connections that are due.
    pub(super) fn beat(&mut self, section: &mut Section<'_, P>) {
        if section.common.limits.heartbeat.is_none() {
            return;
        }
        // Once the pool cannot be used any more, the answers are not needed.
        while self.membership.is_open() && self.may_beat_more(&section.common.limits) {
            let Some(slot) = self.take_beat(section) else { break };
            if self.connections.get(slot).is_none() {
                continue;
            }
            let is_lent =
                self.connections[slot].state == State::InUse && !section.common.is_shared();
            if !is_lent && self.due_beat(slot, section) <= section.now {
                self.begin_ping(slot, Purpose::Heartbeat, false, section);
            } else {
                self.note_beat(slot, section);
            }
        }
    }

    pub(super) fn may_beat_more(&self, limits: &Limits) -> bool {
        self.pings().may_beat(self.open(), limits)
    }

    /// Returns a connection whose heartbeat may be due.
    fn take_beat(&mut self, section: &Section<'_, P>) -> Option<u32> {
        let (limits, shared) = (&section.common.limits, section.common.is_shared());
        let HostState { rare, connections, .. } = self;
        let all = || connections.iter().map(|(slot, entry)| (due(entry, shared, limits), slot));
        rare.as_mut()?.pings.take_beat(section.now, all)
    }

    /// Returns a lower bound of the time when the first heartbeat is due.
    pub(super) fn next_beat(&self, section: &Section<'_, P>) -> Time {
        let limits = &section.common.limits;
        // When one of those in flight ends, this is evaluated again.
        let may =
            limits.heartbeat.is_some() && self.membership.is_open() && self.may_beat_more(limits);
        // More may begin than when this section began them.
        let soon = section.now.after(Span::from_nanos(1));
        if may { self.pings().next_beat().max(soon) } else { Time::NEVER }
    }

    /// The time for an answer has passed without one: the connection has missed a heartbeat.
    /// Returns how many it has missed in a row.
    pub(crate) fn beat_missed(&mut self, slot: u32, now: Time) -> u32 {
        let missed = self.count_missed_beat(slot, now);
        self.rare().pings.note_late(slot);
        self.connections.change(slot, |entry| entry.be_late());
        missed
    }

    /// Returns whether a late connection has missed too many.
    pub(crate) fn has_missed_enough(&self, slot: u32, limits: &Limits) -> bool {
        limits.heartbeat.is_none_or(|beats| self.connections[slot].missed >= beats.max_missed)
    }

    fn count_missed_beat(&mut self, slot: u32, now: Time) -> u32 {
        self.rare().counters.missed_heartbeats += 1;
        let missed = self.connections.change(slot, |entry| entry.miss_beat());
        if self.suspect_peers(slot, now) {
            self.rare().pings.suspect_by_beat();
        }
        missed
    }

    /// The ping has ended with an error. If the connection is open and no waiter needs it, it gets
    /// another chance, but is suspect until it answers.
    pub(super) fn beat_failed(
        &mut self,
        (slot, ping): (u32, Ping),
        is_open: bool,
        section: &mut Section<'_, P>,
    ) {
        if !ping.late {
            self.count_missed_beat(slot, section.now);
        }
        let is_over = !is_open
            || self.waiting() > 0
            || self.has_missed_enough(slot, &section.common.limits)
            || self.connections[slot].is_dead();
        if is_over {
            return self.kill(slot, CloseReason::HeartbeatMissed, section);
        }
        let now = section.now;
        self.connections.change(slot, |entry| {
            entry.count_beats_from(now);
            entry.resume();
        });
        if ping.cleared && self.connections[slot].leases().is_empty() {
            self.drain(slot, CloseReason::Asked, section);
        } else {
            self.settle(slot, section);
        }
    }
}
