//! The invariants of `engine/mod.rs`, as far as a single state shows them.

use super::entry::{Entry, Holds, State};
use super::gauges::Gauges;
use super::ping::Ping;
use super::{Common, HostState, Listing, Parts, Phase, Purpose, Section};
use crate::policy::time::{Span, Time};

/// How late the clock of a fast path may be. Maintenance may look that much later at what it noted.
const COARSE: Span = Span::from_nanos(16_000_000);

impl<P: Parts> HostState<P> {
    /// Panics if an invariant does not hold. These hold whenever the host's lock is free, even if
    /// maintenance is late.
    ///
    /// The caller checks the cap: a single state does not show whether it was lowered.
    pub(crate) fn check_state(&self, now: Time, common: &Common<P>) {
        let shared = common.is_shared();
        self.check_gauges();
        assert_eq!(self.leases(common), self.count_leases(), "3: the leases");
        self.entries.iter().for_each(|(slot, entry)| self.check_entry(slot, entry, shared));
        self.check_ready();
        self.check_pings(shared);
        self.check_resets(common);
        self.check_waiters(now, common);
        self.check_listed();
        let warmers = self.rare.as_ref().map_or(0, |rare| rare.warmers.len());
        let spares = self.note.as_ref().is_some_and(|note| note.spare > 0);
        assert!(warmers == 0 || self.is_to_be_dialed() || spares, "`warm` waits for a dial");
    }

    /// Also checks what holds as long as no time passes after a section.
    pub(crate) fn check_invariants(&self, now: Time, common: &Common<P>) {
        self.check_state(now, common);
        self.check_demand(now, common);
        self.check_note(now, common);
    }

    /// Also checks what a section does as it finishes.
    pub(crate) fn check_finished(&self, section: &Section<'_, P>) {
        let (now, common) = (section.now, section.common);
        self.check_invariants(now, common);
        self.check_watched(section);
        assert!(self.waiting() > 0 || self.waiters.is_none(), "a queue is kept for nobody");
        assert!(!self.is_unused(now) || section.actions.forget, "8: an unused host stays");
        match &self.note {
            Some(note) => assert_eq!(**note, self.noted(section), "9: the budget was told"),
            None => assert_eq!(
                self.dials_to_spare(now, &common.limits),
                0,
                "5: a dial to spare is owed"
            ),
        }
    }

    /// Checks that everything that only time causes is watched.
    pub(crate) fn check_watched(&self, section: &Section<'_, P>) {
        let (next, looks_at) = (self.next_look(section), self.look_at);
        assert!(
            looks_at <= next.after(COARSE),
            "a deadline that nobody watches: {next:?}, looks at {looks_at:?}"
        );
    }

    /// Returns what was reported to the budget, by the host's id.
    #[cfg(wharf_loom)]
    pub(crate) fn told(&self) -> Option<(u64, super::budget::Note)> {
        self.note.as_deref().map(|note| (note.id, *note))
    }

    /// Panics unless nothing is left: no entry, no waiter, no permit.
    pub(crate) fn check_empty(&self) {
        assert_eq!(self.gauges, Gauges::default(), "7: a gauge is not zero");
        assert_eq!(
            (self.entries.len(), self.ready.len(), self.waiting(), self.pings().len()),
            (0, 0, 0, 0)
        );
        assert!(
            self.note.as_ref().is_none_or(|note| note.permits + note.wants + note.spare == 0),
            "9: its permits"
        );
    }

    /// 3: the gauges equal a count of the entries by state.
    fn check_gauges(&self) {
        let count = |is_it: &dyn Fn(&Entry<P>) -> bool| {
            let entries = self.entries.iter().filter(|(_, entry)| is_it(entry));
            u32::try_from(entries.count()).expect("few entries")
        };
        let has_place = |entry: &Entry<P>| entry.holds == Holds::Place;
        let has_permit = |entry: &Entry<P>| entry.holds != Holds::Nothing;
        let drains = |entry: &Entry<P>| matches!(entry.state, State::Draining(_));
        let pinging =
            |entry: &Entry<P>| entry.state == State::Pinging || (drains(entry) && has_place(entry));
        let unused = |entry: &Entry<P>| entry.leases.is_empty();
        let counted = Gauges {
            dialing: count(&|entry| entry.state == State::Dialing),
            idle: count(&|entry| entry.state == State::Idle || (pinging(entry) && unused(entry))),
            in_use: count(&|entry| {
                entry.state == State::InUse || (pinging(entry) && !unused(entry))
            }),
            closing: count(&|entry| entry.state == State::Closing && has_permit(entry)),
            draining: count(&|entry| drains(entry) && has_permit(entry)),
            leaving: count(&|entry| drains(entry) && has_place(entry)),
            places: count(&has_place),
            permits: count(&has_permit),
        };
        assert_eq!(self.gauges, counted, "3: the gauges");
        let is_doomed = |entry: &Entry<P>| entry.cut_off || entry.expires != Time::NEVER;
        let doomed = count(&|entry| entry.state == State::Dialing && is_doomed(entry));
        let noted = self.rare.as_ref().map_or(0, |rare| rare.doomed);
        assert_eq!(noted, doomed, "dials that were retired or cut off");
    }

