//! When maintenance looks at a host next: the earliest event that only time causes.

use super::entry::{Entry, State};
use super::{HostState, Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// How often maintenance looks at a host that has no permit to dial for `initial_per_host` or
/// `warm`.
const PERMIT_LOOK: Span = Span::from_nanos(1_000_000_000);

impl<P: Parts> HostState<P> {
    /// Returns when maintenance has to look at the host next. The current section handles what is
    /// already due.
    pub(super) fn next_look(&self, section: &Section<'_, P>) -> Time {
        let (now, common) = (section.now, section.common);
        let (limits, shared) = (&common.limits, common.is_shared());
        let looks = [
            self.next_end(shared, limits),
            self.next_beat(shared, limits),
            self.next_dial(now, limits),
            self.next_ping_to_count(now, limits),
            self.next_dial_to_count(shared || self.failing().is_some(), now),
            self.next_permit_look(now),
            Some(self.next_deadline()),
            self.next_leak(limits.leak_after),
            self.next_late_close(),
            self.next_ask(common),
            self.next_deadlock(limits.deadlock_after),
        ];
        looks.into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    /// Returns when the first connection has been idle for too long or is too old.
    fn next_end(&self, shared: bool, limits: &Limits) -> Option<Time> {
        let stays = self.stays_for_minimum(limits);
        let end = |(slot, entry): (u32, &Entry<P>)| match entry.state {
            State::Idle if !self.is_pinged(slot) => {
                Some(entry.idles_until(stays && entry.kept, limits).min(entry.expires))
            }
            State::Idle | State::InUse => Some(entry.expires),
            _ => None,
        };
        if shared {
            return self.entries.iter().filter_map(end).min();
        }
        // Of exclusive connections, time alone ends only ready ones: a section does not visit
        // thousands of lent ones.
        self.ready.iter().map(|slot| (*slot, &self.entries[*slot])).filter_map(end).min()
    }

    fn next_beat(&self, shared: bool, limits: &Limits) -> Option<Time> {
        // When one of those in flight ends, this is evaluated again.
        let may = limits.heartbeat.is_some() && self.may_ping_more(limits);
        if may { self.beats(shared, limits).map(|(at, _)| at).min() } else { None }
    }

    /// Returns when the next dial may start after a failure, or when the host need not be
    /// remembered because of it.
    fn next_dial(&self, now: Time, limits: &Limits) -> Option<Time> {
        let failing = self.failing().filter(|_| self.room_to_dial(limits) > 0)?;
        let times = [failing.until, failing.kept_until, self.dial_at(failing, now, limits)];
        times.into_iter().filter(|&at| at > now).min()
    }

    /// Returns when a ping stops counting as on its way to waiters.
    fn next_ping_to_count(&self, now: Time, limits: &Limits) -> Option<Time> {
        if self.waiting() == 0 {
            return None;
        }
        self.pings().iter().map(|ping| ping.counts_until(limits)).filter(|&at| at > now).min()
    }

    /// The same for a dial, for waiters of a shared connection, or after a failure.
    fn next_dial_to_count(&self, is_limited: bool, now: Time) -> Option<Time> {
        if !is_limited || self.waiting() == 0 || self.gauges.dialing == 0 {
            return None;
        }
        let counts_for = self.dial_counts();
        let dials = self.entries.iter().filter(|(_, entry)| entry.is_dialing());
        dials.map(|(_, entry)| entry.created.after(counts_for)).filter(|&at| at > now).min()
    }

    /// If permits are missing for connections made in advance, other hosts may take the last ones
    /// meanwhile, and `warm` has to be told.
    fn next_permit_look(&self, now: Time) -> Option<Time> {
        if self.gauges.dialing > 0 || !self.is_short_to_spare() {
            return None;
        }
        let is_warmed = self.rare.as_ref().is_some_and(|rare| !rare.warmers.is_empty());
        (self.floor > 0 || is_warmed).then(|| now.after(PERMIT_LOOK))
    }

    fn next_leak(&self, after: Span) -> Option<Time> {
        if after == Span::FOREVER {
            return None;
        }
        let leases = self.entries.iter().flat_map(|(_, entry)| entry.leases.iter());
        leases.filter(|lease| !lease.reported).map(|lease| lease.since.after(after)).min()
    }
}
