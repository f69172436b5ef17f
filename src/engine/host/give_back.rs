//! Takes connections back: the fast path, and the slow path.

use super::HostState;
use crate::engine::connections::entry::{State, Used};
use crate::engine::{Common, Leak, Loan, Parts, Purpose, Section, Ticket};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// What [`HostState::give_back`] did.
pub(crate) enum Returned<P: Parts> {
    Idle,
    /// The connection has stayed with the host, and this share of it has to be dropped.
    Left(P::Connection),
    /// The connection is in the seat of a waiter, which has to be woken.
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
    /// It has failed, as it says itself, which makes its peers suspect.
    Failed,
    /// It is closed for another reason.
    Over(CloseReason),
}

/// # The fast path
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
        if common.is_shared() {
            return self.give_back_share(ended, now, common);
        }
        let Ended { ticket, connection, .. } = ended;
        let waiting = self.waiting() > 0;
        let concerns = !common.is_plain && self.return_concerns(ticket.slot, waiting, now, common);
        if !self.calm || concerns {
            return Returned::Unsettled(connection);
        }
        if waiting {
            return self.give_to_waiter(ticket, connection, now, common);
        }
        let unsettled = self.connections.rest(ticket, connection, now, &common.limits);
        unsettled.map_or(Returned::Idle, Returned::Unsettled)
    }

    /// Puts the connection directly into the next waiter's seat, if that concerns nobody else.
    #[inline]
    fn give_to_waiter(
        &mut self,
        ticket: Ticket,
        connection: P::Connection,
        now: Time,
        common: &Common<P>,
    ) -> Returned<P> {
        // Asked before a waiter is chosen: that uses up a turn.
        let may = self.connections.may_hand_over(ticket, now, &common.limits);
        if !may || self.handing_over_concerns(now, common) {
            return Returned::Unsettled(connection);
        }
        let HostState { connections, waiters, counters, .. } = self;
        let Some(waiters) = waiters else { return Returned::Unsettled(connection) };
        let Some((end, waiter)) = waiters.next(now) else {
            return Returned::Unsettled(connection);
        };
        let (call_site, since) = (waiter.call_site, waiter.since);
        let loan = connections.hand_over(ticket, connection, (now, call_site));
        counters.served += 1;
        counters.wait_time += now.span_since(since);
        Returned::HandedOver(waiters.serve(end, loan))
    }

    /// The same for a lease on a shared connection. After the last lease it becomes idle.
    #[inline(never)] // It would make an ordinary return longer: measured.
    fn give_back_share(
        &mut self,
        ended: Ended<P::Connection>,
        now: Time,
        common: &Common<P>,
    ) -> Returned<P> {
        if self.waiting() > 0 {
            return self.give_share_to_waiter(ended, now, common);
        }
        let Ended { ticket, connection, max_leases } = ended;
        let entry = &self.connections[ticket.slot];
        let is_last = entry.leases().len() == 1;
        let has_changed = entry.max_leases as usize != max_leases;
        let concerns = has_changed
            || common.limits.max_idle != usize::MAX
            || (is_last && self.return_concerns(ticket.slot, false, now, common))
            || self.is_asked_for(now, common);
        if self.calm && !concerns && self.connections.end_share(ticket, now, &common.limits) {
            Returned::Left(connection)
        } else {
            Returned::Unsettled(connection)
        }
    }

    /// A waiter takes the lease over.
    #[inline(never)] // It would make the end of a lease longer: measured.
    fn give_share_to_waiter(
        &mut self,
        ended: Ended<P::Connection>,
        now: Time,
        common: &Common<P>,
    ) -> Returned<P> {
        let Ended { ticket, connection, max_leases } = ended;
        let has_changed = self.connections[ticket.slot].max_leases as usize != max_leases;
        let concerns = has_changed
            || !self.connections.end_frees_one(ticket.slot, &common.limits)
            || self.is_asked_for(now, common);
        if !self.calm || concerns {
            return Returned::Unsettled(connection);
        }
        self.give_to_waiter(ticket, connection, now, common)
    }

    /// Returns whether a return brings more than the end of the loan: another host may take the
    /// connection, or too many are idle.
    fn return_concerns(&mut self, slot: u32, waiting: bool, now: Time, common: &Common<P>) -> bool {
        let limits = &common.limits;
        if self.is_asked_for(now, common) {
            return true;
        }
        let parks = self.connections.free() < limits.max_idle_per_host
            && limits.max_idle == usize::MAX
            && self.is_listed_before(now);
        !(waiting || parks && self.covers_beat(slot, now, limits))
    }

    /// Returns whether handing a connection over brings more: what is idle for those who wait may be
    /// one too many once nobody does; the budget is to hear that one less waits; or it is noted who
    /// does.
    #[inline]
    fn handing_over_concerns(&mut self, now: Time, common: &Common<P>) -> bool {
        let limits = &common.limits;
        self.connections.free() > 0
            || limits.deadlock_after != Span::FOREVER
            || self.changes_note_by_serving(now, common)
            || !self.covers_leak(now, limits)
    }
}

