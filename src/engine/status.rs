//! What can be seen of an engine: gauges, counters, loans, and the causes of a time-out.

use std::time::Duration;

use super::loans::Loan;
use super::time::Time;
use super::{Engine, HostId, Parts, WaiterId};
use crate::close_reason::CloseCounts;

/// What has happened since the host was first used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// The host has this one itself, and the peak: see [`Host::counted`](super::host::Host::counted).
    pub(crate) reused: u64,
    pub(crate) waited: u64,
    /// What came of waits: a connection, the end of the time, nobody left to care, a dial's error,
    /// the end of the pool.
    pub(crate) served: u64,
    pub(crate) timed_out: u64,
    pub(crate) cancelled: u64,
    pub(crate) failed: u64,
    pub(crate) shut_out: u64,
    pub(crate) refused: u64,
    pub(crate) wait_time: Duration,
    pub(crate) dials: u64,
    pub(crate) failed_dials: u64,
    pub(crate) dial_time: Duration,
    pub(crate) closes: CloseCounts,
    pub(crate) peak_in_use: usize,
    pub(crate) peak_waiting: usize,
    pub(crate) pings: u64,
    pub(crate) failed_pings: u64,
    pub(crate) heartbeats: u64,
    pub(crate) missed_heartbeats: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, other: &Counters) {
        self.reused += other.reused;
        self.waited += other.waited;
        self.served += other.served;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
        self.failed += other.failed;
        self.shut_out += other.shut_out;
        self.refused += other.refused;
        self.wait_time += other.wait_time;
        self.dials += other.dials;
        self.failed_dials += other.failed_dials;
        self.dial_time += other.dial_time;
        self.closes.add(&other.closes);
        self.peak_in_use += other.peak_in_use;
        self.peak_waiting += other.peak_waiting;
        self.pings += other.pings;
        self.failed_pings += other.failed_pings;
        self.heartbeats += other.heartbeats;
        self.missed_heartbeats += other.missed_heartbeats;
    }
}

/// Where a host's connections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    pub(crate) idle: usize,
    pub(crate) in_use: usize,
    pub(crate) leases: usize,
    pub(crate) dialing: usize,
    pub(crate) closing: usize,
    pub(crate) waiting: usize,
}

impl Gauges {
    pub(crate) fn add(&mut self, other: Gauges) {
        self.idle += other.idle;
        self.in_use += other.in_use;
        self.leases += other.leases;
        self.dialing += other.dialing;
        self.closing += other.closing;
        self.waiting += other.waiting;
    }
}

/// One host at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostView {
    pub(crate) gauges: Gauges,
    pub(crate) counters: Counters,
    pub(crate) max: usize,
}

/// What a time-out has to tell about its host.
#[derive(Debug)]
pub(crate) struct Causes<F> {
    pub(crate) view: HostView,
    /// How many waited before the caller when it came.
    pub(crate) ahead: usize,
    /// The last failure since a dial last succeeded, and when it was.
    pub(crate) failure: Option<(F, Time)>,
    /// The longest held first.
    pub(crate) loans: Vec<Loan>,
}

impl<P: Parts> Engine<P> {
    /// Each host, as the shell knows it, with what can be seen of it.
    pub(crate) fn views(&self) -> impl Iterator<Item = (&P::Host, HostView)> {
        self.hosts.iter().map(|(at, host)| (&host.shell, self.view(at)))
    }

    pub(crate) fn view(&self, at: usize) -> HostView {
        let host = &self.hosts[at];
        let unleased = host.only_asked();
        let gauges = Gauges {
            idle: host.idle.len() + host.checking + unleased,
            in_use: host.in_use - unleased,
            leases: host.leases(),
            dialing: host.dialing,
            closing: host.closing,
            waiting: host.waiters.waiting(),
        };
        HostView { gauges, counters: host.counted(), max: host.max }
    }

    /// What was counted for hosts that are forgotten.
    pub(crate) fn past(&self) -> Counters {
        self.past
    }

    /// What a caller is told whose time is over; `waiter`: while it is still queued.
    pub(crate) fn causes(
        &self,
        id: HostId,
        waiter: Option<WaiterId>,
    ) -> Option<Causes<P::Failure>> {
        let host = self.hosts.get(id.index).filter(|_| self.knows(id))?;
        Some(Causes {
            view: self.view(id.index),
            ahead: waiter.map_or(0, |waiter| host.waiters.ahead(waiter)),
            failure: host.failing.as_ref().map(|f| (f.failure.clone(), f.at)),
            loans: host.loans(),
        })
    }

    /// The loans of one host, the longest held first.
    pub(crate) fn loans_of(&self, at: usize) -> Vec<Loan> {
        self.hosts[at].loans()
    }

    /// All loans of all hosts.
    pub(crate) fn loans(&self) -> impl Iterator<Item = (&P::Host, Loan)> {
        self.hosts
            .iter()
            .flat_map(|(_, host)| host.loans().into_iter().map(|loan| (&host.shell, loan)))
    }
}
