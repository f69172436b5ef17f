//! The operations of the pool's owner.

use super::super::{Phase, Progress, Room, WarmRequest};
use super::Pick;
use super::steps::pick;
use super::world::{Follow, Warmer, World};

impl World {
    pub(super) fn add(&mut self, key: u8) {
        let at = self.hold(key);
        let (number, room) = (self.made(at, false), (self.room, self.setup.proof));
        let added = self.change(at, |state, section| state.add(number, room, section));
        if added != Room::Taken {
            // It was given to no caller and does not exist.
            self.connections.pop();
        }
        self.release(at);
    }

    pub(super) fn warm(&mut self, key: u8, n: usize) {
        let at = self.hold(key);
        let (since, number) = self.change(at, |state, section| {
            state.warm(n);
            (section.now, section.common.next_id())
        });
        let request = WarmRequest { number, connections: n, since };
        self.look_warm(at, request);
    }

    pub(super) fn look_warm_one(&mut self, at: Pick) {
        if let Some(warmer) = pick(&mut self.warmers, at) {
            self.woken.retain(|tag| *tag != warmer.tag);
            self.look_warm(warmer.at, warmer.request);
        }
    }

    pub(in crate::engine) fn look_warm(&mut self, at: usize, request: WarmRequest) {
        let tag = self.new_tag();
        match self.change(at, |state, section| state.progress(&request, tag, section)) {
            Progress::Dialing => self.warmers.push(Warmer { tag, at, request }),
            told => {
                self.told.push(told);
                self.release(at);
            }
        }
    }

    pub(super) fn leave_warm(&mut self, at: Pick) {
        let Some(Warmer { tag, at, request }) = pick(&mut self.warmers, at) else { return };
        self.woken.retain(|other| *other != tag);
        self.change(at, |state, section| state.leave_warm(request.number, section));
        self.release(at);
    }

    pub(super) fn set_max(&mut self, key: u8, n: usize) {
        let at = self.hold(key);
        self.change(at, |state, section| state.set_max(n, section));
        self.release(at);
    }

    pub(super) fn retire(&mut self, key: u8) {
        let Some(at) = self.find(key) else { return };
        self.connections
            .iter_mut()
            .filter(|known| known.at == at)
            .for_each(|known| known.over = true);
        let now = self.now;
        let dials = self.dials.iter_mut().filter(|dial| dial.at == at);
        dials.for_each(|dial| dial.retired = dial.retired.or(Some(now)));
        self.change(at, |state, section| state.retire(section));
    }

    /// Every connection at rest is closed.
    pub(super) fn close_idle(&mut self) {
        let listed: Vec<_> = self.directory.values().copied().collect();
        for at in listed {
            self.known_unwanted(at);
        }
        self.change_listed(|state, section| state.close_idle(section));
    }

    /// The connections of this host that are at rest are not lent any more. A connection that is
    /// pinged may still serve a waiter.
    pub(super) fn known_unwanted(&mut self, at: usize) {
        let World { connections, pings, .. } = self;
        let is_pinged = |n: usize| pings.iter().any(|ping| ping.order.connection == n);
        let known = connections.iter_mut().enumerate();
        let at_rest = known.filter(|(_, known)| known.at == at && known.leases == 0);
        for (number, known) in at_rest {
            // One that awaits its reset may still serve a waiter, too.
            known.over |= !is_pinged(number) && !known.needs_reset;
        }
    }

    pub(super) fn let_go(&mut self, at: Pick) {
        if let Some(at) = pick(&mut self.held, at) {
            self.release(at);
        }
    }

    pub(super) fn release(&mut self, at: usize) {
        self.change(at, |state, _| state.let_go());
    }

    /// The last handle was dropped, or the pool was closed: every host is told.
    pub(super) fn end(&mut self, phase: Phase) {
        if self.phase == Phase::Closed || self.phase == phase {
            return;
        }
        self.phase = phase;
        let told = if phase == Phase::Closed { Follow::Close } else { Follow::Orphan };
        let mut listed: Vec<_> = self.directory.values().copied().collect();
        listed.sort_unstable();
        self.bag.extend(listed.into_iter().map(told));
    }
}
