//! Heartbeats: pings on a timer.
//!
//! A connection that has not answered in time has missed a heartbeat and is *late*, but its ping
//! continues: an exchange that is cut off leaves it in an unknown state, and a late answer is still
//! an answer. The connection is given up when it has missed too many, or as soon as it keeps a
//! waiter from a connection.
//!
//! A missed heartbeat counts as evidence: the older peers become suspect and are pinged at once.

use super::Purpose;
use super::entry::{Entry, State};
use super::ping::Ping;
use super::{HostState, Parts, Phase, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::Time;

impl<P: Parts> HostState<P> {
    /// Pings the connections that are due, those with the oldest proof of life first.
    pub(super) fn beat(&mut self, section: &mut Section<'_, P>) {
        if section.common.limits.heartbeat.is_none() {
            return;
        }
        while self.may_ping_more(&section.common.limits) {
            let due = self.beats(section.common.is_shared(), &section.common.limits);
            let next = due.filter(|(at, _)| *at <= section.now).min();
            let Some((_, slot)) = next else { return };
            self.begin_ping(slot, Purpose::Heartbeat, false, section);
        }
    }

    /// Returns when each connection that may be pinged is due.
    pub(super) fn beats<'a>(
        &'a self,
        shared: bool,
        limits: &'a Limits,
    ) -> impl Iterator<Item = (Time, u32)> + 'a {
        // Once the pool cannot be used any more, the answers are not needed.
        let is_open = self.phase == Phase::Open;
        let may = move |entry: &Entry<P>| match entry.state {
            _ if !is_open => false,
            State::Idle => true,
            State::InUse | State::Draining(_) => {
                shared && !entry.is_dead() && entry.value.is_some()
            }
            _ => false,
        };
        let free =
            self.entries.iter().filter(move |(slot, entry)| may(entry) && !self.is_pinged(*slot));
        free.map(move |(slot, entry)| (entry.next_beat(limits, shared), slot))
    }

    /// The time for an answer has passed without one: the connection has missed a heartbeat.
    /// Returns how many it has missed in a row.
    pub(crate) fn beat_missed(&mut self, slot: u32) -> u32 {
        let missed = self.count_missed_beat(slot);
        if let Some(ping) = self.rare().pings.iter_mut().find(|ping| ping.slot == slot) {
            ping.late = true;
        }
        self.leave_ready(slot);
        self.change(slot, |entry| {
            if matches!(entry.state, State::Idle | State::InUse) {
                entry.state = State::Pinging;
            }
        });
        missed
    }

    /// Returns whether a late connection has missed too many.
    pub(crate) fn has_missed_enough(&self, slot: u32, limits: &Limits) -> bool {
        limits.heartbeat.is_none_or(|beats| self.entries[slot].missed >= beats.max_missed)
    }

    fn count_missed_beat(&mut self, slot: u32) -> u32 {
        self.rare().counters.missed_heartbeats += 1;
        let missed = self.change(slot, |entry| {
            entry.missed += 1;
            entry.missed
        });
        if self.suspect_peers(slot) {
            self.rare().pings_suspects.get_or_insert(Purpose::Heartbeat);
        }
        missed
    }

    /// The ping has ended with an error. If the connection is open and no waiter needs it, it gets
    /// another chance, but is suspect until it answers.
    pub(super) fn beat_failed(&mut self, ping: Ping, is_open: bool, section: &mut Section<'_, P>) {
        let slot = ping.slot;
        if !ping.late {
            self.count_missed_beat(slot);
        }
        let is_wanted = self.waiting() > 0;
        let limits = &section.common.limits;
        if !is_open
            || is_wanted
            || self.has_missed_enough(slot, limits)
            || self.entries[slot].is_dead()
        {
            return self.kill(slot, CloseReason::HeartbeatMissed, section);
        }
        let now = section.now;
        // The next heartbeat is due an interval from now.
        self.change(slot, |entry| entry.checked_at = now);
        self.end_pinging(slot);
        if ping.cleared && self.entries[slot].leases.is_empty() {
            self.drain(slot, CloseReason::Asked, section);
        } else {
            self.settle(slot, section);
        }
    }
}
