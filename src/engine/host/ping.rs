//! Pings: for waiters, of suspects, as heartbeats and as resets; each is a task of the pool.
//!
//! The first connection of a host that is found dead makes every older one suspect: the host's
//! generation increases, and connections that were made or have answered before that belong to an
//! older one. Suspects must answer before they are lent again. So must a connection that its
//! borrower [suspects](HostState::doubt), which says nothing about its peers.

use super::HostState;
use super::membership::Phase;
use crate::engine::connections::entry::State;
use crate::engine::work::pings::Ping;
use crate::engine::{Common, Parts, PingOrder, Purpose, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::Time;

/// How a ping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// For a shared connection, how many leases it takes now.
    Answered { max_leases: usize },
    /// It has answered, but is not open.
    NotOpen,
    /// An error, a panic, or no answer in time.
    Failed { is_open: bool },
    /// It was not sent, because the peer was heard lately: at this time.
    Heard { at: Time, max_leases: usize },
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
        let share = section.common.share;
        let unless_heard = self.needless_if_heard(slot, purpose, section);
        let connection = self.connections.change(slot, |entry| entry.begin_ping(stays, share));
        let (since, generation) = (section.now, self.connections.generation());
        let ping = Ping { since, purpose, needed, late: false, cleared: false, generation };
        self.rare().pings.begin(slot, ping);
        let id = self.connections[slot].id;
        section.actions.ping.push(PingOrder { slot, id, connection, purpose, unless_heard });
    }

    /// Returns since when the peer must have been heard for this ping to be needless, if it can be.
    fn needless_if_heard(
        &self,
        slot: u32,
        purpose: Purpose,
        section: &Section<'_, P>,
    ) -> Option<Time> {
        let (entry, limits) = (&self.connections[slot], &section.common.limits);
        let interval = match (purpose, limits.heartbeat) {
            (Purpose::Reset, _) => return None,
            (Purpose::Heartbeat, Some(beats)) => {
                let interval = beats.interval_of(entry.id);
                // Its program may hang while something on the way goes on to talk.
                entry.was_answered_lately(interval, section.now).then_some(interval)?
            }
            _ => entry.asked_after(limits),
        };
        self.connections.heard_is_enough(slot, interval, section.now)
    }

    /// Pings suspects even without waiters, because one was found dead by a ping or is suspected by
    /// its borrower: a few at a time. A connection that has missed a heartbeat is pinged in order.
    pub(super) fn ping_suspects(&mut self, section: &mut Section<'_, P>) {
        // Once the pool cannot be used any more, each ping would be stopped at once, and the next
        // one would start.
        if !self.membership.is_open() {
            return;
        }
        while let Some(purpose) = self.pings().of_suspects() {
            match self.next_suspect() {
                None => self.rare().pings.end_suspicion(),
                Some(slot) if self.may_ping_more(&section.common.limits) => {
                    self.begin_ping(slot, purpose, false, section);
                }
                Some(_) => return,
            }
        }
    }

    /// Returns the suspect with room that was used last.
    fn next_suspect(&self) -> Option<u32> {
        if self.connections.has_no_suspect() {
            return None;
        }
        let generation = self.connections.generation();
        self.connections
            .last_used(|entry| entry.is_suspect(generation) && entry.missed == 0 && !entry.pinged)
    }

    /// Returns how many connections are open.
    pub(super) fn open(&self) -> usize {
        let gauges = self.connections.gauges();
        (gauges.idle + gauges.in_use) as usize
    }

    /// Returns whether one more ping may start that no waiter needs.
    pub(super) fn may_ping_more(&self, limits: &Limits) -> bool {
        self.pings().may_begin(self.open(), limits)
    }

    /// A connection was found dead: if it was not suspect itself, all older ones become suspect.
    /// Returns whether they do.
    pub(super) fn suspect_peers(&mut self, dead: u32, now: Time) -> bool {
        let is_news = self.connections[dead].generation == self.connections.generation();
        if is_news {
            self.connections.suspect_all(now);
        }
        is_news
    }

    /// A borrower has heard nothing from this connection: it is suspect until it has answered, and
    /// is pinged as soon as possible, even without waiters.
    pub(crate) fn doubt(&mut self, slot: u32) {
        self.connections.change(slot, |entry| entry.doubt());
        self.rare().pings.suspect();
    }

    /// A ping has ended.
    pub(crate) fn pinged(
        &mut self,
        slot: u32,
        connection: P::Connection,
        verdict: Verdict,
        section: &mut Section<'_, P>,
    ) {
        let Some(ping) = self.rare().pings.end(slot) else { return };
        self.end_ping(slot, connection, section);
        match (verdict, ping.purpose) {
            (Verdict::Answered { max_leases }, _) => {
                self.answered((slot, ping), max_leases, section);
            }
            (Verdict::Heard { at, max_leases }, _) => {
                self.connections.change(slot, |entry| entry.hear(at, ping.generation));
                if self.connections[slot].doubted {
                    // Since the ping began: it was not pinged for that.
                    self.rare().pings.suspect();
                }
                self.proven((slot, ping), max_leases, section);
            }
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
                self.beat_failed((slot, ping), is_open, section);
            }
            (Verdict::CutOff, _) => self.ping_cut_off((slot, ping), section),
        }
        if self.connections.get(slot).is_some() {
            self.note_times(slot, section);
        }
        // Its end lets the next one begin.
        self.beat(section);
    }

    /// Puts an exclusive connection into its entry. A share of a shared one is dropped later.
    fn end_ping(&mut self, slot: u32, connection: P::Connection, section: &mut Section<'_, P>) {
        let shared = section.common.is_shared();
        let share = self.connections.change(slot, |entry| {
            entry.end_ping();
            if shared {
                return Some(connection);
            }
            entry.put_back(connection);
            None
        });
        section.actions.unused.shares.extend(share);
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
    fn answered(
        &mut self,
        (slot, ping): (u32, Ping),
        max_leases: usize,
        section: &mut Section<'_, P>,
    ) {
        let (now, took) = (section.now, section.now.since(ping.since));
        self.count_answer(ping.purpose);
        if ping.purpose != Purpose::Reset {
            self.rare().pings.note_answer(took);
        }
        self.connections.change(slot, |entry| entry.prove(now, took, ping.generation));
        self.proven((slot, ping), max_leases, section);
    }

    /// Its peer lives: the connection is free, unless it drains.
    fn proven(
        &mut self,
        (slot, ping): (u32, Ping),
        max_leases: usize,
        section: &mut Section<'_, P>,
    ) {
        self.note_max_leases(slot, max_leases);
        self.rare().pings.note_life(section.now);
        if self.connections[slot].is_dead() {
            return self.close_if_free(slot, section);
        }
        self.connections.change(slot, |entry| entry.resume());
        if self.connections[slot].is_suspect(self.connections.generation()) {
            self.settle(slot, section);
        } else {
            self.settle_proven(slot, section);
        }
        if ping.cleared && self.connections[slot].state == State::Idle {
            self.drain(slot, CloseReason::Asked, section);
        }
    }

    /// The connection is dead, and its older peers become suspect and are pinged. If there are
    /// waiters, a dial replaces it, if there is room, before anything else: no caller waits for two
    /// pings in a row.
    fn ping_failed(&mut self, slot: u32, reason: CloseReason, section: &mut Section<'_, P>) {
        let counters = &mut self.rare().counters;
        counters.pings += 1;
        counters.failed_pings += 1;
        self.suspect_peers(slot, section.now);
        self.rare().pings.suspect();
        self.kill(slot, reason, section);
        self.replace_by_dial(section);
    }

    /// The state of an exchange that was cut off is unknown, so an exclusive connection is closed.
    /// For a shared one that stays open it proves nothing.
    fn ping_cut_off(&mut self, (slot, ping): (u32, Ping), section: &mut Section<'_, P>) {
        let is_open = self.membership.is_open();
        let reason = match (self.membership.phase(), ping.purpose) {
            (Phase::Closed | Phase::Orphaned, _) => CloseReason::PoolClosed,
            (Phase::Open, Purpose::Health) => CloseReason::PingFailed,
            (Phase::Open, Purpose::Reset) => CloseReason::ResetFailed,
            (Phase::Open, Purpose::Heartbeat) => CloseReason::HeartbeatMissed,
        };
        let stays = section.common.is_shared() && (!is_open || ping.leaves_it_to_borrowers());
        if self.connections[slot].is_dead() {
            self.close_if_free(slot, section);
        } else if stays {
            self.connections.change(slot, |entry| entry.resume());
            self.settle(slot, section);
        } else {
            self.end(slot, reason, section);
        }
    }

    /// Returns whether the task of a ping has to stop: its connection is known to be dead, it is
    /// late and keeps a waiter from a connection or from the room, or the answer is not needed any
    /// more.
    pub(crate) fn stops_ping(&self, slot: u32, now: Time, common: &Common<P>) -> bool {
        let Some(ping) = self.pings().of(slot) else { return true };
        let entry = &self.connections[slot];
        // Only the ping keeps it from being closed.
        let leaves = || matches!(entry.state, State::Draining(_)) && entry.leases().is_empty();
        entry.is_dead()
            || self.needs_no_answers()
            || (ping.late && (leaves() || self.is_in_the_way(now, common)))
    }

    fn needs_no_answers(&self) -> bool {
        self.waiting() == 0 && !self.membership.is_open()
    }

    /// Returns whether a late ping keeps a waiter from a connection, or another host from room.
    fn is_in_the_way(&self, now: Time, common: &Common<P>) -> bool {
        let room_is_wanted = common.ledger().is_some_and(|ledger| ledger.hints.wants_room());
        room_is_wanted || self.waiting() > self.on_its_way(now, &common.limits)
    }

    /// Has pings stopped: a late one that keeps a waiter from a connection, or all when their
    /// answers are not needed any more. One whose connection is found dead is stopped by `kill`.
    pub(super) fn stop_pings(&self, section: &mut Section<'_, P>) {
        let pings = self.pings();
        if pings.is_empty() || (pings.late() == 0 && !self.needs_no_answers()) {
            return;
        }
        let stops = |(slot, _)| self.stops_ping(slot, section.now, section.common);
        let any = pings.iter().any(stops);
        section.actions.recheck |= any;
    }

    /// Returns when a ping stops counting as on its way to waiters.
    pub(super) fn next_ping_to_count(&self, section: &Section<'_, P>) -> Time {
        if self.waiting() == 0 {
            return Time::NEVER;
        }
        self.pings().next(section.now, &section.common.limits)
    }

    /// Returns the heartbeats that a connection has missed since its last answer.
    pub(crate) fn missed_beats(&self, slot: u32) -> u32 {
        self.connections[slot].missed
    }
}
