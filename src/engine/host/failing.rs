//! The effect of failed dials: how long a host backs off, and what still counts as on its way.
//!
//! Turns tell what began before an event from what began after it. Dials that were in flight
//! together when one of them failed count as one failure. After two failures in a row, what
//! began before them will probably serve no waiter.

use super::HostState;
use super::dial::Failed;
use crate::engine::connections::entry::{Entry, State};
use crate::engine::work::dials::Dial;
use crate::engine::{Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// The state after a failed dial.
#[derive(Debug)]
pub(crate) struct Failing<F> {
    pub(super) failure: F,
    pub(super) at: Time,
    /// Failures in a row. Dials in flight together count as one.
    pub(in crate::engine) failures: u32,
    /// Those of them since a connection last returned.
    without_return: u32,
    /// The host's turn at the last failure. Dials that started after it have a later one.
    turn: u64,
    /// The end of the backoff.
    pub(in crate::engine) until: Time,
    /// The end of the backoff while callers wait for the host.
    until_wanted: Time,
    /// When the host may be forgotten in spite of the failure.
    pub(super) kept_until: Time,
    /// How long the dial took.
    pub(super) took: Span,
    /// The waiters wait for the next dial.
    retried: bool,
    pub(super) outage: Outage,
}

/// The time from the first failed dial until one succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) since: Time,
    pub(crate) failed_dials: u64,
    /// Callers that got an error of these dials.
    pub(crate) told: u64,
}

/// The failures in a row, with no return in between, after which nothing older counts as on its
/// way.
const IN_VAIN: u32 = 2;

/// A failed host is remembered as long as an idle connection would be kept, so that occasional
/// callers see a single outage; but no longer than this, because it may never be used again.
const KEPT: Span = Span::from_nanos(90_000_000_000);

impl<P: Parts> HostState<P> {
    pub(in crate::engine) fn failing(&self) -> Option<&Failing<P::Failure>> {
        self.rare.as_ref()?.failing.as_ref()
    }

    /// A dial has failed. If another one that was in flight with it has failed before, this changes
    /// nothing. Returns whether an outage begins.
    pub(super) fn note_failure(
        &mut self,
        dial: &Dial,
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) -> bool {
        let retried = failed.retryable && section.common.limits.retry;
        let Failed { failure, took, .. } = failed;
        let (now, next_turn) = (section.now, self.connections.next_turn());
        let rare = self.rare();
        if let Some(failing) = rare.failing.as_mut().filter(|failing| dial.turn <= failing.turn) {
            failing.outage.failed_dials += 1;
            let old = std::mem::replace(&mut failing.failure, failure);
            section.actions.unused.failures.push(old);
            return false;
        }
        let old = rare.failing.take();
        let has_returned = old.as_ref().is_none_or(|old| old.has_returned(next_turn));
        let counted =
            |n: fn(&Failing<_>) -> u32| old.as_ref().map_or(1, |old| n(old).saturating_add(1));
        let failures = counted(|old| old.failures);
        let (backoff, random) = (section.common.limits.backoff, section.random);
        let wait = backoff.wait(failures, random);
        let begins = Outage { since: now, failed_dials: 0, told: 0 };
        let outage = old.as_ref().map_or(begins, |old| old.outage);
        rare.failing = Some(Failing {
            failure,
            at: now,
            failures,
            without_return: if has_returned { 1 } else { counted(|old| old.without_return) },
            turn: next_turn,
            until: now.after(wait),
            until_wanted: now.after(backoff.wait_while_wanted(failures, random)),
            kept_until: now.after(wait.max(section.common.limits.idle_timeout.min(KEPT))),
            took: Span::from(took),
            retried,
            outage: Outage { failed_dials: outage.failed_dials + 1, ..outage },
        });
        self.connections.take_turn();
        let is_first = old.is_none();
        section.actions.unused.failures.extend(old.map(|old| old.failure));
        is_first
    }

    /// The host was retired: earlier failures say little about later dials.
    pub(super) fn shorten_backoff(&mut self, section: &Section<'_, P>) {
        let shortest = Span::from(section.common.limits.backoff.initial);
        if let Some(failing) = self.rare.as_mut().and_then(|rare| rare.failing.as_mut()) {
            failing.until = failing.until.min(failing.at.after(shortest));
        }
    }

    /// Returns when the next dial may start after a failure, or when the host need not be
    /// remembered because of it.
    pub(super) fn next_dial(&self, section: &Section<'_, P>) -> Time {
        let (now, limits) = (section.now, &section.common.limits);
        let Some(failing) = self.failing().filter(|_| self.room_to_dial(limits) > 0) else {
            return Time::NEVER;
        };
        let times = [failing.until, failing.kept_until, self.dial_at(failing, now, limits)];
        times.into_iter().filter(|&at| at > now).min().unwrap_or(Time::NEVER)
    }