/// # The slow path
impl<P: Parts> HostState<P> {
    /// Takes back a connection.
    pub(crate) fn returned(&mut self, loan: Loan<P>, how: Use, section: &mut Section<'_, P>) {
        let slot = loan.ticket.slot;
        self.end_lease(loan, how, section);
        match how {
            Use::FoundDead => {
                self.suspect_peers(slot, section.now);
                self.kill(slot, CloseReason::Discarded, section);
            }
            Use::Failed => {
                self.suspect_peers(slot, section.now);
                self.kill(slot, CloseReason::NotOpen, section);
            }
            Use::Over(reason) => self.end(slot, reason, section),
            Use::Ended { max_leases } => {
                self.note_max_leases(slot, max_leases);
                self.settle_used(slot, section);
            }
            Use::Unused { max_leases } => {
                self.note_max_leases(slot, max_leases);
                // That was not its last use after all.
                let entry = &self.connections[slot];
                let is_used_up = entry.uses >= section.common.limits.max_uses;
                if entry.state == State::Draining(CloseReason::Uses) && !is_used_up {
                    self.revive(slot);
                }
                self.settle_or_give_up(slot, section);
            }
            Use::NeedsReset => self.reset_or_close(slot, section),
            Use::LookedAt => self.settle(slot, section),
        }
    }

    /// A connection that was not used is as it was.
    fn settle_or_give_up(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let may_stay = self.reason_to_close(slot, section).is_none();
        if !(may_stay && self.gives_up(slot, section)) {
            self.settle(slot, section);
        }
    }

    /// The same for one that was used: its heartbeat may be overdue.
    fn settle_used(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let may_stay = self.reason_to_close(slot, section).is_none();
        let is_gone = may_stay
            && (self.gives_up(slot, section)
                || (self.is_overdue(slot, section) && self.beat_first(slot, section)));
        if !is_gone {
            self.settle(slot, section);
        }
    }

    /// Returns whether the heartbeat of an exclusive connection whose use has ended is overdue. A
    /// suspect is pinged in any case.
    fn is_overdue(&self, slot: u32, section: &Section<'_, P>) -> bool {
        let entry = &self.connections[slot];
        !section.common.is_shared()
            && !entry.pinged
            && !entry.is_suspect(self.connections.generation())
            && entry.returns_overdue(section.now, &section.common.limits)
    }

    /// Pings a connection that returns, before anything else: one that goes from borrower to borrower
    /// would never be pinged. Returns false if it has to wait for its turn.
    fn beat_first(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        if self.waiting() > 0 {
            self.begin_ping(slot, Purpose::Health, true, section);
        } else if !self.may_beat_more(&section.common.limits) {
            return false;
        } else if let Some(reason) = self.reason_not_to_ask(slot, section) {
            self.drain(slot, reason, section);
        } else {
            self.begin_ping(slot, Purpose::Heartbeat, false, section);
        }
        true
    }

    /// Ends a lease, and puts an exclusive connection into its entry. A share of a shared one is
    /// dropped later.
    fn end_lease(&mut self, loan: Loan<P>, how: Use, section: &mut Section<'_, P>) {
        let Loan { ticket: Ticket { slot, lease }, connection, .. } = loan;
        let shared = section.common.is_shared();
        let used = self.used(how, section);
        let mut share = None;
        let (id, ended) = self.connections.change(slot, |entry| {
            let lease = entry.end_lease(lease, used);
            if shared {
                share = Some(connection);
            } else {
                entry.put_back(connection);
            }
            (entry.id, lease)
        });
        section.actions.unused.shares.extend(share);
        if let Some(lease) = ended.filter(|lease| lease.reported) {
            section.actions.leaks.push(Leak::Back { id, lease });
        }
        if self.dials.pace().is_troubled() && matches!(how, Use::Ended { .. } | Use::NeedsReset) {
            let used_for = ended.map(|lease| section.now.span_since(lease.since));
            self.dials.pace_mut().returned(used_for.unwrap_or(Span::ZERO), section.now);
        }
        if self.connections[slot].doubted {
            // It may be pinged now, which was not possible before.
            self.rare().pings.suspect();
        }
    }

    /// What a use that ended so means for the connection.
    fn used(&mut self, how: Use, section: &Section<'_, P>) -> Used {
        let now = section.common.idle_stamp(section.now);
        match how {
            Use::Unused { .. } => Used::Not,
            Use::LookedAt => Used::LookedAt,
            Use::Ended { .. } | Use::NeedsReset => Used::Until(now, self.connections.take_use()),
            // A connection that was found dead does not count as returned.
            Use::FoundDead | Use::Failed | Use::Over(_) => Used::ForTheLastTime(now),
        }
    }

    /// Notes how many leases a shared connection takes now: at least one, or it would not be open.
    pub(super) fn note_max_leases(&mut self, slot: u32, max_leases: usize) {
        let max = u32::try_from(max_leases).unwrap_or(u32::MAX).max(1);
        if self.connections[slot].max_leases != max {
            self.connections.change(slot, |entry| entry.set_max_leases(max));
            self.dials.expect_leases(max);
        }
    }

    /// Returns how many leases the connection takes, as last reported: one if it is exclusive.
    #[inline]
    pub(crate) fn max_leases(&self, slot: u32) -> u32 {
        self.connections[slot].max_leases
    }

    /// Returns whether a shared connection that takes this many leases now covers its current ones.
    pub(crate) fn takes_its_leases(&mut self, slot: u32, max_leases: usize) -> bool {
        self.note_max_leases(slot, max_leases);
        self.connections[slot].leases().len() <= max_leases
    }
}