    /// 3 and 4: the entry's fields match its state.
    fn check_entry(&self, slot: u32, entry: &Entry<P>, shared: bool) {
        let (leases, is_here) = (entry.leases.len(), entry.value.is_some());
        let is_pinged = self.is_pinged(slot);
        let fits = match entry.state {
            State::Dialing | State::Closing => leases == 0 && !is_here && !is_pinged,
            State::Idle => leases == 0 && is_here && (shared || !is_pinged),
            State::InUse if shared => leases > 0 && is_here,
            State::InUse => leases == 1 && !is_here && !is_pinged,
            State::Pinging if shared => is_pinged && is_here,
            State::Pinging => is_pinged != is_here && leases == 0,
            State::Draining(_) if shared => is_here && (leases > 0 || is_pinged),
            State::Draining(_) => !is_here && (leases == 1) != is_pinged,
        };
        assert!(
            fits,
            "4: {leases} leases, pinged: {is_pinged}, the value is here: {is_here}, in {:?}",
            entry.state
        );
        assert_eq!(entry.leases.iter().count(), leases, "4: every lease is noted once");
        assert!(true, "4: its slot");
        let may_give = matches!(entry.state, State::Draining(_) | State::Closing);
        assert!(
            entry.holds == Holds::Place || may_give,
            "3: what is open to be lent holds a place"
        );
    }

    /// The entries with room are ready, the least recently used first.
    fn check_ready(&self) {
        let mut expected = self.slots(|entry| entry.has_room());
        expected.sort_by_key(|slot| self.entries[*slot].turn);
        assert_eq!(self.ready[..], expected[..], "those that have room, in their order");
    }

    fn check_pings(&self, shared: bool) {
        for (n, ping) in self.pings().iter().enumerate() {
            let others = &self.pings()[..n];
            assert!(others.iter().all(|other| other.slot != ping.slot), "4: one ping each");
            let stays = shared && ping.purpose == Purpose::Heartbeat && !ping.late;
            let fits = match self.entries[ping.slot].state {
                State::Pinging | State::Draining(_) => true,
                State::Idle | State::InUse => stays,
                State::Dialing | State::Closing => false,
            };
            assert!(fits, "4: {ping:?} of {:?}", self.entries[ping.slot].state);
        }
    }

    /// Each connection whose reset has not started is noted once.
    fn check_resets(&self, common: &Common<P>) {
        let mut noted: Vec<u32> = self.rare.iter().flat_map(|rare| &rare.resets).copied().collect();
        noted.sort_unstable();
        let awaits = |entry: &Entry<P>| entry.state == State::Pinging && entry.value.is_some();
        let mut awaiting = self.slots(|entry| !common.is_shared() && awaits(entry)).to_vec();
        awaiting.sort_unstable();
        assert_eq!(noted, awaiting, "resets that are to begin");
        let may_begin = self.may_ping_more(&common.limits);
        assert!(awaiting.is_empty() || !may_begin, "5: a reset is owed");
        let spare = |ping: &&Ping| !ping.needed && ping.purpose == Purpose::Reset;
        let spare = self.pings().iter().filter(spare).count();
        assert!(spare <= common.limits.pings_at_once, "{spare} resets that nobody needs");
    }

    /// 1 and 2.
    fn check_waiters(&self, now: Time, common: &Common<P>) {
        let waiting = self.waiting();
        assert!(self.phase != Phase::Closed || waiting == 0, "1: somebody waits for a closed pool");
        let Some(waiters) = &self.waiters else { return };
        assert_eq!(waiters.queued().count(), waiting, "1: the queue holds those who wait");
        assert!(waiters.deadlines_are_watched(now), "a waiter's deadline that nobody watches");
        let fit = self.choose(common, |slot| {
            self.entries[*slot].is_fit(self.generation, now, &common.limits)
        });
        assert!(waiting == 0 || fit.is_none(), "2: {fit:?} may be lent while somebody waits");
        let is_left = waiting > 0 && self.is_stranded() && waiters.woken() == 0;
        assert!(!is_left, "5: nobody is on the way to begin the dial");
    }

    /// 5: everything that waiters need has started, as far as the host's own limits allow.
    fn check_demand(&self, now: Time, common: &Common<P>) {
        if self.waiting() == 0 {
            return;
        }
        let limits = &common.limits;
        let is_met = self.waiting() <= self.on_its_way(now, limits);
        let idle = self.choose(common, |slot| !self.is_pinged(*slot));
        assert!(is_met || idle.is_none(), "5: {idle:?} is not pinged while somebody waits");
        assert!(is_met || self.resets() == 0, "5: a reset is owed while somebody waits");
        assert!(
            common.ledger.is_some() || self.dials_for_waiters(now, limits) == 0,
            "5: a dial is owed"
        );
    }

    /// 9, this host's part: the budget knows what it has and what it wants.
    fn check_note(&self, now: Time, common: &Common<P>) {
        let Some(note) = &self.note else { return };
        let Gauges { permits, dialing, closing, .. } = self.gauges;
        assert_eq!(
            (note.permits, note.dialing, note.closing),
            (permits, dialing, closing),
            "9: its permits"
        );
        assert_eq!(note.live, self.gauges.live(), "9: what it has");
        let may_dial = self.phase != Phase::Closed && self.listing == Listing::Listed;
        let wants = if may_dial { self.dials_for_waiters(now, &common.limits) } else { 0 };
        assert_eq!(note.wants as usize, wants, "9: what it wants");
    }

    /// 9: a scan, or one in progress, finds the least recently used idle connection: see the
    /// budget's check.
    fn check_listed(&self) {
        let (Some(note), Some((oldest, _))) = (&self.note, self.oldest_idle()) else { return };
        let is_found = note.listed.is_some_and(|bound| bound <= oldest.after(COARSE));
        assert!(is_found, "9: what is idle since {oldest:?} is listed at {:?}", note.listed);
    }
}
