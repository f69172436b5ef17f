//! What must hold after each step of a program, and in its end.

use std::collections::VecDeque;

use super::super::{HostId, Purpose, status};
use super::Op;
use super::world::{Warmer, World};

impl World {
    /// Whoever has an outcome by now must have been the oldest of its host, and have been woken.
    pub(super) fn drop_served(&mut self) {
        let mut back: Vec<_> = self.waits.clone();
        back.sort_unstable_by_key(|(tag, ..)| std::cmp::Reverse(*tag));
        for (tag, host, id) in back {
            let queue = self.queues.entry(host).or_default();
            let waits = self.engine.hosts[host.index].waiters.is_waiting(id);
            if waits && !queue.contains(&tag) {
                // What lay in its hand was taken back.
                queue.push_front(tag);
                queue.make_contiguous().sort_unstable();
            }
        }
        for (&host, queue) in &mut self.queues {
            let waiting = if self.engine.knows(host) {
                self.engine.view(host.index).gauges.waiting
            } else {
                0
            };
            while queue.len() > waiting {
                let oldest = queue.pop_front().expect("it is longer");
                assert!(self.woken.contains(&oldest), "the oldest waiter was served and woken");
            }
        }
    }

    /// No late heartbeat is between a waiter and a dial.
    fn check_beats(&self) {
        for (at, host) in &self.engine.hosts {
            let of_host = || self.pings.iter().filter(|ping| ping.host.1.index == at);
            let beats = of_host().filter(|ping| ping.asked.purpose == Purpose::Heartbeat).count();
            let late = of_host().filter(|ping| ping.connection.health.late).count();
            let checking = of_host().filter(|ping| ping.connection.carrier.is_none()).count();
            assert_eq!((host.checking, host.beating, host.late), (checking, beats, late));
            assert!(
                late == 0 || !self.engine.gives_up(at, None, true),
                "a late beat is in the way"
            );
        }
    }

    /// Upkeep was told of every look that is due earlier than it knew.
    fn check_nap(&self) {
        if let Some(next) = self.engine.schedule.next() {
            assert!(self.nap.is_some_and(|nap| nap <= next), "upkeep sleeps past {next:?}");
        }
    }

    fn check_caps(&mut self) {
        for (at, host) in &self.engine.hosts {
            let id = HostId { index: at, generation: host.generation };
            let ceiling = self.ceilings.entry(id).or_insert(host.max);
            assert!(host.open() <= *ceiling, "3: the cap of a host");
            *ceiling = host.open().max(host.max);
        }
    }

    /// Whoever waits is who the model says.
    fn check_queues(&self) {
        for (tag, host, id) in &self.waits {
            let waits = self.engine.hosts[host.index].waiters.is_waiting(*id);
            let queued = self.queues.get(host).is_some_and(|queue| queue.contains(tag));
            assert_eq!(waits, queued, "{tag} of {:?}, {:?}", self.queues.get(host), self.waits);
        }
    }

    /// The engine agrees with what can be counted outside.
    pub(in crate::engine) fn check(&mut self) {
        self.check_queues();
        self.engine.check_invariants(self.now, self.looked);
        self.check_nap();
        let sleeps = |warmer: &&Warmer| !self.woken.contains(&warmer.tag);
        for warmer in self.warmers.iter().filter(sleeps) {
            assert!(self.engine.hosts[warmer.host.index].dialing > 0, "it waits for a dial");
        }
        self.check_caps();
        self.check_beats();
        let mut gauges = status::Gauges::default();
        self.engine.views().for_each(|(_, view)| gauges.add(view.gauges));
        let in_hand: usize = self.engine.hosts.iter().map(|(_, h)| h.waiters.in_hand()).sum();
        let closing = self.closes.iter().filter(|close| close.holds_slot).count();
        assert_eq!(gauges.dialing, self.dials.len());
        assert_eq!(gauges.closing, closing);
        let lent = self.loans.len() + self.asked.len() + self.looked_at.len() + self.in_hand.len();
        assert_eq!(gauges.leases, lent + in_hand);
        assert_eq!(gauges.waiting, self.queues.values().map(VecDeque::len).sum::<usize>());
        let live = self.made - self.gone;
        let carriers = self.engine.hosts.iter().flat_map(|(_, host)| host.carriers.iter());
        let dead = carriers.filter(|(_, carrier)| carrier.is_dead()).count();
        assert_eq!(gauges.idle + gauges.in_use + dead + self.closes.len(), live, "none is lost");
    }

    /// Everything goes well from here on: then everybody is served, in the end, and what is left is
    /// idle.
    pub(in crate::engine) fn finish(&mut self) {
        for _ in 0..10_000 {
            self.run(&Op::Pass(1));
            // Only who was woken looks.
            if let Some(tag) = self.woken.pop() {
                if let Some(at) = self.waits.iter().position(|wait| wait.0 == tag) {
                    let wait = self.waits.remove(at);
                    self.poll(wait);
                } else if let Some(at) = self.warmers.iter().position(|w| w.tag == tag) {
                    let warmer = self.warmers.swap_remove(at);
                    self.look_warm(warmer);
                }
            } else if let Some(dial) = self.dials.pop() {
                self.dial_done(&dial);
            } else if let Some(ping) = self.pings.pop() {
                self.checked(ping, true);
            } else if let Some(asked) = self.asked.pop() {
                self.asked(asked, true);
            } else if let Some(handed) = self.in_hand.pop() {
                self.hand_back(handed, true);
            } else if let Some(looked_at) = self.looked_at.pop() {
                self.end_look(looked_at, true);
            } else if let Some(host) = self.held.pop() {
                self.engine.let_go(host.index, self.now, &mut self.fx);
            } else if let Some(close) = self.closes.pop() {
                self.end_close(&close);
            } else if let Some(loan) = self.loans.pop() {
                self.give_back(loan);
            } else if self.waits.is_empty() {
                return self.check_end();
            } else {
                self.run(&Op::Pass(1000));
            }
            self.carry_out();
            self.check();
        }
        panic!("{} wait for ever", self.waits.len());
    }

    fn check_end(&self) {
        assert!(self.warmers.is_empty(), "{} wait for warmth for ever", self.warmers.len());
        if self.ended {
            assert_eq!(self.made, self.gone, "nothing outlives the end");
            assert_eq!(self.engine.hosts.len(), 0);
        }
    }
}
