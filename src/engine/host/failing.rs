//! The effect of failed dials: who is told, and how long the host is remembered.
//!
//! Those who wait get the error of a dial when nothing open and no young dial will serve them. The
//! error of a time-out they also get if the dial began within their wait: it has used up what the
//! pool allows a dial.

use super::HostState;
use super::dial::Failed;
use crate::engine::connections::entry::{Entry, State};
use crate::engine::work::dials::pace::Waits;
use crate::engine::work::dials::{Failure, Landed};
use crate::engine::{Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// The state after a failed dial, until one succeeds.
#[derive(Debug)]
pub(crate) struct Failing<F> {
    failure: F,
    at: Time,
    /// When the host may be forgotten in spite of the failure.
    kept_until: Time,
    /// How long the dial took.
    took: Span,
    told: Told,
    outage: Outage,
}

/// Who hears of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// The waiters wait for the next dial.
    Nobody,
    /// All who wait, if nothing will serve them; of the first failure in a row not if the host was
    /// retired during the dial.
    All(bool),
}

/// The time from the first failed dial until one succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) since: Time,
    pub(crate) failed_dials: u64,
    /// Callers that got an error of these dials.
    pub(crate) told: u64,
}

/// A failed host is remembered as long as an idle connection would be kept, so that occasional
/// callers see a single outage; but no longer than this, because it may never be used again.
const KEPT: Span = Span::from_nanos(90_000_000_000);

/// The error of a dial from before `retire` is told from the second failure in a row on.
const IN_A_ROW: u32 = 2;

impl<F> Failing<F> {
    pub(in crate::engine) fn failure(&self) -> &F {
        &self.failure
    }

    pub(super) fn at(&self) -> Time {
        self.at
    }

    pub(super) fn took(&self) -> Span {
        self.took
    }

    pub(super) fn kept_until(&self) -> Time {
        self.kept_until
    }

    /// Counts callers that got the error.
    pub(super) fn tell(&mut self, callers: u64) {
        self.outage.told += callers;
    }
}

impl<P: Parts> HostState<P> {
    pub(in crate::engine) fn failing(&self) -> Option<&Failing<P::Failure>> {
        self.rare.as_ref()?.failing.as_ref()
    }

