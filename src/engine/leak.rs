//! Loans that are held for long: each is reported once, and once more when it comes back.

use super::effects::{Effects, Leak};
use super::time::{Span, Time};
use super::{Engine, Parts};

impl<P: Parts> Engine<P> {
    #[inline]
    pub(super) fn watches_loans(&self) -> bool {
        self.limits.leak_after != Span::FOREVER
    }

    /// Sees to it that upkeep looks when a loan that begins now is held for long. Says whether upkeep
    /// has to be told.
    #[inline]
    pub(super) fn watch_loan(&mut self, at: usize, now: Time) -> bool {
        if !self.watches_loans() {
            return false;
        }
        let look = now.after(self.limits.leak_after);
        let noted = self.hosts[at].scheduled.is_some_and(|scheduled| scheduled <= look);
        !noted && self.look_at(at, look)
    }

    /// Reports the loans that are held for long by now.
    pub(super) fn report_leaks(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        if !self.watches_loans() {
            return;
        }
        let after = self.limits.leak_after;
        let host = &mut self.hosts[at];
        let overdue = host.loans.report(after, now).into_iter();
        fx.rest().leaks.extend(overdue.map(|loan| (host.shell.clone(), Leak::StillOut(loan))));
    }

    /// A loan has ended.
    pub(super) fn note_end_of_loan(&mut self, at: usize, loan: u32, fx: &mut Effects<P>) {
        if !self.watches_loans() {
            return;
        }
        let host = &mut self.hosts[at];
        if let Some(loan) = host.loans.end(loan).filter(|loan| loan.reported) {
            fx.rest().leaks.push((host.shell.clone(), Leak::Back(loan)));
        }
    }
}
