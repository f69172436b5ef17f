//! Dials: started on demand, owned by the host, ended in one of three ways.

use std::time::Duration;

use super::actions::DialOrder;
use super::entry::{Entry, State};
use super::failing::Outage;
use super::{HostState, Parts, Phase, Section};
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
        let slot = self.insert(Entry::dialing(section.now, self.generation, self.next_turn));
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
        self.wake_warmers(section);
        let dial = &self.entries[slot];
        let (retired_at, is_cut_off) = (dial.expires, dial.cut_off);
        self.note_end_of_dial(is_cut_off || retired_at != Time::NEVER);
        self.make(slot, dialed, section);
        if let Some(rare) = &mut self.rare {
            rare.cut_offs = 0;
        }
        let outage = if is_cut_off { None } else { self.end_failing(section) };
        if retired_at == Time::NEVER && !is_cut_off {
            self.settle_proven(slot, section);
            return outage;
        }
        let oldest = self.waiters.as_mut().and_then(|waiters| waiters.front());
        if !is_cut_off && oldest.is_some_and(|oldest| oldest.since < retired_at) {
            self.serve(slot, section);
        }
        let reason =
            if retired_at == Time::NEVER { CloseReason::OverCap } else { CloseReason::Retired };
        self.drain(slot, reason, section);
        outage
    }

    /// Puts a new connection in the place of its dial.
    pub(super) fn make(
        &mut self,
        slot: u32,
        dialed: Dialed<P::Connection>,
        section: &Section<'_, P>,
    ) {
        let Dialed { id, connection, max_leases, took } = dialed;
        let (now, limits) = (section.now, &section.common.limits);
        let idle_since = section.common.idle_stamp(section.now);
        let expires =
            now.after(limits.max_lifetime.shortened(limits.lifetime_jitter * section.random));
        let turn = self.next_turn;
        self.next_turn += 1;
        // A successful dial is proof of life: connections that were found dead before say nothing
        // about it.
        let generation = self.generation;
        self.carries = u32::try_from(max_leases).unwrap_or(u32::MAX).max(1);
        let max_leases = self.carries;
        self.change(slot, |entry| {
            entry.value = Some(connection);
            entry.state = State::Idle;
            entry.cut_off = false;
            (entry.created, entry.idle_since, entry.checked_at) = (now, idle_since, now);
            (entry.expires, entry.id, entry.turn) = (expires, id, turn);
            entry.generation = generation;
            entry.max_leases = max_leases;
            entry.proof_micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        });
    }

    /// A dial has failed. If nothing else can serve the waiters, all of them get the error, unless
    /// another dial may succeed and they are to wait for it. Returns whether an outage begins.
    pub(crate) fn dial_failed(
        &mut self,
        slot: u32,
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) -> bool {
        let dial = self.remove(slot);
        self.rare().counters.failed_dials += 1;
        self.wake_warmers(section);
        self.note_end_of_dial(dial.cut_off || dial.expires != Time::NEVER);
        if dial.cut_off {
            // The failure says nothing about later dials.
            section.actions.unused.failures.push(failed.failure);
            return false;
        }
        let (now, limits) = (section.now, &section.common.limits);
        let is_retried = failed.retryable && limits.retry;
        let failure = failed.failure.clone();
        let begins = self.note_failure(&dial, failed, section);
        if self.gauges.dialing == 0 {
            self.floor = 0;
        }
        // Idle connections that were not pinged, because this dial was to serve the waiters, are
        // pinged first.
        self.use_what_is_there(section);
        let is_retired = dial.expires != Time::NEVER;
        let is_news = !is_retired || self.failing().is_some_and(|failing| failing.is_in_a_row());
        if is_news && !is_retried && !self.may_be_served(now, limits) {
            // The failure of a retired dial is reported only at the second failure in a row, and
            // only to waiters that joined before.
            let before = is_retired.then_some(dial.expires);
            self.answer_failed(&failure, before, section);
        }
        section.actions.unused.failures.push(failure);
        begins
    }

    /// Cuts off a dial: its task has to stop, and its place is free when it has.
    pub(super) fn cut_off_dial(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let was_retired = self.change(slot, |entry| {
            entry.cut_off = true;
            entry.expires != Time::NEVER
        });
        self.rare().doomed += u32::from(!was_retired);
        section.actions.recheck = true;
    }

    /// The host was retired during the dial: it may serve one waiter that joined before that.
    pub(super) fn retire_dial(&mut self, slot: u32, now: Time) {
        if self.entries[slot].expires == Time::NEVER {
            self.change(slot, |entry| entry.expires = now);
            self.rare().doomed += 1;
        }
    }

    fn note_end_of_dial(&mut self, was_doomed: bool) {
        if was_doomed {
            self.rare().doomed -= 1;
        }
    }

    /// Returns whether a retired or cut off dial is in flight.
    pub(super) fn has_doomed(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.doomed > 0)
    }

    /// Returns how many dials are in flight and not cut off.
    pub(super) fn dials_in_flight(&self) -> u32 {
        if !self.has_doomed() {
            return self.gauges.dialing;
        }
        self.entries.iter().filter(|(_, entry)| entry.is_dialing()).map(|_| 1).sum()
    }

    /// A dial was dropped before its end: its runtime has ended or never ran it, or it was cut off.
    /// No task may be spawned from here, so the waiters are woken to dial from where they are
    /// polled.
    pub(crate) fn dial_lost(&mut self, slot: u32, section: &mut Section<'_, P>) {
        let dial = self.remove(slot);
        self.rare().counters.failed_dials += 1;
        self.wake_warmers(section);
        self.note_end_of_dial(dial.cut_off || dial.expires != Time::NEVER);
        if dial.cut_off && self.phase != Phase::Closed {
            return;
        }
        self.floor = 0;
        // Spare dials do not start from here either: they would be lost in the same way.
        self.rare().stranded = true;
        // All of them: the oldest may not be polled any more, because its runtime has ended, too.
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_all(&mut section.actions.wake);
        }
    }

    /// Returns whether the task of a dial has to stop: it was cut off, or the pool cannot be used
    /// any more.
    pub(crate) fn stops_dial(&self, slot: u32) -> bool {
        self.phase == Phase::Closed || self.entries[slot].cut_off
    }
}
