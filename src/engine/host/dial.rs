//! Dials: started on demand, owned by the host, ended in one of three ways.

use std::time::Duration;

use super::HostState;
use super::failing::{Outage, waits};
use super::membership::Phase;
use crate::engine::connections::entry::{Made, Proof};
use crate::engine::queue::order::End;
use crate::engine::work::dials::Landed;
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
    pub(crate) proof: Proof,
}

/// A failed dial.
pub(crate) struct Failed<F> {
    pub(crate) failure: F,
    /// Whether another dial may succeed.
    pub(crate) retryable: bool,
    pub(crate) took: Duration,
    /// It has used up its time-out.
    pub(crate) timed_out: bool,
}

impl<P: Parts> HostState<P> {
    pub(super) fn begin_dial(&mut self, section: &mut Section<'_, P>) {
        let slot = self.connections.insert(section.now);
        let stop = P::Stop::default();
        self.dials.begin(slot, section.now, stop.clone());
        self.counters.dials += 1;
        // After one that is slow, or stands still, the next runs where this section does: the runtime
        // of the oldest waiter may stand still.
        let is_odd = self.dials.has_slow() || self.dials.one_stands_still();
        let waiters = self.waiters.as_mut().filter(|_| !is_odd);
        let runtime = waiters.and_then(|waiters| waiters.oldest_runtime());
        section.actions.dial.push(DialOrder { slot, runtime, stop });
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
        let dial = self.dials.end(slot).expect(IN_FLIGHT);
        self.note_dial_time(took, dial.is_cut_off, section);
        self.wake_warm(section);
        self.make(slot, dialed, section);
        if let Some(rare) = &mut self.rare {
            rare.pings.note_life(section.now);
        }
        let mut outage = None;
        if !dial.is_cut_off {
            self.dials.succeeded(&dial, took.into(), waits(section), section.now);
            outage = self.end_failing(section);
        }
        match dial {
            Landed { is_cut_off: false, retired_at: None, .. } => self.settle_proven(slot, section),
            Landed { is_cut_off: true, retired_at: None, .. } => {
                self.drain(slot, CloseReason::OverCap, section);
            }
            Landed { is_cut_off, retired_at: Some(at), .. } => {
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
            self.serve_at(End::Oldest, slot, section);
        }
    }

    /// Puts a new connection in the place of its dial.
    pub(super) fn make(
        &mut self,
        slot: u32,
        dialed: Dialed<P::Connection>,
        section: &Section<'_, P>,
    ) {
        let Dialed { id, connection, max_leases, took, proof } = dialed;
        let at = section.now;
        let (idle_since, expires) = (section.common.idle_stamp(at), section.end_of_life());
        let max_leases = u32::try_from(max_leases).unwrap_or(u32::MAX).max(1);
        self.dials.expect_leases(max_leases);
        let made = Made { id, connection, max_leases, took, at, idle_since, expires, proof };
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
        let is_retried = failed.retryable && section.common.limits.retry;
        let (failure, timed_out) = (failed.failure.clone(), failed.timed_out);
        let begins = self.note_failure(&dial, failed, section);
        self.end_vain_request(section);
        // Idle connections that were not pinged, because this dial was to serve the waiters, are
        // pinged first.
        self.use_what_is_there(section);
        if !is_retried {
            self.tell_of_end(&dial, (&failure, timed_out), section);
        }
        section.actions.unused.failures.push(failure);
        begins
    }

    /// The time-out of a dial has passed this often. While dials are slow it may go on, unless its
    /// permit is wanted. Those who have waited for all of it are told in any case, as of a dial
    /// that has failed. Returns whether it may go on, and whether an outage begins.
    pub(crate) fn dial_overdue(
        &mut self,
        (slot, times): (u32, u32),
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) -> (bool, bool) {
        self.judge_dials(section);
        let is_first = self.dials.overdue(slot, waits(section), section.now);
        let is_wanted = self.share.is_short() || self.is_wanted_elsewhere(section.common).is_some();
        let goes_on = times < self.dials.pace().lives() && !is_wanted;
        if !(goes_on && is_first) {
            section.actions.unused.failures.push(failed.failure);
            return (goes_on, false);
        }
        let failure = failed.failure.clone();
        let begins = self.note_slow_dial(failed, section);
        self.use_what_is_there(section);
        if !section.common.limits.retry {
            self.tell_of_time_out(self.dials.since(slot), &failure, section);
        }
        section.actions.unused.failures.push(failure);
        (goes_on, begins)
    }

    /// A dial has ended without a connection.
    fn end_dial(&mut self, slot: u32, section: &mut Section<'_, P>) -> Landed {
        self.connections.remove(slot);
        self.rare().counters.failed_dials += 1;
        self.wake_warm(section);
        self.dials.end(slot).expect(IN_FLIGHT)
    }

    /// A dial was cut off, and has stopped. Returns whether it is the first that hung.
    pub(crate) fn dial_stopped(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        let is_first = self.failing().is_none() && self.dials.in_vain() == 1;
        let dial = self.end_dial(slot, section);
        // One of a host that was retired says little of its new address.
        is_first && dial.is_slow && dial.retired_at.is_none()
    }

    /// Takes the places of dials that were cut off and have not stopped: their runtime is not driven.
    /// The entries stay until the tasks end.
    pub(super) fn give_up_unstopped(&mut self, now: Time) {
        while let Some(slot) = self.dials.take_unstopped(now) {
            self.connections.change(slot, |entry| entry.give_up_permit());
        }
    }

    /// A dial was dropped before its end: its runtime has ended or never ran it. No task may be
    /// spawned from here, so the waiters are woken to dial from where they are polled.
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
}

const IN_FLIGHT: &str = "a dial is in flight until it has ended";
