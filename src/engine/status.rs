//! What can be read of a host: gauges, counters, loans, and the causes of a time-out.

use std::time::Duration;

use super::leases::Lease;
use super::{Common, HostState, Parts, Purpose, Ticket};
use crate::policy::close_reason::CloseCounts;
use crate::policy::time::{Span, Time};

/// Counters since the host was first used, of events of every host. Those of a hand-over come
/// first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Counters {
    pub(crate) served: u64,
    pub(crate) wait_time: Span,
    /// Connections lent without a wait.
    pub(crate) reused: u64,
    pub(crate) peak_in_use: u32,
    pub(crate) peak_waiting: u32,
    pub(crate) dials: u64,
    pub(crate) dial_time: Span,
}

/// Counters of events that a healthy host does not have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RareCounters {
    /// How waits ended without a connection: the time-out passed, the caller gave up, a dial
    /// failed, or the pool was closed.
    pub(crate) timed_out: u64,
    pub(crate) cancelled: u64,
    pub(crate) failed: u64,
    pub(crate) shut_out: u64,
    /// Callers that were not allowed to wait.
    pub(crate) refused: u64,
    pub(crate) failed_dials: u64,
    pub(crate) closes: CloseCounts,
    pub(crate) pings: u64,
    pub(crate) failed_pings: u64,
    pub(crate) heartbeats: u64,
    pub(crate) missed_heartbeats: u64,
}

/// All counters of a host, or of many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) usual: Counters,
    pub(crate) rare: RareCounters,
}

impl Counted {
    /// Returns how many waits have ended, in any way.
    pub(crate) fn waits_ended(&self) -> u64 {
        let Counted { usual, rare } = self;
        usual.served + rare.timed_out + rare.cancelled + rare.failed + rare.shut_out
    }

    /// Adds the counts of forgotten hosts. The same host may be among them many times, so peaks are
    /// not summed.
    pub(crate) fn add_past(&mut self, past: &Counted) {
        let (mine, theirs) = (self.usual, &past.usual);
        self.add(past);
        self.usual.peak_in_use = mine.peak_in_use.max(theirs.peak_in_use);
        self.usual.peak_waiting = mine.peak_waiting.max(theirs.peak_waiting);
    }

    pub(crate) fn add(&mut self, other: &Counted) {
        let (mine, theirs) = (&mut self.usual, &other.usual);
        mine.reused += theirs.reused;
        mine.served += theirs.served;
        mine.dials += theirs.dials;
        mine.wait_time += theirs.wait_time;
        mine.dial_time += theirs.dial_time;
        mine.peak_in_use = mine.peak_in_use.saturating_add(theirs.peak_in_use);
        mine.peak_waiting = mine.peak_waiting.saturating_add(theirs.peak_waiting);
        let (mine, theirs) = (&mut self.rare, &other.rare);
        mine.timed_out += theirs.timed_out;
        mine.cancelled += theirs.cancelled;
        mine.failed += theirs.failed;
        mine.shut_out += theirs.shut_out;
        mine.refused += theirs.refused;
        mine.failed_dials += theirs.failed_dials;
        mine.closes.add(&theirs.closes);
        mine.pings += theirs.pings;
        mine.failed_pings += theirs.failed_pings;
        mine.heartbeats += theirs.heartbeats;
        mine.missed_heartbeats += theirs.missed_heartbeats;
    }
}

