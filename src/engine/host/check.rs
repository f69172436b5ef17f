//! The invariants of `engine/mod.rs`, as far as a single state shows them.

use super::HostState;
use super::membership::{Listing, Membership, Phase};
use crate::engine::budget::Note;
use crate::engine::connections::Connections;
use crate::engine::connections::entry::{Entry, Holds, State};
use crate::engine::connections::gauges::Gauges;
use crate::engine::queue::waiters::Waiters;
use crate::engine::work::dials::Dials;
use crate::engine::work::pings::{Ping, Pings};
use crate::engine::{Common, Parts, Purpose, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// How late the clock of a fast path may be. Maintenance may look that much later at what it noted.
const COARSE: Span = Span::from_nanos(16_000_000);

/// # Reading, for tests
impl<P: Parts> HostState<P> {
    pub(crate) fn connections(&self) -> &Connections<P> {
        &self.connections
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        self.connections.gauges()
    }

    pub(crate) fn entry(&self, slot: u32) -> &Entry<P> {
        &self.connections[slot]
    }

    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    pub(crate) fn all_pings(&self) -> &Pings {
        self.pings()
    }

    pub(crate) fn dials(&self) -> &Dials<P::Stop> {
        &self.dials
    }

    pub(crate) fn queue(&self) -> Option<&Waiters<P>> {
        self.waiters.as_deref()
    }

    /// Returns whether the host keeps state that a healthy one does not need.
    pub(crate) fn has_rare(&self) -> bool {
        self.rare.is_some()
    }

    /// Returns what was reported to the budget.
    pub(crate) fn note(&self) -> Option<&Note> {
        self.share.note()
    }

    /// Returns whether it is noted who holds connections and who waits.
    #[cfg(test)]
    pub(crate) fn notes_tasks(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.tasks.is_some())
    }

    /// Returns how many closes are kept, ended ones included.
    #[cfg(test)]
    pub(crate) fn closes(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.closes.len())
    }
}

impl<P: Parts> HostState<P> {
    /// Panics if an invariant does not hold. These hold whenever the host's lock is free, even if
    /// maintenance is late.
    ///
    /// The caller checks the cap: a single state does not show whether it was lowered.
    pub(crate) fn check_state(&self, now: Time, common: &Common<P>) {
        let shared = common.is_shared();
        self.connections.check();
        self.connections.iter().for_each(|(slot, entry)| self.check_entry(slot, entry, shared));
        self.check_dials();
        self.check_pings(shared);
        self.check_resets(common);
        self.check_waiters(now, common);
        self.check_listed();
    }

    /// Also checks what holds as long as no time passes after a section.
    pub(crate) fn check_invariants(&self, now: Time, common: &Common<P>) {
        self.check_state(now, common);
        self.check_demand(now, common);
        let spares = self.share.spare() > 0;
        let is_told =
            self.minimum.callers() == 0 || self.is_to_be_dialed(now, &common.limits) || spares;
        assert!(is_told, "`warm` waits for a dial");
        self.check_note(now, common);
    }

    /// Also checks what a section does as it finishes.
    pub(crate) fn check_finished(&self, section: &Section<'_, P>) {
        let (now, common) = (section.now, section.common);
        self.check_invariants(now, common);
        self.check_watched(section);
        assert_eq!(self.aged_to_take_back(section), None, "5: it drains, and is all that has room");
        assert!(self.waiting() > 0 || self.waiters.is_none(), "a queue is kept for nobody");
        assert!(!self.is_unused(now) || section.actions.forget, "8: an unused host stays");
        match self.share.note() {
            Some(note) => assert_eq!(*note, self.noted(section), "9: the budget was told"),
            None => assert_eq!(self.dials_to_spare(section), 0, "5: a dial to spare is owed"),
        }
    }

    /// Checks that everything that only time causes is watched: each bound is not later than the
    /// exact time, and the look is not later than any bound.
    pub(crate) fn check_watched(&self, section: &Section<'_, P>) {
        let (next, looks_at) = (self.next_look(section), self.look_at);
        assert!(
            looks_at <= next.after(COARSE),
            "a deadline that nobody watches: {next:?}, looks at {looks_at:?}"
        );
        let (ends, beats, leaks) = self.exact_times(section);
        let is_bound = |bound: Time, exact: Time| bound <= exact.after(COARSE);
        assert!(is_bound(self.connections.next_end(), ends), "an end at {ends:?} is not watched");
        assert!(
            is_bound(self.pings().next_beat(), beats),
            "a heartbeat at {beats:?} is not watched"
        );
        assert!(is_bound(self.next_report(section), leaks), "a leak at {leaks:?} is not watched");
    }

