//! What those who wait are owed: what is on its way to them, which pings and dials begin, and when not.

use super::entry::State;
use super::{Common, HostState, Parts, Phase, Purpose, Section};
use crate::policy::limits::Limits;
use crate::policy::time::Time;

impl<P: Parts> HostState<P> {
    /// How many waiters what is on its way will probably serve. Each kind counts for a limited time:
    ///
    /// - A dial counts until it ends, for the leases that its connection is expected to carry.
    /// - A ping counts for `ping_counts`: a peer that has not answered by then may be dead. One whose heartbeat is
    ///   late does not count.
    pub(super) fn on_its_way(&self, now: Time, limits: &Limits) -> usize {
        let dials = (self.gauges.dialing as usize).saturating_mul(self.carries.max(1) as usize);
        let pings = self.pings().iter().filter(|ping| ping.counts(now, limits));
        pings.fold(dials, |sum, ping| sum.saturating_add(self.room_after(ping.slot)))
    }

    /// Leases that a pinged entry will take when it has answered.
    fn room_after(&self, slot: u32) -> usize {
        let entry = &self.entries[slot];
        if entry.state == State::Pinging { entry.room() } else { 0 }
    }

    /// Whether anything that is open may serve a waiter, in time.
    pub(super) fn may_be_served(&self) -> bool {
        let lent = |state: State| matches!(state, State::InUse | State::Pinging);
        self.entries.iter().any(|(_, entry)| lent(entry.state))
    }

    /// Dials to begin now for waiters, if this host's own limits were all there is.
    pub(super) fn dials_for_waiters(&self, now: Time, limits: &Limits) -> usize {
        self.dials_for(self.waiting(), now, limits)
    }

    /// The same, if this many waited.
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
            .min(self.dials_after_failure(now, self.may_be_served()))
    }

    /// Dials to begin now for `initial_per_host`, `warm` and `min_idle_per_host`.
    pub(super) fn dials_to_spare(&self, now: Time, limits: &Limits) -> usize {
        if !self.used
            || self.phase != Phase::Open
            || self.is_stranded()
            || (self.floor == 0 && limits.min_idle_per_host == 0)
        {
            return 0;
        }
        let (dialing, idle) = (self.gauges.dialing as usize, self.gauges.idle as usize);
        let unclaimed =
            dialing.saturating_sub(self.waiting().div_ceil(self.carries.max(1) as usize));
        // What would be closed as soon as it is idle is not worth a dial.
        let keeps = (self.gauges.in_use as usize).saturating_add(limits.max_idle_per_host);
        let to_floor = (self.floor as usize).min(keeps).saturating_sub(self.gauges.live() as usize);
        let to_idle = limits.min_idle_per_host.saturating_sub(idle + unclaimed);
        let wanted = to_floor.max(to_idle);
        wanted.min(self.room_to_dial(limits)).min(self.dials_after_failure(now, true))
    }

    /// Dials that the last failure allows: one at a time, and none before the backoff ends unless somebody waits who
    /// nothing else can serve.
    fn dials_after_failure(&self, now: Time, can_wait: bool) -> usize {
        match self.failing() {
            None => usize::MAX,
            Some(_) if self.gauges.dialing > 0 => 0,
            Some(failing) => usize::from(now >= failing.until || !(can_wait || failing.retried)),
        }
    }

    /// Begins what those who wait are owed: leases on what is fit, pings of what would do, then dials. Dials of a pool
    /// with a budget begin in [`account`](HostState::account).
    pub(super) fn meet_demand(&mut self, section: &mut Section<'_, P>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.use_what_is_there(section);
        self.ping_suspects(section);
        if section.common.ledger.is_none() {
            self.dial_as_wanted(section);
        }
    }

    /// Gives waiters what is fit, and pings what would do.
    pub(super) fn use_what_is_there(&mut self, section: &mut Section<'_, P>) {
        if self.waiting() > 0 {
            self.close_expired(section);
            self.serve_waiters(section);
            self.ping_for_waiters(section);
        }
    }

    /// Begins a dial in place of a connection that did not answer, if there is room and somebody needs it.
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
        // One after the other: those that waiters take are not to spare.
        while self.dials_to_spare(now, limits) > 0 {
            self.begin_dial(section);
        }
        self.settle_floor();
    }

    /// Pings connections that must answer first, one for each waiter that no ping under way will serve. Dials race
    /// them: what is pinged may come first.
    fn ping_for_waiters(&mut self, section: &mut Section<'_, P>) {
        let (now, common) = (section.now, section.common);
        let pinged = |host: &Self| -> usize {
            let pings = host.pings().iter().filter(|ping| ping.counts(now, &common.limits));
            pings.fold(0, |sum: usize, ping| sum.saturating_add(host.room_after(ping.slot)))
        };
        while self.waiting() > pinged(self) {
            let Some(slot) = self.slot_to_ping(now, common) else { return };
            self.begin_ping(slot, Purpose::Health, true, section);
        }
    }

    /// The next connection to be lent that must be pinged first.
    fn slot_to_ping(&self, now: Time, common: &Common<P>) -> Option<u32> {
        let limits = &common.limits;
        self.choose(common, |slot| {
            let entry = &self.entries[*slot];
            !entry.is_fit(self.generation, now, limits) && !self.is_pinged(*slot)
        })
    }

    /// The wish for more connections ends once it is met, or when no dial is on its way to it.
    pub(super) fn settle_floor(&mut self) {
        if self.used
            && (self.gauges.dialing == 0 || self.gauges.live() - self.gauges.dialing >= self.floor)
        {
            self.floor = 0;
        }
    }
}
