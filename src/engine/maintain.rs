//! What time alone brings about: idle time-outs, lifetimes, heartbeats, leaks, waiters' deadlines.

use super::entry::State;
use super::{HostState, Leak, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

impl<P: Parts> HostState<P> {
    /// Does what is due. The caller finishes the section, which notes the next look.
    pub(crate) fn maintain(&mut self, section: &mut Section<'_, P>) {
        self.look_at = Time::NEVER;
        self.close_expired(section);
        self.beat(section);
        self.report_leaks(section);
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_overdue(section.now, &mut section.actions.wake);
        }
    }

    /// Closes what is past its lifetime, and what has been idle for too long while more than `min_idle_per_host` are
    /// idle. Shared connections in use that are past their lifetime drain.
    pub(super) fn close_expired(&mut self, section: &mut Section<'_, P>) {
        let now = section.now;
        let shared = section.common.is_shared();
        if self.ready.is_empty() && !shared {
            return;
        }
        let old = self.slots(|entry| {
            let may = entry.state == State::Idle || (shared && entry.state == State::InUse);
            may && entry.expires <= now
        });
        for slot in old {
            self.drain(slot, CloseReason::Age, section);
        }
        let timeout = section.common.limits.idle_timeout;
        if timeout == Span::FOREVER {
            return;
        }
        let is_over = |host: &Self, slot: u32| {
            let entry = &host.entries[slot];
            entry.state == State::Idle
                && !host.is_pinged(slot)
                && entry.idle_since.after(timeout) <= now
        };
        let over: Vec<u32> =
            self.ready.iter().copied().filter(|slot| is_over(self, *slot)).collect();
        for slot in over {
            if self.gauges.idle as usize > section.common.limits.min_idle_per_host {
                self.drain(slot, CloseReason::Idle, section);
            } else {
                self.change(slot, |entry| entry.kept = true);
            }
        }
    }

    /// Reports the loans that are held for long by now, each once.
    fn report_leaks(&mut self, section: &mut Section<'_, P>) {
        let after = section.common.limits.leak_after;
        if after == Span::FOREVER {
            return;
        }
        let is_due = |since: Time| since.after(after) <= section.now;
        let due = |entry: &super::entry::Entry<P>| {
            entry.leases.iter().any(|lease| !lease.reported && is_due(lease.since))
        };
        for slot in self.slots(due) {
            let leaks = self.change(slot, |entry| {
                let id = entry.id;
                let due =
                    entry.leases.iter_mut().filter(|lease| !lease.reported && is_due(lease.since));
                due.map(|lease| {
                    lease.reported = true;
                    Leak::StillOut { id, lease: *lease }
                })
                .collect::<Vec<_>>()
            });
            section.actions.leaks.extend(leaks);
        }
    }

    /// When maintenance has to look at the host next, by all that it knows. What is due already is done by the section
    /// that asks.
    pub(super) fn next_look(&self, section: &Section<'_, P>) -> Time {
        let (now, limits) = (section.now, &section.common.limits);
        let shared = section.common.is_shared();
        let may_idle_out = self.gauges.idle as usize > limits.min_idle_per_host;
        let ends = self.entries.iter().filter(|(_, entry)| {
            entry.state == State::Idle || (shared && entry.state == State::InUse)
        });
        let ends = ends.map(|(slot, entry)| match entry.state {
            State::Idle if may_idle_out && !self.is_pinged(slot) => {
                entry.idle_since.after(limits.idle_timeout).min(entry.expires)
            }
            _ => entry.expires,
        });
        let beat =
            if limits.heartbeat.is_some() && self.unneeded_pings() < super::ping::PINGS_AT_ONCE {
                self.beats(shared, limits).map(|(at, _)| at).min()
            } else {
                // When one of those under way ends, it is looked again.
                None
            };
        let backoff = self.failing().map(|failing| failing.until).filter(|&until| until > now);
        let waits = self.waiting() > 0;
        let pings = self
            .pings()
            .iter()
            .map(|ping| ping.counts_until(limits))
            .filter(|&at| waits && at > now);
        let rest = [beat, backoff, Some(self.next_deadline()), self.next_leak(limits.leak_after)];
        ends.chain(pings).chain(rest.into_iter().flatten()).min().unwrap_or(Time::NEVER)
    }

    fn next_leak(&self, after: Span) -> Option<Time> {
        if after == Span::FOREVER {
            return None;
        }
        let leases = self.entries.iter().flat_map(|(_, entry)| entry.leases.iter());
        leases.filter(|lease| !lease.reported).map(|lease| lease.since.after(after)).min()
    }
}
