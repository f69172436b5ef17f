//! Lends connections: the fast path, and the slow path.

use super::HostState;
use crate::engine::connections::entry::Entry;
use crate::engine::queue::order::End;
use crate::engine::{Borrower, CallSite, Common, Loan, Parts, Section, Ticket};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Time;

/// # The fast path
impl<P: Parts> HostState<P> {
    /// Lends the next connection, if that is all there is to do. This is all of a hit.
    ///
    /// No waiter is overtaken: while there are waiters, no connection is fit.
    ///
    /// The loan is put into its final form where it is made: moving it costs as much as the rest, because it is
    /// written field by field and read in wider pieces. `form` runs under the lock and must not call user code.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Measured.
    pub(crate) fn lend_as<T>(
        &mut self,
        now: Time,
        call_site: CallSite,
        common: &Common<P>,
        form: impl FnOnce(Loan<P>) -> T,
    ) -> Option<T> {
        if !self.calm {
            return None;
        }
        if !common.is_plain {
            if common.is_shared() {
                return self.lend_share(now, call_site, common).map(form);
            }
            if self.lending_concerns(now, common) {
                return None;
            }
        }
        let loan = self.connections.lend(now, call_site, &common.limits)?;
        self.counters.reused += 1;
        self.note_peak();
        Some(form(loan))
    }

    /// The same for a lease on a shared connection, which stays in its entry.
    #[inline(never)] // It would make a hit longer: measured.
    fn lend_share(
        &mut self,
        now: Time,
        call_site: CallSite,
        common: &Common<P>,
    ) -> Option<Loan<P>> {
        if self.lending_concerns(now, common) {
            return None;
        }
        let loan = self.connections.lend_share(now, call_site, common)?;
        self.counters.reused += 1;
        self.note_peak();
        Some(loan)
    }

    /// Returns whether lending brings more than the loan: the minimum idle has to be restored, an
    /// idle connection counted across hosts is taken, or the loan is the first that maintenance has
    /// to watch.
    #[inline]
    fn lending_concerns(&mut self, now: Time, common: &Common<P>) -> bool {
        let limits = &common.limits;
        let is_low = || {
            self.connections.with_room() <= limits.min_idle_per_host
                && self.connections.lending_fills()
        };
        (limits.min_idle_per_host > 0 && is_low())
            || limits.max_idle != usize::MAX
            || !self.covers_leak(now, limits)
    }

    #[inline]
    fn note_peak(&mut self) {
        let in_use = self.connections.gauges().in_use;
        if in_use > self.counters.peak_in_use {
            self.counters.peak_in_use = in_use;
        }
    }

    /// A connection that was lent without a wait was found not open: the lend does not count.
    pub(crate) fn unlend(&mut self) {
        self.counters.reused -= 1;
    }
}

/// # The slow path
impl<P: Parts> HostState<P> {
    /// Lends a connection that needs no ping.
    pub(crate) fn lend_any(
        &mut self,
        borrower: Borrower,
        section: &mut Section<'_, P>,
    ) -> Option<Loan<P>> {
        if self.membership.phase() == super::Phase::Closed {
            return None;
        }
        self.dials.unstrand();
        self.close_expired(section);
        let slot = self.slot_to_lend(section.now, section.common)?;
        self.counters.reused += 1;
        Some(self.grant(slot, borrower, section))
    }

    /// Returns the entry for the next lease, if one may be lent as it is.
    pub(super) fn slot_to_lend(&self, now: Time, common: &Common<P>) -> Option<u32> {
        self.connections.next_fit(now, &common.limits)
    }

    /// Returns the next entry that has room and satisfies the condition.
    pub(super) fn choose(
        &self,
        common: &Common<P>,
        is_it: impl Fn(&Entry<P>) -> bool,
    ) -> Option<u32> {
        self.connections.choose(common.limits.reuse, is_it)
    }

    /// Gives a lease on an entry that has room.
    pub(super) fn grant(
        &mut self,
        slot: u32,
        borrower: Borrower,
        section: &mut Section<'_, P>,
    ) -> Loan<P> {
        let limits = &section.common.limits;
        let loan = self.begin(slot, (section.now, borrower.call_site), section.common);
        self.note_leak(section.now, limits);
        if let Some(task) = borrower.task {
            self.note_holder(loan.ticket, task);
        }
        if self.connections[slot].uses >= limits.max_uses && section.common.is_shared() {
            self.drain(slot, CloseReason::Uses, section);
        }
        loan
    }

    /// Starts a lease; the caller handles what follows for the entry.
    pub(super) fn begin(
        &mut self,
        slot: u32,
        (since, call_site): (Time, CallSite),
        common: &Common<P>,
    ) -> Loan<P> {
        let begin = |entry: &mut Entry<P>| entry.begin_lease(since, call_site, common.share);
        let (lease, view, connection) = self.connections.change(slot, begin);
        self.note_peak();
        Loan { ticket: Ticket { slot, lease }, view, connection }
    }

    /// Gives the next waiter a lease on this entry. There must be a waiter.
    pub(super) fn serve(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let next = self.waiters.as_mut().and_then(|waiters| waiters.next(section.now));
        if let Some((end, _)) = next {
            self.serve_at(end, slot, section);
        }
    }

    /// Gives the waiter at this end of the queue a lease on this entry.
    pub(super) fn serve_at(&mut self, end: End, slot: u32, section: &mut Section<'_, P>) {
        let waiter = self.waiters.as_mut().and_then(|waiters| waiters.at(end));
        let Some((since, borrower)) = waiter.map(|waiter| (waiter.since, waiter.borrower())) else {
            return;
        };
        let loan = self.grant(slot, borrower, section);
        self.end_wait(borrower.task);
        // It may be the one that was on the way to dial for the others.
        self.dials.unstrand();
        self.counters.served += 1;
        self.counters.wait_time += section.now.span_since(since);
        if let Some(waiters) = &mut self.waiters {
            section.actions.wake.extend(waiters.serve(end, loan));
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
