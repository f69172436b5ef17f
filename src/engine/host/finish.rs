//! The end of every section on the slow path.

use super::HostState;
use crate::engine::{Parts, Section};
use crate::policy::time::Time;

impl<P: Parts> HostState<P> {
    /// Starts what waiters need, reports changes to the budget, and notes the next deadline.
    /// Returns that deadline if it has become earlier: the caller moves the host in the schedule.
    pub(crate) fn finish(&mut self, section: &mut Section<'_, P>) -> Option<Time> {
        self.give_places(section.common);
        self.give_up_late_closes(section.now);
        self.give_up_unstopped(section.now);
        self.judge_dials(section);
        self.meet_demand(section);
        self.close_unwanted(section);
        self.tell_owed(section);
        self.account(section);
        if self.take_back_aged(section) {
            self.account(section);
        }
        if self.cut_off_slow(section) {
            self.account(section);
        }
        self.tell_of_failure(section);
        if !self.is_to_be_dialed(section.now, &section.common.limits) && !self.is_short_to_spare() {
            // Nothing is on its way to the callers of `warm`.
            self.wake_warm(section);
        }
        self.stop_pings(section);
        self.look_for_deadlock(section);
        self.drop_empty_queue();
        self.tell_overload(section);
        self.watch_size(section);
        section.actions.forget = self.is_unused(section.now);
        self.note_calm();
        self.note_permit_look(section.now);
        self.reschedule(section)
    }

    fn drop_empty_queue(&mut self) {
        if self.waiting() == 0 && self.waiters.is_some() {
            self.waiters = None;
        }
    }
}
