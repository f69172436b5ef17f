//! Decides where a returned connection goes: the fast path, and the slow path.

use std::mem;

use super::entry::{Entry, Holds, State};
use super::gauges::change;
use super::{Common, HostState, Loan, Parts, Phase, Purpose, Section, Ticket};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// What [`HostState::give_back`] did.
pub(crate) enum Returned<P: Parts> {
    Idle,
    /// The connection has stayed with the host, and this share of it has to be dropped.
    Left(P::Connection),
    /// The connection is in the seat of the oldest waiter, which has to be woken.
    HandedOver(Option<P::Waker>),
    /// Nothing: take the slow path, [`HostState::returned`].
    Unsettled(P::Connection),
}

/// A use of an open connection that has ended.
pub(crate) struct Ended<T> {
    pub(crate) ticket: Ticket,
    pub(crate) connection: T,
    /// How many leases it takes now.
    pub(crate) max_leases: usize,
}

/// How a use of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It was used and is open. For a shared connection, how many leases it takes now.
    Ended { max_leases: usize },
    /// The same for an exclusive connection whose borrower left state to undo.
    NeedsReset,
    /// It was lent but not used: the lending does not count.
    Unused { max_leases: usize },
    /// It was only inspected, and returns to its place.
    LookedAt,
    /// Its borrower found it dead, which makes its peers suspect.
    FoundDead,
    /// It is closed for another reason.
    Over(CloseReason),
}

/// Returns whether the return of this loan has to be reported, because the loan was.
fn is_watched<P: Parts>(entry: &Entry<P>, lease: u32) -> bool {
    entry.leases.get(lease).is_some_and(|lease| lease.reported)
}

impl<P: Parts> HostState<P> {
    /// Takes back a connection that was used and is open, if all there is to do is make it idle or
    /// hand it to a waiter. This is all of an ordinary return or hand-over.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Measured.
    pub(crate) fn give_back(
        &mut self,
        ended: Ended<P::Connection>,
        now: Time,
        common: &Common<P>,
    ) -> Returned<P> {
        let limits = &common.limits;
        let waiting = self.waiting() > 0;
        let slot = ended.ticket.slot;
        if !common.is_plain {
            if common.is_shared() {
                return self.give_back_share(ended, now, common);
            }
            if self.return_concerns(slot, waiting, now, common) {
                return Returned::Unsettled(ended.connection);
            }
        }
        let concerns_others = self.phase != Phase::Open
            || self.gauges.places > self.max
            || (!waiting && now.after(limits.idle_timeout) < self.look_at);
        let Ended { ticket, connection, .. } = ended;
        if concerns_others {
            return Returned::Unsettled(connection);
        }
        let HostState { entries, gauges, ready, generation, look_at, next_turn, .. } = self;
        let entry = &mut entries[slot];
        let is_usual = entry.state == State::InUse
            && entry.holds == Holds::Place
            && !entry.doubted
            && entry.is_over(now, limits).is_none()
            && (common.is_plain || !is_watched(entry, ticket.lease));
        if !is_usual {
            return Returned::Unsettled(connection);
        }
        if waiting {
            let must_ping = entry.generation != *generation || limits.ping_after == Span::ZERO;
            return if must_ping {
                Returned::Unsettled(connection)
            } else {
                self.give_to_waiter(connection, ticket, now, common)
            };
        }
        if entry.expires < *look_at {
            return Returned::Unsettled(connection);
        }
        change(entry, gauges, |entry| entry.state = State::Idle);
        entry.leases.end(ticket.lease);
        (entry.idle_since, entry.turn, entry.kept) = (now, *next_turn, false);
        // The slot was empty while the loan was out.
        mem::forget(entry.value.replace(connection));
        *next_turn += 1;
        ready.push(slot);
        Returned::Idle
    }

