//! What time alone does: one list.
//!
//! Each line has when a machine is due next, and what is done then. Maintenance does it all in this
//! order, and the next look is the earliest of the times. A time may be a lower bound: then nothing
//! is due at that look, and the bound is measured again.

use super::HostState;
use crate::engine::{Parts, Section};
use crate::policy::time::Time;

type Next<P> = fn(&HostState<P>, &Section<'_, P>) -> Time;
type Due<P> = fn(&mut HostState<P>, &mut Section<'_, P>);

/// Something that happens when its time has come.
struct Timer<P: Parts> {
    next: Next<P>,
    /// Absent if the end of every section does it: see [`HostState::finish`].
    due: Option<Due<P>>,
}

impl<P: Parts> HostState<P> {
    const TIMERS: [Timer<P>; 12] = [
        // A connection has been idle for too long, or is too old.
        Timer { next: |host, _| host.connections.next_end(), due: Some(HostState::close_expired) },
        Timer { next: HostState::next_beat, due: Some(HostState::beat) },
        // A loan is held for long, or a sample is due.
        Timer { next: HostState::next_report, due: Some(HostState::report) },
        Timer { next: |host, _| host.minimum.look_at(), due: Some(HostState::look_for_permits) },
        Timer { next: HostState::next_ask, due: Some(HostState::ask_for_leases) },
        Timer { next: |host, _| host.next_deadline(), due: Some(HostState::wake_overdue) },
        Timer { next: HostState::next_dial, due: None },
        // A dial is slow, gives up its place, or its time-out is to be told.
        Timer { next: |host, _| host.dials.next(), due: None },
        Timer { next: HostState::next_ping_to_count, due: None },
        Timer { next: HostState::next_take_back, due: None },
        Timer { next: |host, _| host.next_late_close(), due: None },
        Timer { next: HostState::next_deadlock, due: None },
    ];

    /// Does what is due. The caller finishes the section, which notes the next look.
    pub(crate) fn maintain(&mut self, section: &mut Section<'_, P>) {
        // The host is not in the schedule any more.
        self.look_at = Time::NEVER;
        for timer in Self::TIMERS {
            if let Some(due) = timer.due {
                due(self, section);
            }
        }
    }

    /// Returns when maintenance has to look at the host next. The current section handles what is
    /// already due.
    pub(super) fn next_look(&self, section: &Section<'_, P>) -> Time {
        let times = Self::TIMERS.iter().map(|timer| (timer.next)(self, section));
        times.min().unwrap_or(Time::NEVER)
    }

    /// Notes the next look. Returns it if it has become earlier: the caller moves the host in the
    /// schedule.
    ///
    /// An obsolete look stays in the schedule (maintenance then finds nothing and notes the next
    /// one), so that a host whose connections come and go does not pay for it at every change. But
    /// one that is overdue moves at once.
    pub(super) fn reschedule(&mut self, section: &Section<'_, P>) -> Option<Time> {
        let next = self.next_look(section);
        let is_waited_for = self.waiting() > 0;
        let is_overdue = self.look_at <= section.now && self.membership.is_listed();
        if next >= self.look_at && !is_overdue {
            // A waiter may have a deadline soon after that look.
            self.look_waited_for |= is_waited_for;
            return None;
        }
        (self.look_at, self.look_waited_for) = (next, is_waited_for);
        Some(next)
    }

    /// If permits are missing for connections made in advance, other hosts may take the last ones
    /// meanwhile, and `warm` has to be told.
    pub(super) fn note_permit_look(&mut self, now: Time) {
        let is_asked = self.minimum.requested() > 0 || self.minimum.has_callers();
        let is_short = self.connections.gauges().dialing == 0 && self.is_short_to_spare();
        self.minimum.note_look(is_asked && is_short, now);
    }

    /// The callers of `warm` check whether permits for their dials may still come.
    fn look_for_permits(&mut self, section: &mut Section<'_, P>) {
        // The end of this section notes the next look.
        self.minimum.note_look(false, section.now);
        if self.connections.gauges().dialing == 0 {
            self.wake_warm(section);
        }
    }

    /// Returns the earliest deadline of a waiter.
    fn next_deadline(&self) -> Time {
        self.waiters.as_ref().map_or(Time::NEVER, |waiters| waiters.next_deadline())
    }

    fn wake_overdue(&mut self, section: &mut Section<'_, P>) {
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_overdue(section.now, &mut section.actions.wake);
        }
    }
}