    /// Returns when the first connection ends by time alone, when the first heartbeat is due, and
    /// when the first loan is to be reported. Each visits all connections.
    fn exact_times(&self, section: &Section<'_, P>) -> (Time, Time, Time) {
        let (limits, shared) = (&section.common.limits, section.common.is_shared());
        let end = |entry: &Entry<P>| match entry.state {
            State::Idle if !entry.pinged => {
                entry.idles_until(entry.kept, limits).min(entry.expires)
            }
            State::Idle | State::InUse if shared => entry.expires,
            _ => Time::NEVER,
        };
        let beat = |entry: &Entry<P>| match entry.state {
            _ if entry.pinged || entry.is_dead() || !self.membership.is_open() => Time::NEVER,
            State::Idle => entry.next_beat(limits, shared),
            State::InUse | State::Draining(_) if shared => entry.next_beat(limits, shared),
            _ => Time::NEVER,
        };
        let leak = |entry: &Entry<P>| {
            let leases = entry.leases().iter().filter(|lease| !lease.reported);
            let times = leases.map(|lease| lease.since.after(limits.leak_after));
            times.min().unwrap_or(Time::NEVER)
        };
        let first = |of: &dyn Fn(&Entry<P>) -> Time| {
            self.connections.iter().map(|(_, entry)| of(entry)).min().unwrap_or(Time::NEVER)
        };
        (first(&end), first(&beat), first(&leak))
    }

    /// Returns what was reported to the budget, by the host's id.
    #[cfg(wharf_loom)]
    pub(crate) fn told(&self) -> Option<(u64, Note)> {
        self.share.note().map(|note| (note.id, *note))
    }

    /// Panics unless nothing is left: no entry, no waiter, no permit.
    pub(crate) fn check_empty(&self) {
        assert_eq!(*self.gauges(), Gauges::default(), "7: a gauge is not zero");
        let left = (self.connections.len(), self.waiting(), self.pings().len());
        assert_eq!(left, (0, 0, 0), "7: something is left");
        let permits = self.share.note().map_or(0, |note| note.permits + note.wants + note.spare);
        assert_eq!(permits, 0, "9: its permits");
    }

    /// 3 and 4: the entry's fields match its state.
    fn check_entry(&self, slot: u32, entry: &Entry<P>, shared: bool) {
        let (leases, is_here) = (entry.leases().len(), entry.is_here());
        let is_pinged = self.pings().of(slot).is_some();
        assert_eq!(entry.pinged, is_pinged, "4: whether it is pinged");
        let fits = match entry.state {
            State::Dialing | State::Closing => leases == 0 && !is_here && !is_pinged,
            State::Idle => leases == 0 && is_here && (shared || !is_pinged),
            State::InUse if shared => leases > 0 && is_here,
            State::InUse => leases == 1 && !is_here && !is_pinged,
            State::Pinging if shared => is_pinged && is_here,
            State::Pinging => is_pinged && !is_here && leases == 0,
            State::AwaitsReset => !shared && !is_pinged && is_here && leases == 0,
            State::Draining(_) if shared => is_here && (leases > 0 || is_pinged),
            State::Draining(_) => !is_here && (leases == 1) != is_pinged,
        };
        assert!(
            fits,
            "4: {leases} leases, pinged: {is_pinged}, the value is here: {is_here}, in {:?}",
            entry.state
        );
        assert_eq!(entry.leases().iter().count(), leases, "4: every lease is noted once");
        let may_give = matches!(entry.state, State::Draining(_) | State::Closing)
            || (entry.state == State::Dialing && self.dials.is_cut_off(slot));
        assert!(
            entry.holds == Holds::Place || may_give,
            "3: what is open to be lent, or on its way to it, holds a place"
        );
    }

    /// Each dial in flight has an entry.
    fn check_dials(&self) {
        let mut dialing = self.connections.slots(|entry| entry.state == State::Dialing).to_vec();
        dialing.sort_unstable();
        assert_eq!(self.dials.slots().collect::<Vec<_>>(), dialing, "4: the dials");
        let live = dialing.iter().filter(|slot| !self.dials.is_cut_off(**slot)).count();
        assert_eq!(self.dials.len() as usize, live, "4: dials that are not cut off");
    }

