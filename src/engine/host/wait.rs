//! The caller's side of a wait: join the queue, give up, poll again.

use std::sync::Arc;

use super::HostState;
use super::membership::Phase;
use crate::engine::connections::entry::State;
use crate::engine::queue::waiters::{Seat, Waiter, Waiters};
use crate::engine::{Common, Loan, Parts, Section};
use crate::policy::time::{Span, Time};

/// What [`HostState::join`] did.
pub(crate) enum Joined<P: Parts> {
    /// The number of callers that waited already.
    Queued {
        ahead: usize,
    },
    /// A connection has become idle since the last attempt.
    Lent(Loan<P>),
    /// `max_waiters_per_host` callers wait already.
    Full,
    Closed,
    /// The host is not in the directory.
    NotListed,
}

impl<P: Parts> HostState<P> {
    /// Joins the queue if that is all there is to do: every place is taken, there are waiters
    /// already, and one more starts nothing. Returns how many waited already.
    #[inline]
    pub(crate) fn join_crowd(
        &mut self,
        waiter: &Arc<Waiter<P>>,
        common: &Common<P>,
    ) -> Option<usize> {
        let nothing_begins = self.is_taken(common);
        let waiters = self.waiters.as_mut().filter(|_| nothing_begins)?;
        let ahead = waiters.len();
        if ahead == 0
            || ahead >= common.limits.max_waiters_per_host
            || waiter.watched() < self.look_at
        {
            return None;
        }
        waiters.push(waiter.clone());
        self.note_peak_waiting(ahead + 1);
        Some(ahead)
    }

    fn note_peak_waiting(&mut self, waiting: usize) {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        if waiting > self.counters.peak_waiting {
            self.counters.peak_waiting = waiting;
        }
    }

    /// Leaves the queue if that is all there is to do: every place is taken, there are other
    /// waiters, and one less starts or ends nothing. Returns the waker that is not needed any more.
    #[inline]
    pub(crate) fn leave_crowd(
        &mut self,
        waiter: &Waiter<P>,
        now: Time,
        common: &Common<P>,
    ) -> Option<P::Waker> {
        let nothing_changes = self.is_taken(common) && self.waiting() > 1;
        let rare = self.rare.as_mut().filter(|_| nothing_changes)?;
        let mut seat = waiter.seat.lock();
        // A waiter that was woken without an outcome was to start what others need.
        let Seat::Waiting(waker @ Some(_)) = &mut *seat else { return None };
        let waker = waker.take();
        *seat = Seat::Gone;
        drop(seat);
        self.waiters.as_mut()?.cancel(waiter, now);
        self.counters.wait_time += now.span_since(waiter.since);
        rare.counters.cancelled += 1;
        waker
    }

    /// Returns whether every place is taken, no dial, ping or close brings one, and nobody notes who
    /// waits.
    fn is_taken(&self, common: &Common<P>) -> bool {
        self.calm
            && !self.connections.has_room()
            && self.connections.gauges().places >= self.membership.max()
            // A section gives up the places of late closes, also where maintenance stands still.
            && self.connections.gauges().closing == 0
            // Where one of them turns out to be slow, it may make room for those who wait.
            && self.connections.gauges().dialing == 0
            && self.pings().is_empty()
            && self.pings().resets() == 0
            && common.limits.deadlock_after == Span::FOREVER
    }

    /// Tries the idle connections once more, and joins the queue. Both happen under one lock, so no
    /// caller is overtaken.
    pub(crate) fn join(
        &mut self,
        waiter: &Arc<Waiter<P>>,
        section: &mut Section<'_, P>,
    ) -> Joined<P> {
        if !self.membership.is_listed() {
            return Joined::NotListed;
        }
        if self.membership.phase() == Phase::Closed {
            return Joined::Closed;
        }
        if let Some(loan) = self.lend_any(waiter.borrower(), section) {
            return Joined::Lent(loan);
        }
        let ahead = self.waiting();
        if self.is_crowded(section) {
            self.rare().counters.refused += 1;
            return Joined::Full;
        }
        if ahead == 0 {
            self.begin_to_ask(section);
        }
        let order = section.common.limits.order;
        self.waiters.get_or_insert_with(|| Box::new(Waiters::new(order))).push(waiter.clone());
        self.minimum.use_it();
        self.dials.unstrand();
        self.note_peak_waiting(ahead + 1);
        section.actions.self_wait = self.begin_wait(waiter);
        Joined::Queued { ahead }
    }

