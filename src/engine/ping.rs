//! Pings: for waiters, of suspects, as heartbeats and as resets; each is a task of the pool.
//!
//! The first connection of a host that is found dead makes every older one suspect: the host's
//! generation increases, and connections that were made or have answered before that belong to an
//! older one. Suspects must answer before they are lent again. So must a connection that its
//! borrower [suspects](HostState::doubt), which says nothing about its peers.

use super::actions::PingOrder;
use super::entry::State;
use super::{Common, HostState, Parts, Phase, Purpose, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::Time;

/// A ping in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub(super) slot: u32,
    pub(super) since: Time,
    pub(super) purpose: Purpose,
    /// A waiter needs it: it is not limited.
    pub(super) needed: bool,
    /// It has missed its time limit, and may still be answered.
    pub(super) late: bool,
    /// `close_idle` was called since it started.
    pub(super) cleared: bool,
    /// The host's suspect generation at its start: an answer proves no more than that.
    pub(super) generation: u32,
}

impl Ping {
    /// Returns whether it counts as on its way to a waiter.
    pub(super) fn counts(&self, now: Time, limits: &Limits) -> bool {
        !self.late && now < self.counts_until(limits)
    }

    pub(super) fn counts_until(&self, limits: &Limits) -> Time {
        self.since.after(limits.ping_counts)
    }
}

/// How a ping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// For a shared connection, how many leases it takes now.
    Answered { max_leases: usize },
    /// It has answered, but is not open.
    NotOpen,
    /// An error, a panic, or no answer in time.
    Failed { is_open: bool },
    /// The task was told to stop, or has ended with its runtime.
    CutOff,
}

impl<P: Parts> HostState<P> {
    pub(super) fn begin_ping(
        &mut self,
        slot: u32,
        purpose: Purpose,
        needed: bool,
        section: &mut Section<'_, P>,
    ) {
        // During a heartbeat, a shared connection stays available to borrowers until it is late.
        let stays = section.common.is_shared() && purpose == Purpose::Heartbeat;
        if !stays {
            self.leave_ready(slot);
        }
        let share = section.common.share;
        let connection = self.change(slot, |entry| {
            if !stays && matches!(entry.state, State::Idle | State::InUse) {
                entry.state = State::Pinging;
            }
            match share {
                None => entry.value.take().expect("what is pinged is in its entry"),
                Some(share) => {
                    share(entry.value.as_ref().expect("a shared connection stays in its entry"))
                }
            }
        });
        let (since, generation) = (section.now, self.generation);
        let ping = Ping { slot, since, purpose, needed, late: false, cleared: false, generation };
        self.rare().pings.push(ping);
        let id = self.entries[slot].id;
        section.actions.ping.push(PingOrder { slot, id, connection, purpose });
    }

    /// Pings suspects even without waiters, because one was found dead by a ping or is suspected by
    /// its borrower: a few at a time. A connection that has missed a heartbeat is pinged in order.
    pub(super) fn ping_suspects(&mut self, section: &mut Section<'_, P>) {
        // Once the pool cannot be used any more, each ping would be stopped at once, and the next
        // one would start.
        if self.phase != Phase::Open {
            return;
        }
        while let Some(purpose) = self.rare.as_ref().and_then(|rare| rare.pings_suspects) {
            let is_suspect = |slot: &&u32| {
                let entry = &self.entries[**slot];
                entry.is_suspect(self.generation) && entry.missed == 0 && !self.is_pinged(**slot)
            };
            match self.ready.iter().rev().find(is_suspect) {
                None => self.rare().pings_suspects = None,
                Some(&slot) if self.may_ping_more(&section.common.limits) => {
                    self.begin_ping(slot, purpose, false, section);
                }
                Some(_) => return,
            }
        }
    }

    pub(super) fn is_pinged(&self, slot: u32) -> bool {
        self.pings().iter().any(|ping| ping.slot == slot)
    }

    /// Returns whether one more ping may start that no waiter needs.
    pub(super) fn may_ping_more(&self, limits: &Limits) -> bool {
        self.pings().iter().filter(|ping| !ping.needed).count() < limits.pings_at_once
    }

    /// A connection was found dead: if it was not suspect itself, all older ones become suspect.
    /// Returns whether they do.
    pub(super) fn suspect_peers(&mut self, dead: u32) -> bool {
        let is_news = self.entries[dead].generation == self.generation;
        self.generation = self.generation.wrapping_add(u32::from(is_news));
        is_news
    }

    /// A borrower has heard nothing from this connection: it is suspect until it has answered, and
    /// is pinged as soon as possible, even without waiters.
    pub(crate) fn doubt(&mut self, slot: u32) {
        self.change(slot, |entry| entry.doubted = true);
        self.rare().pings_suspects = Some(Purpose::Health);
    }

    /// A ping has ended.
    pub(crate) fn pinged(
        &mut self,
        slot: u32,
        connection: P::Connection,
        verdict: Verdict,
        section: &mut Section<'_, P>,
    ) {
        let rare = self.rare();
        let Some(at) = rare.pings.iter().position(|ping| ping.slot == slot) else { return };
        let ping = rare.pings.swap_remove(at);
        if section.common.is_shared() {
            section.actions.unused.shares.push(connection);
        } else {
            self.entries[slot].value = Some(connection);
        }
        match (verdict, ping.purpose) {
            (Verdict::Answered { max_leases }, _) => self.answered(ping, max_leases, section),
            (Verdict::NotOpen, _) => {
                self.count_answer(ping.purpose);
                self.kill(slot, CloseReason::NotOpen, section);
            }
            (Verdict::Failed { .. }, Purpose::Health) => {
                self.ping_failed(slot, CloseReason::PingFailed, section);
            }
            (Verdict::Failed { .. }, Purpose::Reset) => {
                self.ping_failed(slot, CloseReason::ResetFailed, section);
            }
            (Verdict::Failed { is_open }, Purpose::Heartbeat) => {
                self.beat_failed(ping, is_open, section);
            }
            (Verdict::CutOff, _) => self.ping_cut_off(ping, section),
        }
    }

