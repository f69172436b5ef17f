//! The demand of waiters: what is on its way to them, and which pings and dials to start.

use std::time::Duration;

use super::HostState;
use super::dial::Failed;
use super::failing::{Failing, waits};
use super::membership::Phase;
use crate::engine::connections::entry::State;
use crate::engine::work::dials::Wanted;
use crate::engine::work::dials::pace::For;
use crate::engine::{Common, Parts, Purpose, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

impl<P: Parts> HostState<P> {
    /// Returns how many waiters the dials and pings in flight will probably serve. Each kind counts
    /// for a limited time:
    ///
    /// - A dial counts until it is slow, for the leases that its connection is expected to carry.
    /// - A ping counts for `ping_counts`: a peer that has not answered by then may be dead. Then the
    ///   others probably are, too, and no ping counts until one is answered or a dial succeeds. A connection whose heartbeat is late does not
    ///   count.
    ///
    /// Loans are no reason not to dial: see [`may_be_served`](HostState::may_be_served), which
    /// counts them.
    pub(super) fn on_its_way(&self, now: Time, limits: &Limits) -> usize {
        let dials = self.dials_that_count().saturating_mul(self.dials.carries());
        if self.pings().is_one_silent(now, limits) {
            return dials;
        }
        dials.saturating_add(self.served_by_pings(now, limits))
    }

    /// Returns how many waiters the pings in flight that count will serve if they are answered.
    pub(super) fn served_by_pings(&self, now: Time, limits: &Limits) -> usize {
        let counting = self.pings().iter().filter(|(_, ping)| ping.counts(now, limits));
        counting.fold(0, |sum: usize, (slot, _)| sum.saturating_add(self.room_after(slot)))
    }

    /// Returns how many leases a pinged entry will take when it has answered.
    fn room_after(&self, slot: u32) -> usize {
        let entry = &self.connections[slot];
        if entry.state == State::Pinging { entry.room() } else { 0 }
    }

    /// Returns how many of the dials in flight will probably serve waiters.
    pub(super) fn dials_that_count(&self) -> usize {
        self.dials.young() as usize + self.retired_dials_that_count()
    }

    /// Counts the retired dials: each serves one of the waiters that joined before it was retired.
    fn retired_dials_that_count(&self) -> usize {
        let (count, at) = self.dials.retired();
        if count == 0 {
            return 0;
        }
        self.waiters.as_ref().map_or(0, |waiters| waiters.came_before(at, count))
    }

    /// Returns the average time of the host's dials, if one has succeeded.
    pub(super) fn usual_dial(&self) -> Option<Duration> {
        let ended = self.counters.dials.saturating_sub(self.dials.in_flight() as u64);
        let made = u32::try_from(ended.saturating_sub(self.failed_dials())).ok()?;
        Duration::from(self.counters.dial_time).checked_div(made)
    }

    /// Returns how many dials to start now for waiters, by this host's own limits.
    pub(super) fn dials_for_waiters(&self, now: Time, limits: &Limits) -> usize {
        self.dials_for(self.waiting(), now, limits)
    }

    /// The same for this many waiters.
    pub(super) fn dials_for(&self, waiting: usize, now: Time, limits: &Limits) -> usize {
        if waiting == 0 {
            return 0;
        }
        let unmet = waiting.saturating_sub(self.on_its_way(now, limits));
        if unmet == 0 || self.dials.is_stranded() {
            return 0;
        }
        let wanted = unmet.div_ceil(self.dials.carries());
        wanted
            .min(self.room_to_dial(limits))
            .min(self.dials.allowed(self.next_for_waiters(now, limits), now))
    }

    /// Starts what waiters need: leases on fit connections, pings of those that may become fit,
    /// then dials. In a pool with a budget, dials start in [`account`](HostState::account).
    pub(super) fn meet_demand(&mut self, section: &mut Section<'_, P>) {
        if self.membership.phase() == Phase::Closed {
            return;
        }
        self.use_what_is_there(section);
        self.begin_spare_resets(section);
        self.ping_suspects(section);
        if section.common.ledger().is_none() {
            self.dial_as_wanted(section);
        }
    }

    /// Finds the dials that have become slow: they count for nobody from now on.
    pub(super) fn judge_dials(&mut self, section: &Section<'_, P>) {
        if section.now >= self.dials.next() {
            self.dials.judge(waits(section), section.now);
        }
    }

    /// Where the next dial is due and there is no room for it, the oldest slow one makes room, one
    /// at a time; also for other hosts. Its waiters are told when its time-out passes. Returns
    /// whether one does.
    pub(super) fn cut_off_slow(&mut self, section: &mut Section<'_, P>) -> bool {
        if !self.dials.has_slow() {
            return false;
        }
        let (now, time_out) = (section.now, section.common.limits.connect_timeout);
        let here = self.is_due_without_room(section).then_some(Wanted::Here);
        let wanted = [self.is_wanted_elsewhere(section.common), here];
        let mut cut_offs =
            wanted.into_iter().flatten().map(|w| self.dials.cut_off_slow(time_out, w, now));
        let stop = cut_offs.find_map(|stop| stop);
        let is_cut_off = stop.is_some();
        section.actions.stop.extend(stop);
        is_cut_off
    }

    /// Returns whether a dial is due for which the host has no place, or no permit.
    fn is_due_without_room(&self, section: &Section<'_, P>) -> bool {
        let (now, limits) = (section.now, &section.common.limits);
        if self.room_to_dial(limits) > 0 {
            return self.share.is_short();
        }
        let allowed = |next| self.dials.allowed(next, now) > 0;
        let is_waited_for = self.waiting() > self.on_its_way(now, limits);
        (is_waited_for && allowed(self.next_for_waiters(now, limits)))
            || (self.lacks_spare(limits) > 0 && allowed(self.next_spare(now)))
    }

    /// Tells those who have waited for all of a dial that would have used up its time-out by now.
    pub(super) fn tell_owed(&mut self, section: &mut Section<'_, P>) {
        let (now, limits) = (section.now, &section.common.limits);
        while let Some(began) = self.dials.take_owed(now) {
            let time_out = limits.connect_timeout;
            let failure = P::timed_out(time_out);
            let (took, kept) = (time_out.into(), failure.clone());
            let failed = Failed { failure: kept, retryable: true, took, timed_out: true };
            self.note_slow_dial(failed, section);
            // Another dial may succeed.
            if !limits.retry {
                self.tell_of_time_out(began, &failure, section);
            }
            section.actions.unused.failures.push(failure);
        }
    }

    /// Returns when the next dial for waiters may begin. While the server is down, it is no later
    /// than after half of the time that the oldest waiter had left when the last dial failed or when
    /// it joined, but no sooner than the shortest backoff.
    pub(super) fn next_for_waiters(&self, now: Time, limits: &Limits) -> Time {
        let (pace, open) = (self.dials.pace(), self.open());
        let next = pace.next(For::Waiters, open, now);
        let oldest = self.waiters.as_ref().and_then(|waiters| waiters.oldest());
        let (Some(oldest), Some(failing)) = (oldest, self.failing()) else { return next };
        if next <= now || !pace.is_down(open, now) {
            return next;
        }
        let from = failing.at().max(oldest.since);
        let half = Span::from(oldest.deadline.since(from) / 2);
        let soonest = failing.at().after(Span::from(limits.backoff.initial));
        next.min(soonest.max(from.after(half)))
    }

    /// Returns when the next dial may begin, for those who wait or for nobody; when loans stop
    /// counting; and when the host need not be remembered because of a failure.
    pub(super) fn next_dial(&self, section: &Section<'_, P>) -> Time {
        let (now, limits) = (section.now, &section.common.limits);
        let pace = self.dials.pace();
        if !pace.is_troubled() && self.failing().is_none() && !self.dials.has_slow() {
            return Time::NEVER;
        }
        let (has_room, waits) = (self.room_to_dial(limits) > 0, self.waiting() > 0);
        let when = |is_so: bool, at: Time| if is_so { at } else { Time::NEVER };
        let has_slow = self.dials.has_slow();
        let makes_room = |wanted| self.dials.makes_room_at(limits.connect_timeout, wanted);
        let for_others = has_slow && section.common.ledger().is_some();
        let times = [
            when(waits && (has_room || has_slow), self.next_for_waiters(now, limits)),
            when(has_room || has_slow, self.next_spare(now)),
            when(has_slow, makes_room(Wanted::Here)),
            when(for_others, makes_room(Wanted::Elsewhere { is_their_share: true })),
            when(waits, pace.loans_count_until()),
            self.failing().map_or(Time::NEVER, Failing::kept_until),
        ];
        times.into_iter().filter(|&at| at > now).min().unwrap_or(Time::NEVER)
    }

    /// Gives waiters the fit connections, and pings those that may become fit.
    pub(super) fn use_what_is_there(&mut self, section: &mut Section<'_, P>) {
        if self.waiting() > 0 {
            self.close_expired(section);
            self.serve_waiters(section);
            self.ping_for_waiters(section);
        }
    }

    /// Starts a dial in place of a connection that did not answer, if there is room and it is
    /// needed.
    pub(super) fn replace_by_dial(&mut self, section: &mut Section<'_, P>) {
        if section.common.ledger().is_some() {
            self.account(section);
        } else if self.dials_for_waiters(section.now, &section.common.limits) > 0 {
            self.begin_dial(section);
        }
    }

    fn dial_as_wanted(&mut self, section: &mut Section<'_, P>) {
        let wanted = self.dials_for_waiters(section.now, &section.common.limits);
        (0..wanted).for_each(|_| self.begin_dial(section));
        // One at a time: dials that waiters use are not spare ones.
        while self.dials_to_spare(section) > 0 {
            self.begin_dial(section);
        }
        self.settle_request(|| false, section);
    }

    /// Resets or pings connections that must answer first, one for each waiter that no ping in
    /// flight will serve. Dials race with them: the pinged connection may come first.
    fn ping_for_waiters(&mut self, section: &mut Section<'_, P>) {
        let (now, common) = (section.now, section.common);
        while self.waiting() > self.served_by_pings(now, &common.limits) {
            if self.begin_reset(true, section) {
                continue;
            }
            let Some(slot) = self.slot_to_ping(now, common) else { return };
            self.begin_ping(slot, Purpose::Health, true, section);
        }
    }

    /// A caller that does not wait has found no connection that may be lent as it is. One that must
    /// answer first is pinged for the next: nothing else might. (Not where each loan needs a ping.)
    pub(crate) fn ping_for_the_next_try(&mut self, section: &mut Section<'_, P>) {
        let (now, common) = (section.now, section.common);
        let may = self.membership.is_open()
            && common.limits.ping_after != Span::ZERO
            && self.may_ping_more(&common.limits);
        if let Some(slot) = may.then(|| self.slot_to_ping(now, common)).flatten() {
            self.begin_ping(slot, Purpose::Health, false, section);
        }
    }

    /// Returns the next connection to lend that must be pinged first.
    fn slot_to_ping(&self, now: Time, common: &Common<P>) -> Option<u32> {
        let generation = self.connections.generation();
        self.choose(common, |entry| !entry.pinged && !entry.is_fit(generation, now, &common.limits))
    }
}
