//! Events that only time causes: idle time-outs, lifetimes, heartbeats, leaks, waiters' deadlines.

use super::entry::State;
use super::leases::Lease;
use super::{HostState, Leak, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

impl<P: Parts> HostState<P> {
    /// Does what is due. The caller finishes the section, which notes the next look.
    pub(crate) fn maintain(&mut self, section: &mut Section<'_, P>) {
        self.look_at = Time::NEVER;
        self.close_expired(section);
        self.beat(section);
        self.report_leaks(section);
        if self.gauges.dialing == 0 {
            // They check whether permits for their dials may still come.
            self.wake_warmers(section);
        }
        section.actions.ask_peers = self.is_to_ask(section);
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_overdue(section.now, &mut section.actions.wake);
        }
    }

    /// Closes connections that are past their lifetime or have been idle for too long. Those kept
    /// for the minimum idle stay as long as they answer. Shared connections in use that are past
    /// their lifetime drain.
    pub(super) fn close_expired(&mut self, section: &mut Section<'_, P>) {
        let now = section.now;
        let shared = section.common.is_shared();
        if self.ready.is_empty() && !shared {
            return;
        }
        // A connection that drained temporarily now leaves for good.
        let old = self.slots(|entry| {
            let is_in_use = entry.state == State::InUse || entry.state.may_come_back();
            (entry.state == State::Idle || (shared && is_in_use)) && entry.expires <= now
        });
        for slot in old {
            self.drain(slot, CloseReason::Age, section);
        }
        let limits = &section.common.limits;
        if limits.idle_timeout == Span::FOREVER {
            return;
        }
        let is_over = |host: &Self, slot: u32, stays: bool| {
            let entry = &host.entries[slot];
            entry.state == State::Idle
                && !host.is_pinged(slot)
                && entry.idles_until(stays, limits) <= now
        };
        let over: Vec<u32> =
            self.ready.iter().copied().filter(|slot| is_over(self, *slot, false)).collect();
        for slot in over {
            let stays = self.stays_for_minimum(limits);
            if stays && !is_over(self, slot, true) {
                self.change(slot, |entry| entry.kept = true);
            } else {
                self.drain(slot, CloseReason::Idle, section);
            }
        }
    }

    /// Returns whether no more connections are idle than the minimum.
    pub(super) fn stays_for_minimum(&self, limits: &Limits) -> bool {
        self.gauges.idle as usize <= limits.min_idle_per_host
    }

    /// Reports the loans that are held for long, each once.
    fn report_leaks(&mut self, section: &mut Section<'_, P>) {
        let after = section.common.limits.leak_after;
        if after == Span::FOREVER {
            return;
        }
        let now = section.now;
        let is_due = |lease: &Lease| !lease.reported && lease.since.after(after) <= now;
        for slot in self.slots(|entry| entry.leases.iter().any(is_due)) {
            let leaks = self.change(slot, |entry| {
                let id = entry.id;
                let due = entry.leases.iter_mut().filter(|lease| is_due(lease));
                due.map(|lease| {
                    lease.reported = true;
                    Leak::StillOut { id, lease: *lease }
                })
                .collect::<Vec<_>>()
            });
            section.actions.leaks.extend(leaks);
        }
    }
}