    fn check_pings(&self, shared: bool) {
        for (slot, ping) in self.pings().iter() {
            let stays = shared && ping.leaves_it_to_borrowers();
            let fits = match self.connections[slot].state {
                State::Pinging | State::Draining(_) => true,
                State::Idle | State::InUse => stays,
                State::Dialing | State::AwaitsReset | State::Closing => false,
            };
            assert!(fits, "4: {ping:?} of {:?}", self.connections[slot].state);
        }
        let late = self.pings().iter().filter(|(_, ping)| ping.late).count();
        assert_eq!(self.pings().late(), late, "4: late pings");
    }

    /// Each connection whose reset has not started is noted once.
    fn check_resets(&self, common: &Common<P>) {
        let mut noted: Vec<u32> = self.pings().awaiting_reset().collect();
        noted.sort_unstable();
        let mut awaiting =
            self.connections.slots(|entry| entry.state == State::AwaitsReset).to_vec();
        awaiting.sort_unstable();
        assert_eq!(noted, awaiting, "resets that are to begin");
        let may_begin = self.may_ping_more(&common.limits);
        assert!(awaiting.is_empty() || !may_begin, "5: a reset is owed");
        let spare = |ping: &&Ping| !ping.needed && ping.purpose == Purpose::Reset;
        let pings = self.pings().iter().map(|(_, ping)| ping);
        let spare = pings.filter(spare).count();
        let Limits { pings_at_once, .. } = common.limits;
        assert!(spare <= pings_at_once, "{spare} resets that nobody needs");
    }

    /// 1 and 2.
    fn check_waiters(&self, now: Time, common: &Common<P>) {
        let waiting = self.waiting();
        let is_closed = self.membership.phase() == Phase::Closed;
        assert!(!is_closed || waiting == 0, "1: somebody waits for a closed pool");
        let Some(waiters) = &self.waiters else { return };
        assert_eq!(waiters.queued().count(), waiting, "1: the queue holds those who wait");
        assert!(waiters.deadlines_are_watched(now), "a waiter's deadline that nobody watches");
        let fit = self.slot_to_lend(now, common);
        assert!(waiting == 0 || fit.is_none(), "2: {fit:?} may be lent while somebody waits");
        let is_left = waiting > 0 && self.dials.is_stranded() && waiters.woken() == 0;
        assert!(!is_left, "5: nobody is on the way to begin the dial");
    }

    /// 5: everything that waiters need has started, as far as the host's own limits allow.
    fn check_demand(&self, now: Time, common: &Common<P>) {
        if self.waiting() == 0 {
            return;
        }
        let limits = &common.limits;
        let is_met = self.waiting() <= self.on_its_way(now, limits);
        let is_pinged = is_met || self.waiting() <= self.served_by_pings(now, limits);
        let idle = self.choose(common, |entry| !entry.pinged);
        assert!(is_pinged || idle.is_none(), "5: {idle:?} is not pinged while somebody waits");
        assert!(is_pinged || self.pings().resets() == 0, "5: a reset is owed while somebody waits");
        assert!(
            common.ledger().is_some() || self.dials_for_waiters(now, limits) == 0,
            "5: a dial is owed"
        );
    }

    /// 9, this host's part: the budget knows what it has and what it wants.
    fn check_note(&self, now: Time, common: &Common<P>) {
        let Some(note) = self.share.note() else { return };
        let Gauges { permits, dialing, closing, .. } = *self.gauges();
        assert_eq!(
            (note.permits, note.dialing, note.closing),
            (permits, dialing, closing),
            "9: its permits"
        );
        assert_eq!(note.live, self.gauges().live(), "9: what it has");
        let may_dial = self.membership.phase() != Phase::Closed
            && self.membership.listing() == Listing::Listed;
        let wants = if may_dial { self.dials_for_waiters(now, &common.limits) } else { 0 };
        assert_eq!(note.wants as usize, wants, "9: what it wants");
    }

    /// 9: a scan, or one in progress, finds the least recently used idle connection: see the
    /// budget's check.
    fn check_listed(&self) {
        let (Some(note), Some((oldest, _))) = (self.share.note(), self.oldest_idle()) else {
            return;
        };
        let is_found = note.listed.is_some_and(|bound| bound <= oldest.after(COARSE));
        assert!(is_found, "9: what is idle since {oldest:?} is listed at {:?}", note.listed);
    }
}