/// The states of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) idle: usize,
    pub(crate) in_use: usize,
    pub(crate) leases: usize,
    pub(crate) dialing: usize,
    pub(crate) pinging: usize,
    pub(crate) draining: usize,
    pub(crate) closing: usize,
    pub(crate) waiting: usize,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Seen) {
        self.idle += other.idle;
        self.in_use += other.in_use;
        self.leases += other.leases;
        self.dialing += other.dialing;
        self.pinging += other.pinging;
        self.draining += other.draining;
        self.closing += other.closing;
        self.waiting += other.waiting;
    }
}

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
    /// Those held longest with the ids of their connections, the longest held first.
    pub(crate) loans: Vec<(u64, Lease)>,
    pub(crate) more_loans: usize,
    /// Of the loans, those held by tasks that wait for the host: none where this is not known.
    pub(crate) held_by_waiting: usize,
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
        self.view_with(self.count_leases())
    }

    fn view_with(&self, leases: usize) -> HostView {
        let gauges = &self.gauges;
        let seen = Seen {
            idle: gauges.idle as usize,
            in_use: gauges.in_use as usize,
            leases,
            dialing: gauges.dialing as usize,
            pinging: self.pings().len() + self.resets(),
            draining: gauges.draining as usize,
            closing: gauges.closing as usize,
            waiting: self.waiting(),
        };
        let max = if self.max == u32::MAX { usize::MAX } else { self.max as usize };
        HostView { seen, counted: self.counted(), max }
    }

    pub(crate) fn counted(&self) -> Counted {
        let rare = self.rare.as_ref().map(|rare| rare.counters).unwrap_or_default();
        Counted { usual: self.counters, rare }
    }

    /// The cost does not depend on the number of loans: each caller of an exhausted host calls it.
    pub(crate) fn causes(&mut self, now: Time, common: &Common<P>) -> Causes<P::Failure> {
        let (loans, more_loans) = self.longest_held(now, common);
        Causes {
            view: self.view_with(loans.len() + more_loans),
            pinging_since: self.pinging_since(),
            failure: self.failing().map(|failing| (failing.failure.clone(), failing.at)),
            loans,
            more_loans,
            held_by_waiting: self.held_by_waiting(),
        }
    }

    fn pinging_since(&self) -> Option<Time> {
        let pings = self.pings().iter().filter(|ping| ping.purpose != Purpose::Heartbeat);
        pings.map(|ping| ping.since).min()
    }

    /// Returns all loans with the ids of their connections, the longest held first.
    pub(crate) fn loans(&self) -> Vec<(u64, Lease)> {
        let leases = self
            .entries
            .iter()
            .flat_map(|(_, entry)| entry.leases.iter().map(|lease| (entry.id, *lease)));
        let mut loans: Vec<_> = leases.collect();
        loans.sort_by_key(|(id, lease)| (lease.since, *id));
        loans
    }

    /// Returns what is known about the connection of this lease.
    pub(crate) fn entry_view(&self, ticket: Ticket) -> EntryView {
        let entry = &self.entries[ticket.slot];
        let lease = entry.leases.get(ticket.lease);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::close_reason::CloseReason;

    /// Each number another multiple of `n`.
    fn counted(n: u32) -> Counted {
        let (long, wide) = (Duration::from_secs(u64::from(n)), u64::from(n));
        let mut closes = CloseCounts::default();
        (0..n).for_each(|_| closes.count(CloseReason::Idle));
        let usual = Counters {
            reused: wide,
            served: 3 * wide,
            dials: 4 * wide,
            wait_time: Span::from(5 * long),
            dial_time: Span::from(6 * long),
            peak_in_use: 7 * n,
            peak_waiting: 8 * n,
        };
        let rare = RareCounters {
            timed_out: 9 * wide,
            cancelled: 10 * wide,
            failed: 11 * wide,
            shut_out: 12 * wide,
            refused: 13 * wide,
            failed_dials: 14 * wide,
            closes,
            pings: 15 * wide,
            failed_pings: 16 * wide,
            heartbeats: 17 * wide,
            missed_heartbeats: 18 * wide,
        };
        Counted { usual, rare }
    }

    #[test]
    fn counters_of_hosts_add_up() {
        let mut sum = counted(1);
        sum.add(&counted(3));
        assert_eq!(format!("{sum:?}"), format!("{:?}", counted(4)));
    }

    #[test]
    fn peaks_of_hosts_that_are_gone_do_not_add_up() {
        let mut sum = counted(3);
        sum.add_past(&counted(1));
        let usual = Counters { peak_in_use: 21, peak_waiting: 24, ..counted(4).usual };
        let expected = Counted { usual, ..counted(4) };
        assert_eq!(format!("{sum:?}"), format!("{expected:?}"));
    }

    #[test]
    fn connections_of_hosts_add_up() {
        let seen = |n| Seen {
            idle: n,
            in_use: 2 * n,
            leases: 3 * n,
            dialing: 4 * n,
            pinging: 5 * n,
            draining: 6 * n,
            closing: 7 * n,
            waiting: 8 * n,
        };
        let mut sum = seen(1);
        sum.add(seen(3));
        assert_eq!(sum, seen(4));
    }
}
