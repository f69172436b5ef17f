//! The end of every section on the slow path.

use super::ping::Ping;
use super::{HostState, Parts, Section};
use crate::policy::time::{Span, Time};

impl<P: Parts> HostState<P> {
    /// Starts what waiters need, reports changes to the budget, and notes the next deadline.
    /// Returns that deadline if it has become earlier: the caller moves the host in the schedule.
    pub(crate) fn finish(&mut self, section: &mut Section<'_, P>) -> Option<Time> {
        if section.common.is_shared() && self.gauges.draining > 0 {
            self.give_places();
        }
        self.give_up_late_closes(section.now);
        self.meet_demand(section);
        self.close_unwanted(section);
        self.account(section);
        self.tell_of_failure(section);
        if !self.is_to_be_dialed() && !self.is_short_to_spare() {
            // Nothing is on its way to the callers of `warm`.
            self.wake_warmers(section);
        }
        self.stop_late_pings(section);
        if section.common.limits.deadlock_after != Span::FOREVER {
            self.look_for_deadlock(section);
        }
        self.shrink();
        section.actions.forget = self.is_unused(section.now);
        self.reschedule(section)
    }

    /// Leaves an obsolete look in the schedule (maintenance then finds nothing and notes the next
    /// one), so that a host whose connections come and go does not pay for it at every change.
    fn reschedule(&mut self, section: &Section<'_, P>) -> Option<Time> {
        let next = self.next_look(section);
        let is_waited_for = self.waiting() > 0;
        if next >= self.look_at {
            // A waiter may have a deadline soon after that look.
            self.look_waited_for |= is_waited_for;
            return None;
        }
        (self.look_at, self.look_waited_for) = (next, is_waited_for);
        Some(next)
    }

    /// Stops late pings: one that keeps a waiter from a connection, or all when their answers are
    /// not needed any more.
    fn stop_late_pings(&self, section: &mut Section<'_, P>) {
        let stops = |ping: &Ping| self.stops_ping(ping.slot, section.now, section.common);
        section.actions.recheck |= self.pings().iter().any(stops);
    }

    /// Drops an empty queue.
    fn shrink(&mut self) {
        if self.waiting() == 0 && self.waiters.is_some() {
            self.waiters = None;
        }
    }
}