    /// A dial has succeeded. Returns the outage that ends.
    pub(super) fn end_failing(&mut self, section: &mut Section<'_, P>) -> Option<Outage> {
        let failing = self.rare.as_mut()?.failing.take()?;
        section.actions.unused.failures.push(failing.failure);
        Some(failing.outage)
    }

    /// Returns whether anything open or in flight will probably serve a waiter. A ping counts for a
    /// limited time. A dial and a loan count until the second failure in a row that began after
    /// them with no return in between, and a loan only while its connection may be lent again.
    pub(super) fn may_be_served(&self, now: Time, limits: &Limits) -> bool {
        if self.served_by_pings(now, limits) > 0 || self.dials_that_count(now) > 0 {
            return true;
        }
        let comes_back =
            |entry: &Entry<P>| entry.state == State::InUse && entry.is_over(now, limits).is_none();
        self.in_vain_since().is_none()
            && self.connections.iter().any(|(_, entry)| comes_back(entry))
    }

    /// Reports the error to callers that were waiting when dials failed in a row, if nothing will
    /// serve them any more: what was to serve them is gone, and the next dial is far off.
    pub(super) fn tell_of_failure(&mut self, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        let is_far = |failing: &&Failing<P::Failure>| {
            failing.is_in_a_row() && !failing.retried && now < self.dial_at(failing, now, limits)
        };
        let Some(failing) = self.failing().filter(is_far) else { return };
        if self.waiting() == 0 || self.may_be_served(now, limits) {
            return;
        }
        let (at, failure) = (failing.at, failing.failure.clone());
        self.answer_failed(&failure, Some(at), section);
        section.actions.unused.failures.push(failure);
    }

    /// Returns the turn of the last failure, if what began before it will probably serve no waiter.
    pub(super) fn in_vain_since(&self) -> Option<u64> {
        let failing =
            self.failing().filter(|failing| failing.is_in_vain(self.connections.next_turn()));
        failing.map(|failing| failing.turn)
    }

    /// Returns whether a dial is in flight that started after the last failure and has not taken
    /// longer than dials usually do.
    fn is_tried(&self, failing: &Failing<P::Failure>, now: Time) -> bool {
        self.dials.is_tried(failing.turn, self.dial_counts(), now)
    }

    /// Returns how many dials the last failure allows: one at a time, unless that one hangs, and
    /// none before its time.
    pub(super) fn dials_after_failure(
        &self,
        now: Time,
        at: impl FnOnce(&Failing<P::Failure>) -> Time,
    ) -> usize {
        match self.failing() {
            None => usize::MAX,
            Some(failing) if self.is_tried(failing, now) => 0,
            Some(failing) => usize::from(now >= at(failing)),
        }
    }

    /// Returns when the next dial for waiters may start: at the end of the backoff while callers
    /// wait, but no later than after half of the time that the oldest waiter had left when the
    /// backoff began or when it joined. For a waiter that has joined since and that nothing else
    /// can serve, it may start at once, but never sooner than the shortest backoff.
    pub(super) fn dial_at(
        &self,
        failing: &Failing<P::Failure>,
        now: Time,
        limits: &Limits,
    ) -> Time {
        let ends = self.waiters.as_ref().and_then(|waiters| waiters.oldest_and_newest());
        let Some((oldest, newest)) = ends else { return failing.until };
        let soonest = failing.at.after(Span::from(limits.backoff.initial));
        if newest.since >= failing.at && !self.may_be_served(now, limits) {
            return soonest.min(failing.until);
        }
        let from = failing.at.max(oldest.since);
        let half = Span::from(oldest.deadline.since(from) / 2);
        failing.until_wanted.min(failing.until).min(soonest.max(from.after(half)))
    }
}

impl<F> Failing<F> {
    /// Counts callers that got the error.
    pub(super) fn tell(&mut self, callers: u64) {
        self.outage.told += callers;
    }

    pub(super) fn is_in_a_row(&self) -> bool {
        self.failures >= IN_VAIN
    }

    /// Returns whether a connection has returned since, judging by the host's next turn.
    fn has_returned(&self, next_turn: u64) -> bool {
        next_turn > self.turn + 1
    }

    fn is_in_vain(&self, next_turn: u64) -> bool {
        self.without_return >= IN_VAIN && !self.has_returned(next_turn)
    }
}
