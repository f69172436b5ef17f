//! The invariants of `engine/mod.rs`, as far as one state shows them.

use std::collections::HashSet;

use super::effects::CloseReason;
use super::share::{Beat, Carrier, Standing};
use super::time::Time;
use super::{Engine, Parts, Phase};

impl<P: Parts> Engine<P> {
    /// Panics when an invariant does not hold at `now`. Between calls of the engine all do; what
    /// time alone brings about is due once upkeep has looked, which it did last at `looked`.
    ///
    /// The cap of a host is for the caller to check: one state does not show whether it was lowered.
    pub(crate) fn check_invariants(&mut self, now: Time, looked: Time) {
        self.check_hosts(looked);
        for (at, host) in &self.hosts {
            self.check_carriers(at, host, now);
        }
        self.check_totals();
        self.check_demand(looked);
    }

    fn check_hosts(&mut self, looked: Time) {
        let mut places = HashSet::new();
        for (at, host) in &mut self.hosts {
            let waiting = host.waiters.waiting();
            let queued = host.waiters.queued();
            assert_eq!(queued.len(), waiting, "1: the queue holds who waits");
            let in_order = queued.is_sorted_by(|one, next| one.ticket < next.ticket);
            assert!(in_order, "1: in the order of their tickets");
            assert!(host.waiters.deadlines_are_watched(), "a waiter's deadline nobody watches");
            let asks = self.sharing.is_some();
            assert!(asks || host.idle.is_empty() || waiting == 0, "2: idle while somebody waits");
            let leases = host.leases();
            let dead = host.carriers.iter().filter(|(_, c)| c.is_dead()).count();
            let carried: usize = host.carriers.iter().map(|(_, c)| c.leases).sum();
            let taken = host.in_use + host.checking + host.idle.len() + dead + carried;
            let loans = (leases, taken);
            let noted = (host.loans().len(), host.loans.places());
            assert_eq!(noted, loans, "4: every loan is noted, once");
            assert!(host.waiters.in_hand() <= leases, "4: what is in a hand is in use");
            for connection in &host.idle {
                assert!(places.insert(connection.id), "4: a connection is in one place");
                assert_eq!(connection.epoch, host.epoch, "a retired connection is idle");
            }
            let in_turn = host.idle.iter().is_sorted_by(|one, next| one.turn < next.turn);
            assert!(in_turn, "idle, oldest first, each at a turn of its own");
            let remembered = host.failing.as_ref().is_some_and(|f| looked < f.until);
            assert!(!host.is_unused() || remembered, "8: an unused host stays");
            if let Some(look) = host.next_look(&self.limits, looked) {
                let noted = host.scheduled.is_some_and(|scheduled| scheduled <= look);
                assert!(noted || self.phase != Phase::Open, "a deadline nobody watches");
            }
            if let Some(scheduled) = host.scheduled {
                assert!(self.schedule.contains(at, scheduled), "the schedule knows it");
            }
        }
        let scheduled = self.hosts.iter().filter(|(_, h)| h.scheduled.is_some()).count();
        assert_eq!(self.schedule.len(), scheduled, "nothing else is scheduled");
        assert_eq!(self.index.len(), self.hosts.len(), "every host can be found");
    }

    /// The two rules of shared connections, and the host's counts of them.
    fn check_carriers(&self, at: usize, host: &super::Host<P>, now: Time) {
        let waiting = host.waiters.waiting();
        assert!(waiting == 0 || !self.has_room(at, now), "room while somebody waits");
        let carriers = || host.carriers.iter().map(|(_, carrier)| carrier);
        let is_leaving = |c: &&Carrier<_>| matches!(c.standing, Standing::Leaving(_));
        assert_eq!(host.leaving, carriers().filter(is_leaving).count());
        let is_met = waiting <= host.coming();
        let asks = host.idle.is_empty() || is_met || host.waiters.nudged() > 0;
        assert!(asks, "an idle one is not asked, and somebody waits");
        let is_asked = |c: &Carrier<_>| c.standing != Standing::Suspect || c.beat != Beat::Still;
        assert!(carriers().all(is_asked), "a suspect is asked");
        assert!(carriers().all(|c| c.leases > 0 || c.beat != Beat::Still), "it is not empty");
    }

    fn check_totals(&self) {
        let sum = |count: fn(&super::Host<P>) -> usize| -> usize {
            self.hosts.iter().map(|(_, host)| count(host)).sum()
        };
        assert_eq!(self.totals.open, sum(super::Host::open), "3: open in total");
        assert_eq!(self.totals.dialing, sum(|h| h.dialing), "3: dialing in total");
        assert_eq!(self.totals.closing, sum(|h| h.closing), "3: closing in total");
        assert_eq!(self.totals.late, sum(|h| h.late), "late in total");
        let makes_room = |c: &&Carrier<_>| c.standing == Standing::Leaving(CloseReason::MadeRoom);
        let carriers = self.hosts.iter().flat_map(|(_, host)| host.carriers.iter());
        let leaving = carriers.map(|(_, carrier)| carrier).filter(makes_room).count();
        assert_eq!(self.totals.making_room, leaving, "leaving to make room, in total");
        assert!(self.totals.closes >= self.totals.closing);
        assert!(self.totals.open <= self.limits.max_total, "3: the total cap");
        assert!(self.totals.dialing <= self.limits.max_dialing, "3: the cap on dials");
        if self.spans_hosts {
            assert_eq!(self.recency.idle(), sum(|h| h.idle.len()), "3: idle in total");
            assert!(self.recency.idle() <= self.limits.max_idle, "3: the cap on idle");
        }
        for (_, host) in &self.hosts {
            assert!(host.dialing <= self.limits.max_dialing_per_host, "3: dials of a host");
        }
    }

    /// Invariant 5: no dial that a waiter needs and the caps allow is still to be begun, unless
    /// somebody is on the way to begin it.
    fn check_demand(&mut self, looked: Time) {
        if self.phase == Phase::Closed {
            let waiting: usize = self.hosts.iter().map(|(_, h)| h.waiters.waiting()).sum();
            assert_eq!(waiting, 0, "1: waiters of a closed pool");
            return;
        }
        let room = self.room_to_dial();
        let limits = self.limits.clone();
        let owed = |h: &super::Host<P>| h.dials_for_waiters(&limits, looked);
        let unmet: usize = self.hosts.iter().map(|(_, host)| owed(host)).sum();
        let nudged: usize = self.hosts.iter().map(|(_, host)| host.waiters.nudged()).sum();
        assert!(room == 0 || unmet == 0 || nudged > 0, "5: {unmet} dials owed, room for {room}");
        if unmet > 0 && self.room_is_wanted() {
            assert_eq!(self.recency.idle(), 0, "5: idle connections could make room");
        }
        for (_, host) in &mut self.hosts {
            let Some(hunger) = &host.hunger else { continue };
            assert_eq!(
                Some(hunger.oldest),
                host.waiters.oldest(),
                "5: hunger names the oldest waiter"
            );
        }
        let hungry = self.hosts.iter().filter(|(_, host)| owed(host) > 0).count();
        assert!(!self.spans_hosts || self.hungry.len() >= hungry, "5: a hungry host is known");
    }
}
