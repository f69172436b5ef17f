//! The fast paths: a loan begins, ends, or goes to a waiter, and that is all.
//!
//! They change an entry without [`Connections::change`], and keep in step themselves what it would.

use super::Connections;
use super::entry::{Holds, State, Used};
use crate::engine::common::Common;
use crate::engine::loan::{Loan, Ticket};
use crate::engine::{CallSite, Parts};
use crate::policy::limits::Limits;
use crate::policy::reuse::Reuse;
use crate::policy::time::Time;

/// # Of exclusive connections
///
/// Each visits the entry once, and counts what it knows to change: measured.
#[allow(clippy::inline_always)]
impl<P: Parts> Connections<P> {
    /// Lends the next connection, if it may be lent as it is.
    #[inline(always)]
    pub(crate) fn lend(
        &mut self,
        now: Time,
        call_site: CallSite,
        limits: &Limits,
    ) -> Option<Loan<P>> {
        let Connections { entries, gauges, by_use, generation, trusted, .. } = self;
        let slot = match limits.reuse {
            Reuse::MostRecent => by_use.newest()?,
            Reuse::LeastRecent => by_use.oldest()?,
        };
        let entry = &mut entries[slot];
        let is_usual = entry.state == State::Idle && entry.holds == Holds::Place;
        if !is_usual || !entry.is_fit_idle(*generation, now, limits) {
            return None;
        }
        let connection = entry.take_value()?;
        by_use.leave_end(slot, entry.links);
        gauges.lend(entry.kept);
        *trusted -= 1;
        let view = entry.begin_only_lease(now, call_site);
        Some(Loan { ticket: Ticket { slot, lease: 0 }, view, connection })
    }

    /// Takes a connection back, which is idle from now on, if its return ends nothing but the loan.
    /// Returns the connection otherwise.
    #[inline(always)]
    pub(crate) fn rest(
        &mut self,
        ticket: Ticket,
        connection: P::Connection,
        now: Time,
        limits: &Limits,
    ) -> Option<P::Connection> {
        let Connections { entries, gauges, by_use, ends, generation, trusted, next_use, .. } = self;
        let Ticket { slot, lease } = ticket;
        let entry = &mut entries[slot];
        let end = now.after(limits.idle_timeout).min(entry.expires);
        if !entry.returns_alone(lease, now, limits) || !ends.covers(end) {
            return Some(connection);
        }
        gauges.rest();
        *trusted += u32::from(entry.generation == *generation);
        entry.rest(lease, connection, (now, *next_use));
        *next_use += 1;
        by_use.push(slot, entries);
        None
    }

    /// Returns whether a connection that returns may be lent to the next borrower as it is: its return ends
    /// nothing but the loan, and it need not be pinged.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Part of a hand-over: measured.
    pub(crate) fn may_hand_over(&self, ticket: Ticket, now: Time, limits: &Limits) -> bool {
        let entry = &self.entries[ticket.slot];
        entry.generation == self.generation
            && entry.returns_proven(now, limits)
            && entry.returns_alone(ticket.lease, now, limits)
    }

    /// Lends a connection that returns to the next borrower, if it [may](Self::may_hand_over) be.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Part of a hand-over: measured.
    pub(crate) fn hand_over(
        &mut self,
        ticket: Ticket,
        connection: P::Connection,
        (now, call_site): (Time, CallSite),
    ) -> Loan<P> {
        let entry = &mut self.entries[ticket.slot];
        let (lease, view) = entry.hand_over(ticket.lease, (now, self.next_use), call_site);
        self.next_use += 1;
        Loan { ticket: Ticket { lease, ..ticket }, view, connection }
    }
}

/// # Of shared connections
impl<P: Parts> Connections<P> {
    /// Returns whether the end of a lease leaves room for exactly one, which is not the connection's last.
    pub(crate) fn end_frees_one(&self, slot: u32, limits: &Limits) -> bool {
        let entry = &self.entries[slot];
        let is_full = entry.leases().len() == entry.max_leases as usize;
        is_full && entry.uses + 1 < limits.max_uses
    }

    /// Begins a lease on the next connection, if it may be given as it is and is not its last.
    pub(crate) fn lend_share(
        &mut self,
        now: Time,
        call_site: CallSite,
        common: &Common<P>,
    ) -> Option<Loan<P>> {
        let Connections { entries, gauges, by_use, ranked, generation, trusted, .. } = self;
        let ranked = ranked.as_mut()?;
        let (rank, slot) = ranked.first()?;
        let (entry, limits) = (&mut entries[slot], &common.limits);
        let is_usual = entry.holds == Holds::Place && entry.uses + 1 < limits.max_uses;
        if !is_usual || !entry.is_fit(*generation, now, limits) {
            return None;
        }
        let (was_idle, was_kept) = (entry.state == State::Idle, entry.kept);
        let (lease, view, connection) = entry.begin_lease(now, call_site, common.share);
        ranked.moves(slot, Some(rank), ranked.rank(entry));
        *trusted -= u32::from(!entry.has_room());
        ranked.count(0, 1);
        if was_idle {
            gauges.lend(was_kept);
            by_use.leave(slot, entries);
        }
        Some(Loan { ticket: Ticket { slot, lease }, view, connection })
    }

    /// Ends a lease, if that ends nothing else. Returns whether it has.
    pub(crate) fn end_share(&mut self, ticket: Ticket, now: Time, limits: &Limits) -> bool {
        let Connections {
            entries,
            gauges,
            by_use,
            ranked,
            ends,
            next_use,
            generation,
            trusted,
            ..
        } = self;
        let (Ticket { slot, lease }, Some(ranked)) = (ticket, ranked) else { return false };
        let entry = &mut entries[slot];
        let is_last = entry.leases().len() == 1;
        let end = now.after(limits.idle_timeout).min(entry.expires);
        if !entry.returns_alone(lease, now, limits) || (is_last && !ends.covers(end)) {
            return false;
        }
        let rank = ranked.rank(entry);
        *trusted -= u32::from(entry.is_trusted(*generation));
        entry.end_lease(lease, Used::Until(now, *next_use));
        entry.settle();
        *trusted += u32::from(entry.is_trusted(*generation));
        ranked.moves(slot, rank, ranked.rank(entry));
        *next_use += 1;
        ranked.count(1, 0);
        if is_last {
            gauges.rest();
            by_use.push(slot, entries);
        }
        true
    }
}