    fn count_answer(&mut self, purpose: Purpose) {
        let counters = &mut self.rare().counters;
        match purpose {
            Purpose::Health | Purpose::Reset => counters.pings += 1,
            Purpose::Heartbeat => counters.heartbeats += 1,
        }
    }

    /// An answer is proof of life, no matter what it was for: the connection is as free as if it
    /// had returned, but was not used.
    fn answered(&mut self, ping: Ping, max_leases: usize, section: &mut Section<'_, P>) {
        let (slot, now) = (ping.slot, section.now);
        self.count_answer(ping.purpose);
        self.change(slot, |entry| {
            entry.checked_at = now;
            entry.proof_micros =
                u32::try_from(now.since(ping.since).as_micros()).unwrap_or(u32::MAX);
            entry.generation = ping.generation;
            entry.doubted = false;
            entry.missed = 0;
        });
        self.note_max_leases(slot, max_leases);
        if self.entries[slot].is_dead() {
            return self.close_if_free(slot, section);
        }
        self.end_pinging(slot);
        if ping.generation == self.generation {
            self.settle_proven(slot, section);
        } else {
            self.settle(slot, section);
        }
        if ping.cleared && self.entries[slot].state == State::Idle {
            self.drain(slot, CloseReason::Asked, section);
        }
    }

    /// Returns the connection to its state before the ping.
    pub(super) fn end_pinging(&mut self, slot: u32) {
        self.change(slot, |entry| {
            if entry.state == State::Pinging {
                entry.state = if entry.leases.is_empty() { State::Idle } else { State::InUse };
            }
        });
    }

    /// A connection that was just made or has just answered serves a waiter, even if each loan
    /// needs a ping.
    pub(super) fn settle_proven(&mut self, slot: u32, section: &mut Section<'_, P>) {
        if self.entries[slot].leases.is_empty() && self.reason_to_close(slot, section).is_none() {
            while self.waiting() > 0 && self.entries[slot].has_room() {
                self.serve(slot, section);
            }
        }
        self.settle(slot, section);
    }

    /// The connection is dead, and its older peers become suspect and are pinged. If there are
    /// waiters, a dial replaces it, if there is room, before anything else: no caller waits for two
    /// pings in a row.
    fn ping_failed(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        let counters = &mut self.rare().counters;
        counters.pings += 1;
        counters.failed_pings += 1;
        self.suspect_peers(slot);
        self.rare().pings_suspects = Some(Purpose::Health);
        self.kill(slot, reason, section);
        self.replace_by_dial(section);
    }

    /// The state of an exchange that was cut off is unknown, so an exclusive connection is closed.
    /// For a shared one that stays open it proves nothing.
    fn ping_cut_off(&mut self, ping: Ping, section: &mut Section<'_, P>) {
        let slot = ping.slot;
        let is_shared = section.common.is_shared();
        let reason = match (self.phase, ping.purpose) {
            (Phase::Closed | Phase::Orphaned, _) => CloseReason::PoolClosed,
            (Phase::Open, Purpose::Health) => CloseReason::PingFailed,
            (Phase::Open, Purpose::Reset) => CloseReason::ResetFailed,
            (Phase::Open, Purpose::Heartbeat) => CloseReason::HeartbeatMissed,
        };
        if self.entries[slot].is_dead() {
            self.close_if_free(slot, section);
        } else if is_shared
            && (self.phase != Phase::Open || (ping.purpose == Purpose::Heartbeat && !ping.late))
        {
            self.end_pinging(slot);
            self.settle(slot, section);
        } else {
            self.end(slot, reason, section);
        }
    }

    /// Returns whether the task of a ping has to stop: its connection is known to be dead, it is
    /// late and keeps a waiter from a connection or from the room, or the answer is not needed any
    /// more.
    pub(crate) fn stops_ping(&self, slot: u32, now: Time, common: &Common<P>) -> bool {
        let Some(ping) = self.pings().iter().find(|ping| ping.slot == slot) else { return true };
        let is_unwanted = self.waiting() == 0 && self.phase != Phase::Open;
        let entry = &self.entries[slot];
        // Only the ping keeps it from being closed.
        let leaves = matches!(entry.state, State::Draining(_)) && entry.leases.is_empty();
        entry.is_dead() || is_unwanted || (ping.late && (leaves || self.is_in_the_way(now, common)))
    }

    fn is_in_the_way(&self, now: Time, common: &Common<P>) -> bool {
        let room_is_wanted = common.ledger.as_ref().is_some_and(|ledger| ledger.hints.wants_room());
        room_is_wanted || self.waiting() > self.on_its_way(now, &common.limits)
    }

    /// Returns the heartbeats that a connection has missed since its last answer.
    pub(crate) fn missed_beats(&self, slot: u32) -> u32 {
        self.entries[slot].missed
    }
}
