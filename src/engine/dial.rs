//! Dials: begun for demand, belonging to the host, ended in one of three ways.

use std::time::Duration;

use super::actions::DialOrder;
use super::entry::{Entry, State};
use super::host::Failing;
use super::{HostState, Loan, Parts, Phase, Seat, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Span;

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Dialed<T> {
    pub(crate) connection: T,
    /// Leases that it takes.
    pub(crate) max_leases: usize,
    pub(crate) took: Duration,
}

/// A dial that failed.
pub(crate) struct Failed<F> {
    pub(crate) failure: F,
    /// Whether it makes sense to dial again.
    pub(crate) retryable: bool,
    pub(crate) took: Duration,
}

impl<P: Parts> HostState<P> {
    pub(super) fn begin_dial(&mut self, section: &mut Section<'_, P>) {
        let slot = self.insert(Entry::dialing(section.now, self.generation));
        self.counters.dials += 1;
        let runtime = self.waiters.as_mut().and_then(|waiters| waiters.oldest_runtime());
        section.actions.dial.push(DialOrder { slot, runtime });
    }

    /// A dial has succeeded: its connection serves who waits, or goes idle.
    pub(crate) fn dialed(
        &mut self,
        slot: u32,
        dialed: Dialed<P::Connection>,
        section: &mut Section<'_, P>,
    ) {
        let Dialed { connection, max_leases, took } = dialed;
        self.counters.dial_time += took;
        self.note_dial_time(took, section);
        if let Some(rare) = &mut self.rare {
            let failing = rare.failing.take();
            section.actions.unused.failures.extend(failing.map(|failing| failing.failure));
        }
        self.wake_warmers(section);
        let is_retired = self.entries[slot].retired;
        self.make(slot, Dialed { connection, max_leases, took }, section);
        if is_retired {
            self.drain(slot, CloseReason::Retired, section);
        } else {
            self.settle_proven(slot, section);
        }
    }

    /// A new connection takes the place of its dial.
    pub(super) fn make(
        &mut self,
        slot: u32,
        dialed: Dialed<P::Connection>,
        section: &Section<'_, P>,
    ) {
        let Dialed { connection, max_leases, took } = dialed;
        let (now, limits) = (section.now, &section.common.limits);
        let idle_since = section.common.idle_stamp(section.now);
        let expires =
            now.after(limits.max_lifetime.shortened(limits.lifetime_jitter * section.random));
        let id = section.common.next_id();
        let turn = self.next_turn;
        self.next_turn += 1;
        // A dial that has succeeded is proof of life: what was found dead before says nothing of it.
        let generation = self.generation;
        self.carries = u32::try_from(max_leases).unwrap_or(u32::MAX).max(1);
        let max_leases = self.carries;
        let value = Box::new(Loan { home: None, slot, lease: 0, connection });
        self.change(slot, |entry| {
            entry.value = Some(value);
            entry.state = State::Idle;
            (entry.created, entry.idle_since, entry.checked_at) = (now, idle_since, now);
            (entry.expires, entry.id, entry.turn) = (expires, id, turn);
            entry.generation = generation;
            entry.max_leases = max_leases;
            entry.proof_micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        });
    }

    /// A dial has failed. Where nothing else can serve those who wait, all of them get the error, unless it makes sense
    /// to dial again and they are to wait for that.
    pub(crate) fn dial_failed(
        &mut self,
        slot: u32,
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) {
        let Failed { failure, retryable, took } = failed;
        self.remove(slot);
        if self.gauges.dialing == 0 {
            self.floor = 0;
        }
        self.wake_warmers(section);
        let (now, limits) = (section.now, &section.common.limits);
        let retried = retryable && limits.retry;
        let failures = self.failing().map_or(1, |failing| failing.failures.saturating_add(1));
        let until = now.after(limits.backoff.wait(failures, section.random));
        let took = Span::from(took);
        let failing = Failing { failure: failure.clone(), at: now, failures, until, retried, took };
        let rare = self.rare();
        rare.counters.failed_dials += 1;
        let old = rare.failing.replace(failing);
        section.actions.unused.failures.extend(old.map(|failing| failing.failure));
        // What is idle and was not asked while this dial was to serve them is asked first.
        self.use_what_is_there(section);
        if !self.may_be_served() && self.gauges.dialing == 0 && !retried {
            let told = self.answer_all(|| Seat::Failed(failure.clone()), section);
            self.rare().counters.failed += told;
        }
        // Nobody asks for it and nothing is left: it is not dialed again until somebody does.
        self.used &= self.gauges.places > 0 || self.waiting() > 0;
        section.actions.unused.failures.push(failure);
    }

    /// A dial was dropped before its end: its runtime has gone, or never ran it, or it was cut off. Nothing may be
    /// spawned from here, so those who wait are woken to dial from where they are polled.
    pub(crate) fn dial_lost(&mut self, slot: u32, section: &mut Section<'_, P>) {
        self.remove(slot);
        self.floor = 0;
        self.rare().counters.failed_dials += 1;
        self.wake_warmers(section);
        if self.waiting() == 0 {
            // No dial to spare begins from here, either: it would be lost in the same way.
            self.rare().stranded = true;
            return;
        }
        self.rare().stranded = true;
        // All of them: the oldest may be one that nobody polls any more, because its runtime has ended, too.
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_all(&mut section.actions.wake);
        }
    }

    /// Whether the task of a dial is to stop: nobody can use the pool any more.
    pub(crate) fn stops_dial(&self) -> bool {
        self.phase == Phase::Closed
    }
}
