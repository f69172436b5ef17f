//! Dials: started on demand, owned by the host, ended in one of three ways.

use std::time::Duration;

use super::HostState;
use super::failing::Outage;
use super::membership::Phase;
use crate::engine::connections::entry::Made;
use crate::engine::work::dials::Dial;
use crate::engine::{DialOrder, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Time;

/// A new connection.
#[derive(Debug)]
pub(crate) struct Dialed<T> {
    pub(crate) id: u64,
    pub(crate) connection: T,
    /// The number of leases that it takes.
    pub(crate) max_leases: usize,
    pub(crate) took: Duration,
}

/// A failed dial.
pub(crate) struct Failed<F> {
    pub(crate) failure: F,
    /// Whether another dial may succeed.
    pub(crate) retryable: bool,
    pub(crate) took: Duration,
}

impl<P: Parts> HostState<P> {
    pub(super) fn begin_dial(&mut self, section: &mut Section<'_, P>) {
        let slot = self.connections.insert(section.now);
        self.dials.begin(slot, section.now, self.connections.next_turn());
        self.counters.dials += 1;
        let runtime = self.waiters.as_mut().and_then(|waiters| waiters.oldest_runtime());
        section.actions.dial.push(DialOrder { slot, runtime });
    }

    /// A dial has succeeded: its connection serves a waiter or becomes idle. If the host was
    /// retired meanwhile, the connection serves one waiter that joined before that, so that
    /// frequent retiring leaves no caller without a connection. Returns the outage that ends.
    pub(crate) fn dialed(
        &mut self,
        slot: u32,
        dialed: Dialed<P::Connection>,
        section: &mut Section<'_, P>,
    ) -> Option<Outage> {
        let took = dialed.took;
        self.counters.dial_time += took.into();
        self.note_dial_time(took, section);
        self.wake_warm(section);
        let dial = self.dials.end(slot).expect(IN_FLIGHT);
        self.dials.succeeded();
        self.make(slot, dialed, section);
        let outage = if dial.is_cut_off { None } else { self.end_failing(section) };
        match dial {
            Dial { is_cut_off: false, retired_at: None, .. } => self.settle_proven(slot, section),
            Dial { is_cut_off: true, retired_at: None, .. } => {
                self.drain(slot, CloseReason::OverCap, section);
            }
            Dial { is_cut_off, retired_at: Some(at), .. } => {
                if !is_cut_off {
                    self.serve_one_before(at, slot, section);
                }
                self.drain(slot, CloseReason::Retired, section);
            }
        }
        outage
    }

    /// Serves the oldest waiter, if it joined before this time.
    fn serve_one_before(&mut self, time: Time, slot: u32, section: &mut Section<'_, P>) {
        let oldest = self.waiters.as_mut().and_then(|waiters| waiters.front());
        if oldest.is_some_and(|oldest| oldest.since < time) {
            self.serve(slot, section);
        }
    }

    /// Puts a new connection in the place of its dial.
    pub(super) fn make(
        &mut self,
        slot: u32,
        dialed: Dialed<P::Connection>,
        section: &Section<'_, P>,
    ) {
        let Dialed { id, connection, max_leases, took } = dialed;
        let (at, limits) = (section.now, &section.common.limits);
        let lifetime = limits.max_lifetime.shortened(limits.lifetime_jitter * section.random);
        let (idle_since, expires) = (section.common.idle_stamp(at), at.after(lifetime));
        let max_leases = u32::try_from(max_leases).unwrap_or(u32::MAX).max(1);
        self.dials.expect_leases(max_leases);
        let made = Made { id, connection, max_leases, took, at, idle_since, expires };
        self.connections.make(slot, made);
        self.note_times(slot, section);
    }

    /// A dial has failed. If nothing else can serve the waiters, all of them get the error, unless
    /// another dial may succeed and they are to wait for it. Returns whether an outage begins.
    pub(crate) fn dial_failed(
        &mut self,
        slot: u32,
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) -> bool {
        let dial = self.end_dial(slot, section);
        if dial.is_cut_off {
            // The failure says nothing about later dials.
            section.actions.unused.failures.push(failed.failure);
            return false;
        }
        let (now, limits) = (section.now, &section.common.limits);
        let is_retried = failed.retryable && limits.retry;
        let failure = failed.failure.clone();
        let begins = self.note_failure(&dial, failed, section);
        if self.connections.gauges().dialing == 0 {
            self.minimum.end_request();
        }
        // Idle connections that were not pinged, because this dial was to serve the waiters, are
        // pinged first.
        self.use_what_is_there(section);
        let is_news = dial.retired_at.is_none()
            || self.failing().is_some_and(|failing| failing.is_in_a_row());
        if is_news && !is_retried && !self.may_be_served(now, limits) {
            // The failure of a retired dial is reported only at the second failure in a row, and
            // only to waiters that joined before.
            self.answer_failed(&failure, dial.retired_at, section);
        }
        section.actions.unused.failures.push(failure);
        begins
    }

    /// A dial has ended without a connection.
    fn end_dial(&mut self, slot: u32, section: &mut Section<'_, P>) -> Dial {
        self.connections.remove(slot);
        self.rare().counters.failed_dials += 1;
        self.wake_warm(section);
        self.dials.end(slot).expect(IN_FLIGHT)
    }

    /// A dial was dropped before its end: its runtime has ended or never ran it, or it was cut off.
    /// No task may be spawned from here, so the waiters are woken to dial from where they are
    /// polled.
    pub(crate) fn dial_lost(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let dial = self.end_dial(slot, section);
        if dial.is_cut_off && self.membership.phase() != Phase::Closed {
            return;
        }
        self.minimum.end_request();
        // Spare dials do not start from here either: they would be lost in the same way.
        self.dials.strand();
        // All of them: the oldest may not be polled any more, because its runtime has ended, too.
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_all(&mut section.actions.wake);
        }
    }

    /// Returns whether the task of a dial has to stop: it was cut off, or the pool cannot be used
    /// any more.
    pub(crate) fn stops_dial(&self, slot: u32) -> bool {
        self.membership.phase() == Phase::Closed || self.dials.is_cut_off(slot)
    }
}

const IN_FLIGHT: &str = "a dial is in flight until it has ended";
