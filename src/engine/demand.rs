//! The demand of waiters: what is on its way to them, and which pings and dials to start.

use std::time::Duration;

use super::entry::{Entry, State};
use super::{Common, HostState, Parts, Phase, Purpose, Section};
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
        let carries = self.carries.max(1) as usize;
        let dials = self.dials_that_count(now).saturating_mul(carries);
        let pings = self.pings().iter().filter(|ping| ping.counts(now, limits));
        pings.fold(dials, |sum, ping| sum.saturating_add(self.room_after(ping.slot)))
    }

    /// Returns how many leases a pinged entry will take when it has answered.
    pub(super) fn room_after(&self, slot: u32) -> usize {
        let entry = &self.entries[slot];
        if entry.state == State::Pinging { entry.room() } else { 0 }
    }

    /// Returns how many waiters the dials in flight will probably serve: one each, or as many as
    /// share a connection.
    pub(super) fn dials_that_count(&self, now: Time) -> usize {
        let (is_shared, in_vain_since) = (self.carries > 1, self.in_vain_since());
        if self.gauges.dialing == 0 || (!is_shared && in_vain_since.is_none() && !self.has_doomed())
        {
            return self.gauges.dialing as usize;
        }
        let counts_for = if is_shared { self.dial_counts() } else { Span::FOREVER };
        let counts = |entry: &Entry<P>| {
            entry.is_dialing()
                && entry.expires == Time::NEVER
                && in_vain_since.is_none_or(|turn| entry.turn > turn)
                && now < entry.created.after(counts_for)
        };
        let dials = self.entries.iter().filter(|(_, entry)| counts(entry)).count();
        dials + self.retired_dials_that_count()
    }

    /// Counts the retired dials: each serves one of the waiters that joined before it was retired.
    fn retired_dials_that_count(&self) -> usize {
        let is_retired = |entry: &Entry<P>| entry.is_dialing() && entry.expires != Time::NEVER;
        let retired = self.entries.iter().filter(|(_, entry)| is_retired(entry));
        let (count, at) = retired
            .fold((0, Time::START), |(count, at), (_, entry)| (count + 1, at.max(entry.expires)));
        self.waiters.as_ref().map_or(0, |waiters| waiters.came_before(at, count))
    }

    /// Returns how long a dial counts as on its way for callers that would share its connection,
    /// and as the attempt after a failure.
    pub(super) fn dial_counts(&self) -> Span {
        let usual = self.usual_dial().map_or(Span::ZERO, |usual| Span::from(usual * 4));
        usual.max(DIAL_COUNTS)
    }

    /// Returns the average time of the host's dials, if one has succeeded.
    pub(super) fn usual_dial(&self) -> Option<Duration> {
        let ended = self.counters.dials.saturating_sub(u64::from(self.gauges.dialing));
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
        if unmet == 0 || self.is_stranded() {
            return 0;
        }
        let wanted = unmet.div_ceil(self.carries.max(1) as usize);
        wanted
            .min(self.room_to_dial(limits))
            .min(self.dials_after_failure(now, |failing| self.dial_at(failing, now, limits)))
    }

    /// Returns how many dials to start now for `initial_per_host`, `warm` and `min_idle_per_host`.
    pub(super) fn dials_to_spare(&self, now: Time, limits: &Limits) -> usize {
        // After a failure, a host without handles, waiters and connections is not dialed until a
        // caller comes.
        let is_needed = self.failing().is_none()
            || self.gauges.places > 0
            || self.waiting() > 0
            || self.handles > 0;
        if !(self.used && is_needed)
            || self.phase != Phase::Open
            || self.is_stranded()
            || (self.floor == 0 && limits.min_idle_per_host == 0)
        {
            return 0;
        }
        let (dialing, idle) = (self.gauges.dialing as usize, self.gauges.idle as usize);
        let unclaimed =
            dialing.saturating_sub(self.waiting().div_ceil(self.carries.max(1) as usize));
        // A connection that would be closed as soon as it is idle is not worth a dial.
        let keeps = (self.gauges.in_use as usize).saturating_add(limits.max_idle_per_host);
        let to_floor = (self.floor as usize).min(keeps).saturating_sub(self.gauges.live() as usize);
        let to_idle = limits.min_idle_per_host.saturating_sub(idle + unclaimed);
        let wanted = to_floor.max(to_idle);
        let allowed = self.dials_after_failure(now, |failing| failing.until);
        wanted.min(self.room_to_dial(limits)).min(allowed)
    }

    /// Starts what waiters need: leases on fit connections, pings of those that may become fit,
    /// then dials. In a pool with a budget, dials start in [`account`](HostState::account).
    pub(super) fn meet_demand(&mut self, section: &mut Section<'_, P>) {
        if self.phase == Phase::Closed {
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
        let (now, limits) = (section.now, &section.common.limits);
        (0..self.dials_for_waiters(now, limits)).for_each(|_| self.begin_dial(section));
        // One at a time: dials that waiters use are not spare ones.
        while self.dials_to_spare(now, limits) > 0 {
            self.begin_dial(section);
        }
        self.settle_floor(|| false);
    }

    /// Resets or pings connections that must answer first, one for each waiter that no ping in
    /// flight will serve. Dials race with them: the pinged connection may come first.
    fn ping_for_waiters(&mut self, section: &mut Section<'_, P>) {
        let (now, common) = (section.now, section.common);
        let pinged = |host: &Self| -> usize {
            let pings = host.pings().iter().filter(|ping| ping.counts(now, &common.limits));
            pings.fold(0, |sum: usize, ping| sum.saturating_add(host.room_after(ping.slot)))
        };
        while self.waiting() > pinged(self) {
            if self.begin_reset(true, section) {
                continue;
            }
            let Some(slot) = self.slot_to_ping(now, common) else { return };
            self.begin_ping(slot, Purpose::Health, true, section);
        }
    }

    /// Returns the next connection to lend that must be pinged first.
    fn slot_to_ping(&self, now: Time, common: &Common<P>) -> Option<u32> {
        let limits = &common.limits;
        self.choose(common, |slot| {
            let entry = &self.entries[*slot];
            !entry.is_fit(self.generation, now, limits) && !self.is_pinged(*slot)
        })
    }

    /// Ends the request for more connections once it is met, or when no dial for it is in flight or
    /// will start. `is_full` tells whether the caps on connections leave no room in any host.
    pub(super) fn settle_floor(&mut self, is_full: impl FnOnce() -> bool) {
        if !self.used || self.floor == 0 {
            return;
        }
        let is_met = self.gauges.live() - self.gauges.dialing >= self.floor;
        let is_on_its_way = self.is_to_be_dialed() || (self.is_short_to_spare() && !is_full());
        if is_met || !is_on_its_way {
            self.floor = 0;
        }
    }

    /// Returns whether dials for connections made in advance are in flight, or start when a close
    /// has ended.
    pub(super) fn is_to_be_dialed(&self) -> bool {
        self.gauges.dialing > 0 || (self.gauges.closing > 0 && self.floor > self.gauges.live())
    }

    /// Returns whether permits are missing for connections made in advance.
    pub(super) fn is_short_to_spare(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.spare > 0)
    }
}