    /// Returns whether the last dial has failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing().is_some()
    }

    /// Returns how many dials in a row have failed or were slow.
    pub(super) fn troubles(&self) -> u32 {
        self.dials.pace().troubles().max(u32::from(self.is_failing()))
    }

    /// A dial has failed. Returns whether an outage begins.
    pub(super) fn note_failure(
        &mut self,
        dial: &Landed,
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) -> bool {
        if dial.is_news {
            let how =
                if failed.timed_out { Failure::TimedOut } else { Failure::Refused(self.open()) };
            self.dials.failed(dial, how, waits(section), section.now);
        }
        let is_retried = failed.retryable && section.common.limits.retry;
        let told = if is_retried { Told::Nobody } else { Told::All(dial.retired_at.is_some()) };
        self.keep_failure(failed, told, section)
    }

    /// A dial has used up its time-out, and goes on, or was cut off because it was slow: those who
    /// wait are told when it is their turn. Returns whether an outage begins.
    pub(super) fn note_slow_dial(
        &mut self,
        failed: Failed<P::Failure>,
        section: &mut Section<'_, P>,
    ) -> bool {
        let begins = self.keep_failure(failed, Told::Nobody, section);
        self.end_vain_request(section);
        begins
    }

    fn keep_failure(
        &mut self,
        failed: Failed<P::Failure>,
        told: Told,
        section: &mut Section<'_, P>,
    ) -> bool {
        let (now, limits) = (section.now, &section.common.limits);
        let Failed { failure, took, .. } = failed;
        let kept = now.after(limits.idle_timeout.min(KEPT));
        let kept_until = kept.max(self.next_spare(now));
        let old = self.rare().failing.take();
        let is_first = old.is_none();
        let begins = Outage { since: now, failed_dials: 0, told: 0 };
        let outage = old.as_ref().map_or(begins, |old| old.outage);
        let outage = Outage { failed_dials: outage.failed_dials + 1, ..outage };
        let (at, took) = (now, Span::from(took));
        self.rare().failing = Some(Failing { failure, at, kept_until, took, told, outage });
        section.actions.unused.failures.extend(old.map(|old| old.failure));
        is_first
    }

    /// A dial has succeeded. Returns the outage that ends.
    pub(super) fn end_failing(&mut self, section: &mut Section<'_, P>) -> Option<Outage> {
        let failing = self.rare.as_mut()?.failing.take()?;
        section.actions.unused.failures.push(failing.failure);
        Some(failing.outage)
    }

    /// The host was retired: earlier failures say little about later dials.
    pub(super) fn forgive(&mut self, section: &Section<'_, P>) {
        let shortest = Span::from(section.common.limits.backoff.initial);
        let soonest = self.failing().map_or(section.now, |failing| failing.at.after(shortest));
        self.dials.pace_mut().forgive(soonest);
    }

    /// Returns whether anything open or in flight will probably serve a waiter.
    pub(super) fn may_be_served(&self, now: Time, limits: &Limits) -> bool {
        self.dials_that_count() > 0 || self.open_may_serve(now, limits)
    }

    /// Returns whether anything open will probably serve a waiter: a ping counts for a limited
    /// time, and a loan as long as its connection may be lent again and loans come back.
    pub(super) fn open_may_serve(&self, now: Time, limits: &Limits) -> bool {
        if self.served_by_pings(now, limits) > 0 {
            return true;
        }
        let comes_back =
            |entry: &Entry<P>| entry.state == State::InUse && entry.is_over(now, limits).is_none();
        now < self.dials.pace().loans_count_until()
            && self.connections.gauges().in_use > 0
            && self.connections.iter().any(|(_, entry)| comes_back(entry))
    }

    /// Reports the error to callers that were waiting when a dial failed, if nothing will serve
    /// them any more, and the next dial is far off.
    pub(super) fn tell_of_failure(&mut self, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        if self.waiting() == 0 {
            return;
        }
        let Some(failing) = self.failing() else { return };
        let Told::All(is_retired) = failing.told else { return };
        let is_old_news = is_retired && self.troubles() < IN_A_ROW;
        let is_due = now >= self.next_for_waiters(now, limits);
        if is_old_news || is_due || self.may_be_served(now, limits) {
            return;
        }
        let (at, failure) = (failing.at, failing.failure.clone());
        self.answer_failed(&failure, Some(at), section);
        section.actions.unused.failures.push(failure);
    }

    /// Tells those who wait of a dial that has just failed, and that says something to them.
    pub(super) fn tell_of_end(
        &mut self,
        dial: &Landed,
        (failure, timed_out): (&P::Failure, bool),
        section: &mut Section<'_, P>,
    ) {
        let (now, limits) = (section.now, &section.common.limits);
        if dial.retired_at.is_some() && self.troubles() < IN_A_ROW {
            return;
        }
        if !self.may_be_served(now, limits) {
            // Of a retired dial, only those hear that joined before.
            self.answer_failed(failure, dial.retired_at, section);
        } else if timed_out {
            self.tell_of_time_out(dial.since, failure, section);
        }
    }

    /// A dial that began then has used up its time-out: those hear of it who have waited for all of
    /// it, unless something open will serve them.
    pub(super) fn tell_of_time_out(
        &mut self,
        began: Time,
        failure: &P::Failure,
        section: &mut Section<'_, P>,
    ) {
        if !self.open_may_serve(section.now, &section.common.limits) {
            let just_after = began.after(Span::from_nanos(1));
            self.answer_failed(failure, Some(just_after), section);
        }
    }
}

pub(super) fn waits<P: Parts>(section: &Section<'_, P>) -> Waits {
    Waits { backoff: section.common.limits.backoff, random: section.random }
}
