//! What can be read of a host: gauges, counters, loans, and the causes of a time-out.

use std::time::Duration;

use super::HostState;
pub(crate) use super::counters::{Counted, Seen};
use crate::engine::connections::entry::State;
use crate::engine::connections::leases::Lease;
use crate::engine::{Parts, Ticket};
use crate::policy::close_reason::{CloseCounts, CloseReason};
use crate::policy::limits::Limits;
use crate::policy::time::Time;

/// One host at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostView {
    pub(crate) seen: Seen,
    pub(crate) counted: Counted,
    pub(crate) max: usize,
}

/// What a time-out reports about its host.
#[derive(Debug)]
pub(crate) struct Causes<F> {
    pub(crate) view: HostView,
    /// The start of the longest ping in flight that is not a heartbeat.
    pub(crate) pinging_since: Option<Time>,
    /// The last failure since the last successful dial, and its time.
    pub(crate) failure: Option<(F, Time)>,
    /// The slow dials in flight: how many, and the start of the oldest.
    pub(crate) slow: Option<(usize, Time)>,
    /// When the next dial may begin, if not now.
    pub(crate) next_dial: Option<Time>,
    /// How many connections the server had when it refused the last one, if it is full, and when.
    pub(crate) full: Option<(usize, Time)>,
    /// The shared connections that drain, if any do.
    pub(crate) draining: Option<Drains>,
    /// How long those have waited whose waits were lost lately, while many are.
    pub(crate) lost_after: Option<Duration>,
    /// Those held longest with the ids of their connections, the longest held first.
    pub(crate) loans: Vec<(u64, Lease)>,
    pub(crate) more_loans: usize,
    /// Of the loans, those held by tasks that wait for the host: none where this is not known.
    pub(crate) held_by_waiting: usize,
}

/// Shared connections that drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drains {
    pub(crate) connections: usize,
    /// Those of them that have a place.
    pub(crate) places: usize,
    pub(crate) leases: usize,
    /// Why most of them do.
    pub(crate) reason: CloseReason,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryView {
    pub(crate) id: u64,
    pub(crate) created: Time,
    /// How long it had been idle when it was lent.
    pub(crate) idle_for: Duration,
    pub(crate) uses: u64,
    /// When its dial or a ping last proved it alive, how long that took, and which of them it was.
    pub(crate) proved_at: Time,
    pub(crate) proof_took: Duration,
    pub(crate) was_dialed: bool,
}

impl<P: Parts> HostState<P> {
    pub(crate) fn view(&self) -> HostView {
        let max = self.membership.max();
        let max = if max == u32::MAX { usize::MAX } else { max as usize };
        HostView { seen: self.seen(), counted: self.counted(), max }
    }

    /// Adds the figures to those of other hosts.
    pub(crate) fn add_to(&self, seen: &mut Seen, counted: &mut Counted) {
        seen.add(&self.seen());
        counted.usual.add(&self.counters);
        if let Some(rare) = &self.rare {
            counted.rare.add(&rare.counters);
        }
    }

    fn seen(&self) -> Seen {
        let gauges = self.connections.gauges();
        Seen {
            idle: gauges.idle as usize,
            in_use: gauges.in_use as usize,
            leases: self.connections.leases(),
            dialing: gauges.dialing as usize,
            pinging: self.pings().len() + self.pings().resets(),
            draining: gauges.draining as usize,
            closing: gauges.closing as usize,
            waiting: self.waiting(),
            overloaded: usize::from(self.lost_after().is_some()),
        }
    }

    pub(crate) fn counted(&self) -> Counted {
        let rare = self.rare.as_ref().map(|rare| rare.counters).unwrap_or_default();
        Counted { usual: self.counters, rare }
    }

    /// Returns whether a pause has ended, and the dial that it put off has not begun yet.
    fn is_dial_due(&self, limits: &Limits) -> bool {
        let is_put_off = self.dials.pace().is_troubled() && self.connections.gauges().dialing == 0;
        is_put_off && self.room_to_dial(limits) > 0
    }

    /// The cost does not depend on the number of loans: each caller of an exhausted host calls it.
    pub(crate) fn causes(&mut self, now: Time, limits: &Limits) -> Causes<P::Failure> {
        let (loans, more_loans) = self.longest_held(now);
        Causes {
            view: self.view(),
            pinging_since: self.pings().since(),
            slow: self.dials.slow(),
            next_dial: Some(self.next_for_waiters(now, limits))
                .filter(|at| *at > now || self.is_dial_due(limits)),
            full: self.dials.pace().full(self.open(), now).map(|full| (full.size, full.at)),
            draining: self.drains(),
            lost_after: self.lost_after(),
            failure: self.failure(),
            loans,
            more_loans,
            held_by_waiting: self.held_by_waiting(),
        }
    }

    /// Returns the last failure since the last successful dial, and its time.
    pub(crate) fn failure(&self) -> Option<(P::Failure, Time)> {
        self.failing().map(|failing| (failing.failure().clone(), failing.at()))
    }

    /// Returns what drains, of shared connections. An exclusive one that does is lent in any case.
    fn drains(&self) -> Option<Drains> {
        let gauges = self.connections.gauges();
        if gauges.draining == 0 || !self.connections.is_shared() {
            return None;
        }
        let mut reasons = CloseCounts::default();
        let mut leases = 0;
        for (_, entry) in self.connections.iter().filter(|(_, entry)| !entry.is_dead()) {
            if let State::Draining(reason) = entry.state {
                reasons.count(reason);
                leases += entry.leases().len();
            }
        }
        let reason = CloseReason::EACH.into_iter().max_by_key(|reason| reasons.of(*reason))?;
        let (connections, places) = (gauges.draining as usize, gauges.leaving as usize);
        Some(Drains { connections, places, leases, reason })
    }

    /// Returns the loans held longest with the ids of their connections, the oldest first, and how
    /// many more there are.
    pub(crate) fn longest_held(&mut self, now: Time) -> (Vec<(u64, Lease)>, usize) {
        let all = self.connections.leases();
        let mut longest = std::mem::take(&mut self.rare().longest);
        let loans = longest.list(self.connections.entries(), all, now);
        self.rare().longest = longest;
        let more = all.saturating_sub(loans.len());
        (loans, more)
    }

    /// Returns all loans with the ids of their connections, the longest held first.
    pub(crate) fn loans(&self) -> Vec<(u64, Lease)> {
        let entries = self.connections.iter().map(|(_, entry)| entry);
        let leases =
            entries.flat_map(|entry| entry.leases().iter().map(|lease| (entry.id, *lease)));
        let mut loans: Vec<_> = leases.collect();
        loans.sort_by_key(|(id, lease)| (lease.since, *id));
        loans
    }

    /// Returns what is known about the connection of this lease.
    pub(crate) fn entry_view(&self, ticket: Ticket) -> EntryView {
        let entry = &self.connections[ticket.slot];
        let lease = entry.leases().get(ticket.lease);
        let lent = lease.map_or(entry.idle_since, |lease| lease.since);
        let joined = lease.is_some_and(|lease| lease.joined);
        EntryView {
            id: entry.id,
            created: entry.created,
            idle_for: if joined { Duration::ZERO } else { lent.since(entry.idle_since) },
            uses: lease.map_or(entry.uses, |lease| u64::from(lease.nth)),
            proved_at: entry.checked_at,
            proof_took: Duration::from_micros(u64::from(entry.proof_micros)),
            was_dialed: entry.checked_at == entry.created,
        }
    }

    /// Returns how many dials have failed.
    pub(crate) fn failed_dials(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.counters.failed_dials)
    }
}
