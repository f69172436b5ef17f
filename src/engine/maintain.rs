//! What time alone brings about: idle time-outs, lifetimes, heartbeats, leaks, waiters' deadlines.

use super::entry::{Entry, State};
use super::{HostState, Leak, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// How often a host looks that has no permit to dial for `initial_per_host` or `warm`.
const PERMIT_LOOK: Span = Span::from_nanos(1_000_000_000);

impl<P: Parts> HostState<P> {
    /// Does what is due. The caller finishes the section, which notes the next look.
    pub(crate) fn maintain(&mut self, section: &mut Section<'_, P>) {
        self.look_at = Time::NEVER;
        self.close_expired(section);
        self.beat(section);
        self.report_leaks(section);
        if self.gauges.dialing == 0 {
            // They see whether permits for their dials may still come.
            self.wake_warmers(section);
        }
        section.actions.ask_peers = self.is_to_ask(section);
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_overdue(section.now, &mut section.actions.wake);
        }
    }

    /// Closes what is past its lifetime, and what has been idle for too long. Those that stay for the minimum idle stay
    /// for as long as they answer. Shared connections in use that are past their lifetime drain.
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

    /// Whether no more are idle than are to stay.
    fn stays_for_minimum(&self, limits: &Limits) -> bool {
        self.gauges.idle as usize <= limits.min_idle_per_host
    }

    /// Reports the loans that are held for long by now, each once.
    fn report_leaks(&mut self, section: &mut Section<'_, P>) {
        let after = section.common.limits.leak_after;
        if after == Span::FOREVER {
            return;
        }
        let is_due = |since: Time| since.after(after) <= section.now;
        let due = |entry: &Entry<P>| {
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
        let stays = self.stays_for_minimum(limits);
        let ends = self.may_end(shared).filter(|(_, entry)| {
            entry.state == State::Idle || (shared && entry.state == State::InUse)
        });
        let ends = ends.map(|(slot, entry)| match entry.state {
            State::Idle if !self.is_pinged(slot) => {
                entry.idles_until(stays && entry.kept, limits).min(entry.expires)
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
        let backoff = self
            .failing()
            .filter(|_| self.room_to_dial(limits) > 0)
            .into_iter()
            .flat_map(|failing| [failing.until, self.dial_at(failing, now, limits)]);
        let backoff = backoff.filter(|&until| until > now).min();
        let waits = self.waiting() > 0;
        let pings = self
            .pings()
            .iter()
            .map(|ping| ping.counts_until(limits))
            .filter(|&at| waits && at > now);
        let dials = self.next_dial_to_count(shared && waits, now);
        // Other hosts may take the last permits meanwhile: `warm` is to be told then.
        let is_warmed =
            self.floor > 0 || self.rare.as_ref().is_some_and(|rare| !rare.warmers.is_empty());
        let is_short = is_warmed && self.gauges.dialing == 0 && self.is_short_to_spare();
        let permit = is_short.then(|| now.after(PERMIT_LOOK));
        let rest = [
            beat,
            backoff,
            dials,
            permit,
            Some(self.next_deadline()),
            self.next_leak(limits.leak_after),
            self.next_late_close(),
            self.next_ask(section.common),
        ];
        ends.chain(pings).chain(rest.into_iter().flatten()).min().unwrap_or(Time::NEVER)
    }

    /// When a dial counts no more as on its way to those who wait for a connection to share.
    fn next_dial_to_count(&self, is_waited_for: bool, now: Time) -> Option<Time> {
        if !is_waited_for || self.gauges.dialing == 0 {
            return None;
        }
        let counts_for = self.dial_counts();
        let dials = self.entries.iter().filter(|(_, entry)| entry.is_dialing());
        dials.map(|(_, entry)| entry.created.after(counts_for)).filter(|&at| at > now).min()
    }

    /// Those that time alone may end. Of exclusive connections only what is ready is: thousands that are lent are not
    /// gone through in each section.
    fn may_end(&self, shared: bool) -> impl Iterator<Item = (u32, &Entry<P>)> {
        let ready = || self.ready.iter().map(|slot| (*slot, &self.entries[*slot]));
        let all = shared.then(|| self.entries.iter());
        let ready = (!shared).then(ready);
        all.into_iter().flatten().chain(ready.into_iter().flatten())
    }

    fn next_leak(&self, after: Span) -> Option<Time> {
        if after == Span::FOREVER {
            return None;
        }
        let leases = self.entries.iter().flat_map(|(_, entry)| entry.leases.iter());
        leases.filter(|lease| !lease.reported).map(|lease| lease.since.after(after)).min()
    }
}
