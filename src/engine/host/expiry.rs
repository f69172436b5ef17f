//! Connections that are too old or have been idle for too long, and loans that are held for long.

use super::HostState;
use crate::engine::connections::entry::State;
use crate::engine::connections::leases::Lease;
use crate::engine::{Leak, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

impl<P: Parts> HostState<P> {
    /// Closes connections that are past their lifetime or have been idle for too long. Those kept
    /// for the minimum idle stay as long as they answer. Shared connections in use that are past
    /// their lifetime drain.
    pub(super) fn close_expired(&mut self, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        while let Some(slot) = self.connections.take_end(now, limits) {
            self.end_if_expired(slot, section);
        }
    }

    fn end_if_expired(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        let Some(entry) = self.connections.get(slot) else { return };
        let ages = match entry.state {
            State::Idle => true,
            // A connection that drained temporarily now leaves for good.
            state => section.common.is_shared() && (state == State::InUse || state.drains_young()),
        };
        if entry.expires <= now {
            // Otherwise it is exclusive and lent: it is closed when it returns.
            if ages {
                self.drain(slot, CloseReason::Age, section);
            }
            return;
        }
        let is_idle = entry.state == State::Idle && !entry.pinged;
        if is_idle && entry.idles_until(entry.kept, limits) <= now {
            return self.keep_or_close(slot, section);
        }
        self.connections.note_end(slot, limits);
    }

    /// Keeps a connection that has been idle for too long, if that is the minimum and it answers.
    fn keep_or_close(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        let answers = now < self.connections[slot].idles_until(true, limits);
        if self.is_at_minimum(limits) && answers {
            self.connections.change(slot, |entry| entry.keep());
            self.connections.note_end(slot, limits);
        } else {
            self.drain(slot, CloseReason::Idle, section);
        }
    }

    /// Returns whether no more connections have room than the minimum.
    fn is_at_minimum(&self, limits: &Limits) -> bool {
        self.connections.ready() <= limits.min_idle_per_host
    }

    /// Closes the connections that were kept for the minimum, if more are idle now.
    pub(super) fn close_kept(&mut self, section: &mut Section<'_, P>) {
        if self.connections.gauges().kept == 0 || self.is_at_minimum(&section.common.limits) {
            return;
        }
        let kept: Vec<u32> =
            self.connections.idle().filter(|slot| self.connections[*slot].kept).collect();
        for slot in kept {
            if !self.is_at_minimum(&section.common.limits) && !self.connections[slot].pinged {
                self.drain(slot, CloseReason::Idle, section);
            }
        }
    }
}

/// # Leaks
impl<P: Parts> HostState<P> {
    /// Notes when a loan that begins now is to be reported.
    pub(super) fn note_leak(&mut self, now: Time, limits: &Limits) {
        if limits.leak_after != Span::FOREVER {
            self.rare().leaks.note(now.after(limits.leak_after));
        }
    }

    /// Returns whether the report of a loan that begins now need not be noted.
    pub(super) fn covers_leak(&mut self, now: Time, limits: &Limits) -> bool {
        if limits.leak_after == Span::FOREVER {
            return true;
        }
        let due = now.after(limits.leak_after);
        self.rare.as_mut().is_some_and(|rare| rare.leaks.covers(due))
    }

    pub(super) fn next_report(&self, _: &Section<'_, P>) -> Time {
        match &self.rare {
            None => Time::NEVER,
            Some(rare) => rare.leaks.next().min(self.next_sample()),
        }
    }

    pub(super) fn report(&mut self, section: &mut Section<'_, P>) {
        self.report_leaks(section);
        self.take_sample(section);
    }

    /// Reports the loans that are held for long, each once.
    fn report_leaks(&mut self, section: &mut Section<'_, P>) {
        let (now, after) = (section.now, section.common.limits.leak_after);
        while let Some(slot) = self.take_leak(now, after) {
            let Some(entry) = self.connections.get(slot) else { continue };
            let id = entry.id;
            let is_due = |lease: &Lease| !lease.reported && lease.since.after(after) <= now;
            let due = self.connections.change(slot, |entry| entry.report_leaks(is_due));
            let leaks = due.into_iter().map(|lease| Leak::StillOut { id, lease });
            section.actions.leaks.extend(leaks);
        }
    }

    /// Returns a connection that may have a loan to report.
    fn take_leak(&mut self, now: Time, after: Span) -> Option<u32> {
        let HostState { rare, connections, .. } = self;
        rare.as_mut()?.leaks.take(now, || {
            let leases = connections
                .iter()
                .flat_map(|(slot, entry)| entry.leases().iter().map(move |lease| (slot, lease)));
            let told = leases.filter(|(_, lease)| !lease.reported);
            told.map(move |(slot, lease)| (lease.since.after(after), slot))
        })
    }
}
