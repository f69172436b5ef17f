//! Other limits: from now on they hold for what exists, too.

use super::HostState;
use super::control::is_open;
use crate::engine::connections::entry::{Entry, State};
use crate::engine::{Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::Span;

impl<P: Parts> HostState<P> {
    /// The limits of the section hold from now on, instead of the old ones.
    ///
    /// Connections that are too old, or of which there are too many, are closed: idle ones at once,
    /// the others as they return. Waiters keep their deadlines, and dials, pings and closes in
    /// flight their time limits.
    pub(crate) fn adapt(&mut self, old: &Limits, section: &mut Section<'_, P>) {
        let limits = &section.common.limits;
        if let Some(waiters) = &mut self.waiters {
            waiters.set_order(limits.order);
        }
        self.connections.rerank(limits);
        self.set_window(limits.advice);
        self.change_lives(old, section);
        self.close_used_up(section);
        self.note_all_times(section);
        self.membership.set_usual_max(limits.max_per_host);
        self.fit_cap(section);
        self.report_anew(section);
    }

    /// Gives each connection the lifetime that it would have been made with.
    fn change_lives(&mut self, old: &Limits, section: &Section<'_, P>) {
        let limits = &section.common.limits;
        let lives = |limits: &Limits| (limits.max_lifetime, limits.lifetime_jitter.to_bits());
        if lives(old) == lives(limits) {
            return;
        }
        let has_one = |entry: &Entry<P>| entry.state != State::Dialing;
        for slot in self.connections.slots(has_one) {
            let life = section.life_of(self.connections[slot].id);
            self.connections.change(slot, |entry| entry.live_until(entry.created.after(life)));
        }
    }

    /// Closes what may not be lent any more, now or when it returns.
    fn close_used_up(&mut self, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        let may_be_lent = |state| is_open(state) || state.may_come_back();
        let is_used_up =
            |entry: &Entry<P>| may_be_lent(entry.state) && entry.is_over(now, limits).is_some();
        for slot in self.connections.slots(is_used_up) {
            if let Some(reason) = self.connections[slot].is_over(now, limits) {
                self.drain(slot, reason, section);
            }
        }
    }

    fn note_all_times(&mut self, section: &mut Section<'_, P>) {
        for slot in self.connections.slots(|_| true) {
            self.note_times(slot, section);
        }
        let after = section.common.limits.leak_after;
        if after == Span::FOREVER {
            return;
        }
        let leases = self.connections.iter().flat_map(|(_, entry)| entry.leases().iter());
        let first =
            leases.filter(|lease| !lease.reported).map(|lease| lease.since.after(after)).min();
        if let Some(first) = first {
            self.rare().leaks.note(first);
        }
    }
}