    /// The same for a lease on a shared connection while there are no waiters. After the last lease
    /// it becomes idle.
    #[inline(never)] // It would make an ordinary return longer: measured.
    fn give_back_share(
        &mut self,
        ended: Ended<P::Connection>,
        now: Time,
        common: &Common<P>,
    ) -> Returned<P> {
        let Ended { ticket: Ticket { slot, lease }, connection, max_leases } = ended;
        let limits = &common.limits;
        let entry = &self.entries[slot];
        let is_usual = entry.state == State::InUse
            && entry.holds == Holds::Place
            && entry.max_leases as usize == max_leases
            && !entry.doubted
            && entry.is_over(now, limits).is_none()
            && !is_watched(entry, lease);
        let is_last = entry.leases.len() == 1;
        let is_noted = now.after(limits.idle_timeout).min(entry.expires) >= self.look_at;
        let concerns_others = self.waiting() > 0
            || self.phase != Phase::Open
            || self.gauges.places > self.max
            || self.gauges.draining + self.gauges.closing > 0
            // A connection to be made in advance may be dialed now.
            || self.floor > 0
            || self.failing().is_some()
            || limits.max_idle != usize::MAX
            || self.is_asked_for(now, common)
            || (is_last && (!is_noted || self.return_concerns(slot, false, now, common)));
        if !is_usual || concerns_others {
            return Returned::Unsettled(connection);
        }
        self.leave_ready(slot);
        let turn = self.next_turn;
        self.change(slot, |entry| {
            entry.leases.end(lease);
            (entry.idle_since, entry.turn, entry.kept) = (now, turn, false);
            if is_last {
                entry.state = State::Idle;
            }
        });
        self.next_turn += 1;
        if self.entries[slot].has_room() {
            self.ready.push(slot);
        }
        Returned::Left(connection)
    }

    /// Hands the connection over, if that affects only the waiter that gets it.
    #[inline]
    fn give_to_waiter(
        &mut self,
        connection: P::Connection,
        ticket: Ticket,
        now: Time,
        common: &Common<P>,
    ) -> Returned<P> {
        // Those who were woken to dial have not looked yet, the next dial is due at another time where another one waits
        // for longest, what is idle for those who wait may be one too many once nobody does, the budget is to hear that one
        // less waits, or it is noted who does.
        let is_healthy = self
            .rare
            .as_ref()
            .is_none_or(|rare| !rare.stranded && rare.failing.is_none() && rare.tasks.is_none());
        if !is_healthy || !self.ready.is_empty() || self.changes_note_by_serving(now, common) {
            return Returned::Unsettled(connection);
        }
        Returned::HandedOver(self.hand_over(connection, ticket, now))
    }

    /// Returns whether a return affects more than the loan: another host may take the connection,
    /// too many are idle, or a deadline has to be noted.
    fn return_concerns(&self, slot: u32, waiting: bool, now: Time, common: &Common<P>) -> bool {
        let limits = &common.limits;
        if self.is_asked_for(now, common) {
            return true;
        }
        // A shared connection's heartbeat is due before this, and was noted while it was in use.
        let beat = self.entries[slot].beat_after(now, limits);
        // With one more than the minimum idle, the oldest may reach the idle time-out.
        let is_beyond =
            limits.min_idle_per_host > 0 && self.gauges.idle as usize == limits.min_idle_per_host;
        let parks = beat >= self.look_at
            && !is_beyond
            && self.ready.len() < limits.max_idle_per_host
            && limits.max_idle == usize::MAX
            && self.is_listed_before(now);
        !waiting && !parks
    }

    /// Takes back a connection on the slow path.
    pub(crate) fn returned(&mut self, loan: Loan<P>, how: Use, section: &mut Section<'_, P>) {
        let slot = loan.ticket.slot;
        self.end_lease(loan, how, section);
        match how {
            Use::FoundDead => {
                self.suspect_peers(slot);
                self.kill(slot, CloseReason::Discarded, section);
            }
            Use::Over(reason) => self.end(slot, reason, section),
            Use::Ended { max_leases } => {
                self.note_max_leases(slot, max_leases);
                self.settle_or_give_up(slot, section);
            }
            Use::Unused { max_leases } => {
                self.note_max_leases(slot, max_leases);
                // That was not its last use after all.
                let is_used_up = self.entries[slot].uses >= section.common.limits.max_uses;
                if self.entries[slot].state == State::Draining(CloseReason::Uses) && !is_used_up {
                    self.revive(slot);
                }
                self.settle_or_give_up(slot, section);
            }
            Use::NeedsReset => self.reset_or_close(slot, section),
            Use::LookedAt => self.settle(slot, section),
        }
    }

    fn settle_or_give_up(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let may_stay = self.reason_to_close(slot, section).is_none();
        if !(may_stay && self.gives_up(slot, section)) {
            self.settle(slot, section);
        }
    }

