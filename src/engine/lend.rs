//! Lends connections: the fast path, and the slow path.

use super::entry::{Entry, Holds, State};
use super::gauges::{Gauges, change};
use super::leases::Lease;
use super::{Borrower, CallSite, Common, HostState, Loan, LoanView, Parts, Section, Ticket};
use crate::policy::close_reason::CloseReason;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::{Span, Time};

fn clipped(uses: u64) -> u32 {
    u32::try_from(uses).unwrap_or(u32::MAX)
}

/// Records a lease that begins now, on an entry that has room. Returns its number.
#[inline]
fn begin_lease<P: Parts>(
    entry: &mut Entry<P>,
    gauges: &mut Gauges,
    (since, call_site): (Time, CallSite),
) -> (u32, LoanView) {
    change(entry, gauges, |entry| entry.state = State::InUse);
    entry.uses += 1;
    let joined = !entry.leases.is_empty();
    let nth = clipped(entry.uses);
    let lease = Lease { since, call_site, nth, joined, reported: false };
    (entry.leases.begin(lease), entry.loan_view(since))
}

#[allow(clippy::unnecessary_box_returns)] // It stays in its box from its dial to its close.
impl<P: Parts> HostState<P> {
    /// Lends the next connection, if that is all there is to do. This is all of a hit.
    ///
    /// No waiter is overtaken: while there are waiters, no entry is fit.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn lend(
        &mut self,
        now: Time,
        call_site: CallSite,
        common: &Common<P>,
    ) -> Option<Loan<P>> {
        self.lend_as(now, call_site, common, |loan| loan)
    }

    /// The same. The loan is put into its final form where it is made: moving it costs as much as the rest, because it
    /// is written field by field and read in wider pieces. `form` runs under the lock and must not call user code.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Measured.
    pub(crate) fn lend_as<T>(
        &mut self,
        now: Time,
        call_site: CallSite,
        common: &Common<P>,
        form: impl FnOnce(Loan<P>) -> T,
    ) -> Option<T> {
        let limits = &common.limits;
        let newest = limits.reuse == Reuse::MostRecent;
        let slot = *if newest { self.ready.last() } else { self.ready.first() }?;
        if !common.is_plain {
            if common.is_shared() {
                return self.lend_share(now, call_site, common).map(form);
            }
            if self.lending_concerns(now, common) {
                return None;
            }
        }
        let entry = &mut self.entries[slot];
        let is_usual = entry.state == State::Idle && entry.holds == Holds::Place;
        if !is_usual || !entry.is_fit_idle(self.generation, now, limits) {
            return None;
        }
        let connection = entry.value.take()?;
        change(entry, &mut self.gauges, |entry| entry.state = State::InUse);
        entry.uses += 1;
        let nth = clipped(entry.uses);
        entry.leases.begin_only(Lease {
            since: now,
            call_site,
            nth,
            joined: false,
            reported: false,
        });
        let view = entry.loan_view(now);
        if newest {
            self.ready.pop();
        } else {
            self.ready.remove(0);
        }
        self.counters.reused += 1;
        self.note_peak();
        Some(form(Loan { ticket: Ticket { slot, lease: 0 }, view, connection }))
    }

    /// The same for a lease on a shared connection, which stays in its entry.
    #[inline(never)] // It would make a hit longer: measured.
    fn lend_share(
        &mut self,
        now: Time,
        call_site: CallSite,
        common: &Common<P>,
    ) -> Option<Loan<P>> {
        let is_due = now >= self.look_at || self.gauges.draining > 0;
        if is_due || self.is_stranded() || self.lending_concerns(now, common) {
            return None;
        }
        let slot = self.slot_to_lend(now, common)?;
        // After its last use it drains.
        if self.entries[slot].uses + 1 >= common.limits.max_uses {
            return None;
        }
        self.counters.reused += 1;
        let loan = self.begin(slot, (now, call_site), common);
        if !self.entries[slot].has_room() {
            self.leave_ready(slot);
        }
        Some(loan)
    }

    /// Returns whether lending affects more than the loan: the minimum idle has to be restored,
    /// `warm` has asked for more connections, an idle connection counted across hosts is taken, or
    /// maintenance has to watch the loan.
    fn lending_concerns(&self, now: Time, common: &Common<P>) -> bool {
        let limits = &common.limits;
        let is_low = || self.idle_here(common) <= limits.min_idle_per_host || self.is_stranded();
        let restores = limits.min_idle_per_host > 0 && is_low();
        let watched =
            limits.leak_after != Span::FOREVER && now.after(limits.leak_after) < self.look_at;
        // With one more in use, one more may be idle; and if the caps now leave no room, the
        // request of `warm` ends.
        let warms = self.floor > 0;
        restores || warms || watched || limits.max_idle != usize::MAX
    }

    #[inline]
    fn note_peak(&mut self) {
        if self.gauges.in_use > self.counters.peak_in_use {
            self.counters.peak_in_use = self.gauges.in_use;
        }
    }

    /// Lends a connection that needs no ping, on the slow path.
    pub(crate) fn lend_any(
        &mut self,
        borrower: Borrower,
        section: &mut Section<'_, P>,
    ) -> Option<Loan<P>> {
        if self.phase == super::Phase::Closed {
            return None;
        }
        self.unstrand();
        self.close_expired(section);
        let slot = self.slot_to_lend(section.now, section.common)?;
        self.counters.reused += 1;
        Some(self.grant(slot, borrower, section))
    }

    /// Returns the entry for the next lease, if one may be lent as it is.
    pub(super) fn slot_to_lend(&self, now: Time, common: &Common<P>) -> Option<u32> {
        self.choose(common, |slot| self.entries[*slot].is_fit(self.generation, now, &common.limits))
    }

    /// Returns the next entry that has room and satisfies the condition.
    pub(super) fn choose(&self, common: &Common<P>, is_it: impl Fn(&u32) -> bool) -> Option<u32> {
        let limits = &common.limits;
        let newest = limits.reuse == Reuse::MostRecent;
        let mut ready = self.ready.iter().copied().filter(|slot| is_it(slot));
        if !common.is_shared() {
            return if newest { ready.next_back() } else { ready.next() };
        }
        let (id, leases) =
            (|slot: &u32| self.entries[*slot].id, |slot: &u32| self.entries[*slot].leases.len());
        match limits.spread {
            Spread::OldestFirst => ready.min_by_key(id),
            // Of several with equally few leases, the one that a pool of exclusive connections
            // would lend.
            Spread::LeastLoaded if newest => ready.rev().min_by_key(leases),
            Spread::LeastLoaded => ready.min_by_key(leases),
        }
    }

    /// Gives a lease on an entry that has room.
    pub(super) fn grant(
        &mut self,
        slot: u32,
        borrower: Borrower,
        section: &mut Section<'_, P>,
    ) -> Loan<P> {
        let loan = self.begin(slot, (section.now, borrower.call_site), section.common);
        if let Some(task) = borrower.task {
            self.note_holder(loan.ticket, task);
        }
        let entry = &self.entries[slot];
        let is_used_up = entry.uses >= section.common.limits.max_uses && section.common.is_shared();
        if !entry.has_room() {
            self.leave_ready(slot);
        }
        if is_used_up {
            self.drain(slot, CloseReason::Uses, section);
        }
        loan
    }

    /// Starts a lease; the caller handles what follows for the entry. The borrower of an exclusive
    /// connection gets the connection, that of a shared one a share.
    pub(super) fn begin(
        &mut self,
        slot: u32,
        beginning: (Time, CallSite),
        common: &Common<P>,
    ) -> Loan<P> {
        let entry = &mut self.entries[slot];
        let (lease, view) = begin_lease(entry, &mut self.gauges, beginning);
        let loan = match common.share {
            None => {
                let connection = entry.value.take().expect("an idle connection is in its entry");
                Loan { ticket: Ticket { slot, lease }, view, connection }
            }
            Some(share) => {
                let value = entry.value.as_ref().expect("a shared connection stays in its entry");
                let connection = share(value);
                Loan { ticket: Ticket { slot, lease }, view, connection }
            }
        };
        self.note_peak();
        loan
    }

    /// A connection that was lent without a wait was found not open: the lend does not count.
    pub(crate) fn unlend(&mut self) {
        self.counters.reused -= 1;
    }

    /// Puts a connection that returned directly into the oldest waiter's seat. There must be a
    /// waiter.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        connection: P::Connection,
        ticket: Ticket,
        now: Time,
    ) -> Option<P::Waker> {
        let HostState { entries, waiters, counters, next_turn, .. } = self;
        let waiters = waiters.as_mut()?;
        let Ticket { slot, lease } = ticket;
        let entry = &mut entries[slot];
        waiters.resolve_oldest(|waiter| {
            counters.served += 1;
            counters.wait_time += now.span_since(waiter.since);
            entry.uses += 1;
            entry.idle_since = now;
            entry.turn = *next_turn;
            *next_turn += 1;
            entry.leases.end(lease);
            let (call_site, nth) = (waiter.call_site, clipped(entry.uses));
            debug_assert!(waiter.task.is_none(), "nobody notes who waits");
            let new = Lease { since: now, call_site, nth, joined: false, reported: false };
            let new = entry.leases.begin(new);
            debug_assert_eq!(lease, new, "an exclusive connection has one lease");
            let view = entry.loan_view(now);
            super::Seat::Served(Loan { ticket, view, connection })
        })
    }

    /// Gives the oldest waiter a lease on this entry. There must be a waiter.
    pub(super) fn serve(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let oldest = self.waiters.as_mut().and_then(|waiters| waiters.front());
        let Some((since, borrower)) = oldest.map(|waiter| (waiter.since, waiter.borrower())) else {
            return;
        };
        let loan = self.grant(slot, borrower, section);
        self.end_wait(borrower.task);
        // It may be the one that was on the way to dial for the others.
        self.unstrand();
        self.counters.served += 1;
        self.counters.wait_time += section.now.span_since(since);
        if let Some(waiters) = &mut self.waiters {
            section.actions.wake.extend(waiters.resolve_oldest(|_| super::Seat::Served(loan)));
        }
    }

    /// Gives waiters the connections that may be lent as they are.
    pub(super) fn serve_waiters(&mut self, section: &mut Section<'_, P>) {
        while self.waiting() > 0 {
            let Some(slot) = self.slot_to_lend(section.now, section.common) else { return };
            self.serve(slot, section);
        }
    }
}
