//! The demand of waiters: what is on its way to them, and which pings and dials to start.

use std::time::Duration;

use super::HostState;
use super::membership::Phase;
use crate::engine::connections::entry::State;
use crate::engine::{Common, Parts, Purpose, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// The dial of a shared connection counts as on its way for at least this long. It is less than the
/// time after which a lost packet is sent again, which is too long for all the callers that would
/// share the connection.
const DIAL_COUNTS: Span = Span::from_nanos(1_000_000_000);

impl<P: Parts> HostState<P> {
    /// Returns how many waiters the dials and pings in flight will probably serve. Each kind counts
    /// for a limited time:
    ///
    /// - An exclusive dial counts until it ends. The dial of a shared connection counts for the
    ///   leases that it is expected to carry, and only for as long as dials usually take: otherwise
    ///   many callers would wait for one that hangs. A dial that has hung since before the second
    ///   failure in a row does not count.
    /// - A ping counts for `ping_counts`: a peer that has not answered by then may be dead. A
    ///   connection whose heartbeat is late does not count.
    ///
    /// Loans are no reason not to dial: see [`may_be_served`](HostState::may_be_served), which
    /// counts them.
    pub(super) fn on_its_way(&self, now: Time, limits: &Limits) -> usize {
        let dials = self.dials_that_count(now).saturating_mul(self.dials.carries());
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

    /// Returns how many waiters the dials in flight will probably serve: one each, or as many as
    /// share a connection.
    pub(super) fn dials_that_count(&self, now: Time) -> usize {
        let (is_shared, in_vain_since) = (self.dials.carries() > 1, self.in_vain_since());
        if self.connections.gauges().dialing == 0
            || (!is_shared && in_vain_since.is_none() && !self.dials.has_doomed())
        {
            return self.connections.gauges().dialing as usize;
        }
        let counts_for = if is_shared { self.dial_counts() } else { Span::FOREVER };
        self.dials.counting(in_vain_since, counts_for, now) + self.retired_dials_that_count()
    }

    /// Counts the retired dials: each serves one of the waiters that joined before it was retired.
    fn retired_dials_that_count(&self) -> usize {
        let (count, at) = self.dials.retired();
        self.waiters.as_ref().map_or(0, |waiters| waiters.came_before(at, count))
    }

    /// Returns when a dial stops counting as on its way, for waiters of a shared connection, or
    /// after a failure.
    pub(super) fn next_dial_to_count(&self, section: &Section<'_, P>) -> Time {
        let is_limited = section.common.is_shared() || self.failing().is_some();
        if !is_limited || self.waiting() == 0 {
            return Time::NEVER;
        }
        self.dials.next(self.dial_counts(), section.now)
    }

    /// Returns how long a dial counts as on its way for callers that would share its connection,
    /// and as the attempt after a failure.
    pub(super) fn dial_counts(&self) -> Span {
        let usual = self.usual_dial().map_or(Span::ZERO, |usual| Span::from(usual * 4));
        usual.max(DIAL_COUNTS)
    }

    /// Returns the average time of the host's dials, if one has succeeded.
    pub(super) fn usual_dial(&self) -> Option<Duration> {
        let dialing = self.connections.gauges().dialing;
        let ended = self.counters.dials.saturating_sub(u64::from(dialing));
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
            .min(self.dials_after_failure(now, |failing| self.dial_at(failing, now, limits)))
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
        if section.common.ledger.is_none() {
            self.dial_as_wanted(section);
        }
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
        if section.common.ledger.is_some() {
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
        self.settle_request(|| false);
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

    /// Returns the next connection to lend that must be pinged first.
    fn slot_to_ping(&self, now: Time, common: &Common<P>) -> Option<u32> {
        let generation = self.connections.generation();
        self.choose(common, |entry| !entry.pinged && !entry.is_fit(generation, now, &common.limits))
    }
}