    /// Returns whether the queue is full. Waiters that a ping or dial in flight will serve, or for
    /// which there is room to dial, do not count: even with a limit of zero, a dial serves its
    /// caller.
    fn is_crowded(&self, section: &Section<'_, P>) -> bool {
        let limits = &section.common.limits;
        if limits.max_waiters_per_host == usize::MAX {
            return false;
        }
        let dials = self.dials_that_count();
        let gauges = self.connections.gauges();
        let places = self.membership.max().saturating_sub(gauges.places) as usize;
        let free = if section.common.is_total_full() { 0 } else { places };
        // A slow dial makes room.
        let room = free.saturating_add(self.dials.slow().map_or(0, |(slow, _)| slow));
        let made = dials.saturating_add(room).saturating_mul(self.dials.carries());
        // Pinged or reset, or about to be.
        let pings = self.pings();
        let slots = pings.iter().map(|(slot, _)| slot).chain(pings.awaiting_reset());
        let pinged = slots.filter(|slot| {
            matches!(self.connections[*slot].state, State::Pinging | State::AwaitsReset)
        });
        let pinged: usize = pinged.map(|slot| self.connections[slot].room()).sum();
        let served = made.saturating_add(pinged).saturating_add(self.connections.with_room());
        self.waiting() >= limits.max_waiters_per_host.saturating_add(served)
    }

    /// A waiter was woken without an outcome: it leaves another waker, and starts the dials that
    /// could not be started for it. Returns the waker that is not needed any more: its own if there
    /// is an outcome by now.
    pub(crate) fn look_again(&mut self, waiter: &Waiter<P>, waker: P::Waker) -> Option<P::Waker> {
        self.dials.unstrand();
        match &mut *waiter.seat.lock() {
            Seat::Waiting(old) => old.replace(waker),
            _ => Some(waker),
        }
    }

    /// Gives up a wait. A connection that has arrived by then is returned, not lost.
    pub(crate) fn give_up(
        &mut self,
        waiter: &Waiter<P>,
        expired: bool,
        section: &mut Section<'_, P>,
    ) -> Option<Seat<P>> {
        let now = section.now;
        let was_waiting = self.waiters.as_mut().is_some_and(|waiters| waiters.cancel(waiter, now));
        let seat = std::mem::replace(&mut *waiter.seat.lock(), Seat::Gone);
        if was_waiting {
            self.end_wait(waiter.task);
            self.dials.unstrand();
            self.counters.wait_time += section.now.span_since(waiter.since);
        }
        if was_waiting || !expired {
            let counters = &mut self.rare().counters;
            counters.timed_out += u64::from(expired);
            counters.cancelled += u64::from(!expired);
        }
        if !expired {
            self.uncount(&seat);
        }
        match seat {
            Seat::Waiting(waker) => {
                section.actions.unused.wakers.extend(waker);
                None
            }
            Seat::Gone => None,
            seat => Some(seat),
        }
    }

    /// A connection in the seat of a waiter that gave up counts as not lent.
    fn uncount(&mut self, seat: &Seat<P>) {
        match seat {
            Seat::Served(_) => self.counters.served -= 1,
            Seat::Failed(_) => self.rare().counters.failed -= 1,
            Seat::Closed => self.rare().counters.shut_out -= 1,
            Seat::Waiting(_) | Seat::Gone => {}
        }
    }

    /// Gives every waiter this outcome.
    pub(super) fn answer_all(
        &mut self,
        outcome: impl Fn() -> Seat<P>,
        section: &mut Section<'_, P>,
    ) -> u64 {
        self.answer_while(|_| true, outcome, section)
    }

    /// Gives the error of a failed dial to all waiters, or to those that joined before this time.
    pub(super) fn answer_failed(
        &mut self,
        failure: &P::Failure,
        before: Option<Time>,
        section: &mut Section<'_, P>,
    ) {
        let is_told = |waiter: &Waiter<P>| before.is_none_or(|time| waiter.since < time);
        let told = self.answer_while(is_told, || Seat::Failed(failure.clone()), section);
        if told > 0 {
            let rare = self.rare();
            rare.counters.failed += told;
            if let Some(failing) = &mut rare.failing {
                failing.tell(told);
            }
        }
    }

    /// Gives the first waiters this outcome, as long as it applies to them.
    fn answer_while(
        &mut self,
        is_for: impl Fn(&Waiter<P>) -> bool,
        outcome: impl Fn() -> Seat<P>,
        section: &mut Section<'_, P>,
    ) -> u64 {
        let now = section.now;
        let HostState { waiters, counters, rare, .. } = self;
        let mut tasks = rare.as_mut().and_then(|rare| rare.tasks.as_deref_mut());
        let Some(waiters) = waiters else { return 0 };
        let mut answered = 0;
        while waiters.front().is_some_and(|waiter| is_for(waiter)) {
            let waker = waiters.resolve_oldest(|waiter| {
                counters.wait_time += now.span_since(waiter.since);
                if let (Some(tasks), Some(task)) = (tasks.as_deref_mut(), waiter.task) {
                    tasks.end_wait(task);
                }
                outcome()
            });
            section.actions.wake.extend(waker);
            answered += 1;
        }
        answered
    }

    /// Maintenance has ended: the waiters whose deadlines it watched poll again.
    pub(crate) fn maintenance_lost(&mut self, section: &mut Section<'_, P>) {
        if let Some(waiters) = &mut self.waiters {
            waiters.wake_watched(&mut section.actions.wake);
        }
    }
}
