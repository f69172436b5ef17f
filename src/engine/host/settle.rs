//! Decides where a connection goes whose use, ping or dial has ended.

use super::HostState;
use super::membership::Phase;
use crate::engine::connections::entry::State;
use crate::engine::{Parts, Section};
use crate::policy::close_reason::CloseReason;

impl<P: Parts> HostState<P> {
    /// Decides where a connection goes that is in its entry: it serves a waiter, becomes idle, or
    /// is closed.
    pub(super) fn settle(&mut self, slot: u32, section: &mut Section<'_, P>) {
        self.connections.change(slot, |entry| entry.settle());
        if let Some(reason) = self.reason_to_close(slot, section) {
            return self.drain(slot, reason, section);
        }
        self.note_times(slot, section);
        if self.connections[slot].has_room() {
            self.serve_waiters(section);
            self.close_if_unwanted(slot, section);
        }
    }

    /// A connection that was just made or has just answered serves a waiter, even if each loan
    /// needs a ping.
    pub(super) fn settle_proven(&mut self, slot: u32, section: &mut Section<'_, P>) {
        if !self.connections[slot].is_used() && self.reason_to_close(slot, section).is_none() {
            while self.waiting() > 0 && self.connections[slot].has_room() {
                self.serve(slot, section);
            }
        }
        self.settle(slot, section);
    }

    /// Notes when time alone ends the connection, and when its heartbeat is due.
    pub(super) fn note_times(&mut self, slot: u32, section: &Section<'_, P>) {
        self.connections.note_end(slot, &section.common.limits);
        self.note_beat(slot, section);
    }

    /// Returns the reason why it may not stay, if there is one. The order of the checks is the
    /// precedence of the reasons.
    pub(super) fn reason_to_close(
        &self,
        slot: u32,
        section: &Section<'_, P>,
    ) -> Option<CloseReason> {
        let entry = &self.connections[slot];
        // Open connections take precedence over dials.
        let over_cap = self.connections.gauges().staying() > self.membership.max();
        match entry.state {
            State::Draining(reason) => Some(reason),
            _ if self.membership.phase() == Phase::Closed => Some(CloseReason::PoolClosed),
            _ => entry
                .is_over(section.now, &section.common.limits)
                .or(over_cap.then_some(CloseReason::OverCap)),
        }
    }

    /// Closes connections that became idle for waiters and are not needed any more.
    pub(super) fn close_unwanted(&mut self, section: &mut Section<'_, P>) {
        self.close_kept(section);
        let most = match self.membership.phase() {
            Phase::Open => section.common.limits.max_idle_per_host,
            Phase::Orphaned | Phase::Closed => 0,
        };
        let surplus = self.connections.free().saturating_sub(most);
        if surplus == 0 || self.waiting() > 0 {
            return;
        }
        let least_recent: Vec<u32> = self.connections.idle().take(surplus).collect();
        for slot in least_recent {
            self.close_if_unwanted(slot, section);
        }
    }

    /// Closes the connection if it has become idle and is not needed.
    fn close_if_unwanted(&mut self, slot: u32, section: &mut Section<'_, P>) {
        if self.connections[slot].state != State::Idle || self.waiting() > 0 {
            return;
        }
        if self.membership.phase() == Phase::Orphaned {
            self.drain(slot, CloseReason::PoolClosed, section);
        } else if self.connections.free() > section.common.limits.max_idle_per_host {
            self.drain(slot, CloseReason::OverIdleLimit, section);
        }
    }
}