    /// Ends a lease, and puts the value of an exclusive connection into its entry. A share of a
    /// shared one is dropped later.
    fn end_lease(&mut self, loan: Loan<P>, how: Use, section: &mut Section<'_, P>) {
        let (now, turn) = (section.common.idle_stamp(section.now), self.next_turn);
        let shared = section.common.is_shared();
        let Ticket { slot, lease: number } = loan.ticket;
        self.leave_ready(slot);
        let unused = self.change(slot, |entry| {
            if let Some(lease) = entry.leases.end(number).filter(|lease| lease.reported) {
                section.actions.leaks.push(super::Leak::Back { id: entry.id, lease });
            }
            if matches!(how, Use::Unused { .. }) {
                entry.uses -= 1;
            }
            if !matches!(how, Use::Unused { .. } | Use::LookedAt) {
                entry.idle_since = now;
                entry.turn = turn;
                entry.kept = false;
            }
            if shared {
                return Some(loan.connection);
            }
            entry.value = Some(loan.connection);
            None
        });
        if self.entries[slot].doubted {
            // It may be pinged now, which was not possible before.
            self.rare().pings_suspects = Some(Purpose::Health);
        }
        // A connection that was found dead does not count as returned.
        self.next_turn += u64::from(matches!(how, Use::Ended { .. } | Use::NeedsReset));
        section.actions.unused.shares.extend(unused);
    }

    /// Notes how many leases a shared connection takes now: at least one, or it would not be open.
    pub(super) fn note_max_leases(&mut self, slot: u32, max_leases: usize) {
        let max = u32::try_from(max_leases).unwrap_or(u32::MAX).max(1);
        if self.entries[slot].max_leases == max {
            return;
        }
        self.change(slot, |entry| entry.max_leases = max);
        self.carries = max;
        if !self.entries[slot].has_room() {
            self.leave_ready(slot);
        }
    }

    /// Returns how many leases the connection takes, as last reported: one if it is exclusive.
    #[inline]
    pub(crate) fn max_leases(&self, slot: u32) -> u32 {
        self.entries[slot].max_leases
    }

    /// Returns whether a shared connection that takes this many leases now covers its current ones.
    pub(crate) fn takes_its_leases(&mut self, slot: u32, max_leases: usize) -> bool {
        self.note_max_leases(slot, max_leases);
        if self.entries[slot].has_room() {
            self.enter_ready(slot);
        }
        self.entries[slot].leases.len() <= max_leases
    }

    /// Decides where a connection goes whose use has ended, with the value in its entry: it serves
    /// a waiter, becomes idle, or is closed.
    pub(super) fn settle(&mut self, slot: u32, section: &mut Section<'_, P>) {
        if self.entries[slot].state == State::InUse && self.entries[slot].leases.is_empty() {
            self.change(slot, |entry| entry.state = State::Idle);
        }
        if let Some(reason) = self.reason_to_close(slot, section) {
            self.drain(slot, reason, section);
        } else if self.entries[slot].has_room() {
            self.enter_ready(slot);
            self.serve_waiters(section);
            self.close_if_unwanted(slot, section);
        }
    }

    /// Returns the reason why it may not stay, if there is one. The order of the checks is the
    /// precedence of the reasons.
    pub(super) fn reason_to_close(
        &self,
        slot: u32,
        section: &Section<'_, P>,
    ) -> Option<CloseReason> {
        let entry = &self.entries[slot];
        // Open connections take precedence over dials.
        let over_cap = self.gauges.staying() > self.max;
        match entry.state {
            State::Draining(reason) => Some(reason),
            _ if self.phase == Phase::Closed => Some(CloseReason::PoolClosed),
            _ => entry
                .is_over(section.now, &section.common.limits)
                .or(over_cap.then_some(CloseReason::OverCap)),
        }
    }

    /// Returns how many idle connections are not being pinged.
    pub(super) fn idle_here(&self, common: &Common<P>) -> usize {
        if !common.is_shared() {
            return self.ready.len();
        }
        self.ready.iter().filter(|slot| self.entries[**slot].state == State::Idle).count()
    }

    /// Closes connections that became idle for waiters and are not needed any more.
    pub(super) fn close_unwanted(&mut self, section: &mut Section<'_, P>) {
        let most = match self.phase {
            Phase::Open => section.common.limits.max_idle_per_host,
            Phase::Orphaned | Phase::Closed => 0,
        };
        if self.ready.len() <= most {
            return;
        }
        let is_idle = |slot: &u32| self.entries[*slot].state == State::Idle;
        let idle: Vec<u32> = self.ready.iter().copied().filter(is_idle).collect();
        for slot in idle.iter().take(idle.len().saturating_sub(most)) {
            self.close_if_unwanted(*slot, section);
        }
    }

    /// Closes the connection if it has become idle and is not needed.
    fn close_if_unwanted(&mut self, slot: u32, section: &mut Section<'_, P>) {
        if self.entries[slot].state != State::Idle || self.waiting() > 0 {
            return;
        }
        if self.phase == Phase::Orphaned {
            self.drain(slot, CloseReason::PoolClosed, section);
        } else if self.idle_here(section.common) > section.common.limits.max_idle_per_host {
            self.drain(slot, CloseReason::OverIdleLimit, section);
        }
    }
}
