//! The tasks of the pool: dials, pings, closes, maintenance, and the consequences for other hosts.

use std::time::Duration;

use super::super::budget::Ledger;
use super::super::{
    Actions, Asking, Dialed, Failed, HostState, PingOrder, Purpose, Seat, Section, Verdict,
};
use super::steps::pick;
use super::world::{Cell, Dialing, Follow, Pinging, Plain, World};
use super::{Answer, Op, Pick};
use crate::policy::time::{Span, Time};

impl World {
    pub(super) fn perform_task(&mut self, op: &Op) {
        match *op {
            Op::DialDone(at) => self.dial_done_one(at),
            Op::DialFailed(at, retryable) => self.dial_failed(at, retryable),
            Op::DialLost(at) => self.dial_lost_one(at),
            Op::PingEnded(at, answer) => {
                if let Some(ping) = pick(&mut self.pings, at) {
                    self.ping_ended(ping, answer);
                }
            }
            Op::BeatMissed(at) => self.beat_missed(at),
            Op::CutOff(at) => {
                if let Some(ping) = pick(&mut self.pings, at) {
                    self.cut_off(ping);
                }
            }
            Op::LookTold(at) => self.look_told_one(at),
            Op::CloseEnded(at) => self.close_ended(at),
            Op::CarryOut(at) => {
                if let Some(follow) = pick(&mut self.bag, at) {
                    self.carry_out(follow);
                }
            }
            Op::Pass(millis) => self.pass(millis),
            Op::Late(millis) if self.is_ordered() => self.pass(millis),
            Op::Late(millis) => {
                self.now = self.now.after(Span::from(Duration::from_millis(millis)));
            }
            Op::Maintain => self.maintain(),
            Op::MaintenanceLost => {
                self.change_listed(|state, section| state.maintenance_lost(section));
            }
            ref op => unreachable!("{op:?} is no task"),
        }
    }

    pub(super) fn change_listed(
        &mut self,
        mut f: impl FnMut(&mut HostState<Plain>, &mut Section<'_, Plain>),
    ) {
        let mut listed: Vec<_> = self.directory.values().copied().collect();
        listed.sort_unstable();
        for at in listed {
            self.change(at, &mut f);
        }
    }
}

/// # Dials and closes
impl World {
    fn dial_done_one(&mut self, at: Pick) {
        if let Some(dial) = pick(&mut self.dials, at) {
            self.dial_done(&dial);
        }
    }

    /// The duration depends on its position in a short cycle.
    pub(in crate::engine) fn dial_done(&mut self, dial: &Dialing) {
        let (slot, max_leases, proof) = (dial.order.slot, self.room, self.setup.proof);
        let (is_over, serves) =
            (dial.retired.is_some() || self.is_cut_off(dial), self.serves_one(dial));
        let connection = self.made(dial.at, is_over && !serves);
        let took = Duration::from_millis(1 + connection as u64 % 40);
        self.change(dial.at, |state, section| {
            let id = section.common.next_id();
            let dialed = Dialed { id, connection, max_leases, took, proof };
            state.dialed(slot, dialed, section)
        });
        self.connections[connection].over |= is_over;
    }

    pub(super) fn is_cut_off(&self, dial: &Dialing) -> bool {
        self.cells[dial.at].state.dials().is_cut_off(dial.order.slot)
    }

    /// Returns whether its connection goes to a waiter that joined before the host was retired.
    fn serves_one(&self, dial: &Dialing) -> bool {
        let oldest = self.cells[dial.at].known.queue.front();
        let came_before = |at| oldest.is_some_and(|(_, waiter)| waiter.since < at);
        dial.retired.is_some_and(came_before) && !self.is_cut_off(dial)
    }

    fn dial_failed(&mut self, at: Pick, retryable: bool) {
        let Some(dial) = pick(&mut self.dials, at) else { return };
        let took = Duration::from_millis(3);
        let failed = Failed { failure: "refused", retryable, took, timed_out: false };
        self.change(dial.at, |state, section| state.dial_failed(dial.order.slot, failed, section));
    }

    fn dial_lost_one(&mut self, at: Pick) {
        if let Some(dial) = pick(&mut self.dials, at) {
            self.dial_lost(&dial);
        }
    }

    pub(in crate::engine) fn dial_lost(&mut self, dial: &Dialing) {
        let waiting = |world: &World| world.cells[dial.at].state.waiting();
        let (dials, waited, was_cut_off) = (self.dials.len(), waiting(self), self.is_cut_off(dial));
        self.change(dial.at, |state, section| state.dial_lost(dial.order.slot, section));
        // If a connection that drained for other hosts serves a waiter, a dial starts for the next
        // one.
        let is_still = was_cut_off || self.dials.len() == dials || waiting(self) < waited;
        assert!(is_still, "nothing is spawned from a dial that was lost");
    }

    fn dial_stopped(&mut self, dial: &Dialing) {
        self.change(dial.at, |state, section| {
            state.dial_stopped(dial.order.slot, section);
        });
    }

    fn close_ended(&mut self, at: Pick) {
        let Some((at, order)) = pick(&mut self.closes, at) else { return };
        let known = &mut self.connections[order.connection];
        assert!(!known.gone, "it is closed once");
        known.gone = true;
        known.over = true;
        self.change(at, |state, _| state.closed(order.slot));
    }
}

/// # Pings
impl World {
    #[allow(clippy::needless_pass_by_value)] // It has ended.
    pub(in crate::engine) fn ping_ended(&mut self, ping: Pinging, answer: Answer) {
        let connection = ping.order.connection;
        let (step, now, max_leases) = (self.step + 1, self.now, self.room);
        let known = &mut self.connections[connection];
        let resets = ping.order.purpose == Purpose::Reset;
        assert_eq!(resets, known.needs_reset, "what is asked: {known:?}");
        let heard = ping.order.unless_heard.filter(|since| *since < now);
        let verdict = match answer {
            Answer::Heard if heard.is_some() => {
                (known.generation, known.proved, known.proved_step) = (ping.generation, now, step);
                known.max_leases = max_leases;
                Verdict::Heard { at: now, max_leases }
            }
            Answer::Yes | Answer::Heard => {
                (known.generation, known.proved, known.proved_step) = (ping.generation, now, step);
                known.max_leases = max_leases;
                (known.needs_reset, known.doubted) = (false, false);
                Verdict::Answered { max_leases }
            }
            Answer::YesAndClosed => {
                known.over = true;
                Verdict::NotOpen
            }
            Answer::Error { is_open } => {
                self.known_unanswered(&ping);
                Verdict::Failed { is_open }
            }
        };
        let PingOrder { slot, connection, .. } = ping.order;
        self.change(ping.at, |state, section| state.pinged(slot, connection, verdict, section));
    }

    /// The connection was found dead, or has missed a heartbeat and may be lent again once it has
    /// answered.
    fn known_unanswered(&mut self, ping: &Pinging) {
        let connection = ping.order.connection;
        let was_over = self.connections[connection].over;
        if !(ping.order.purpose == Purpose::Heartbeat && ping.late) {
            self.found_dead(connection);
        }
        self.connections[connection].over = was_over || ping.order.purpose != Purpose::Heartbeat;
    }

    fn beat_missed(&mut self, at: Pick) {
        let is_beat = |ping: &Pinging| ping.order.purpose == Purpose::Heartbeat;
        let beats: Vec<_> = (0..self.pings.len()).filter(|at| is_beat(&self.pings[*at])).collect();
        if beats.is_empty() {
            return;
        }
        let mut ping = self.pings.remove(beats[at.index(beats.len())]);
        let (slot, connection) = (ping.order.slot, ping.order.connection);
        let was_over = self.connections[connection].over;
        self.found_dead(connection);
        self.connections[connection].over = was_over;
        ping.late = true;
        let is_enough = self.change(ping.at, |state, section| {
            state.beat_missed(slot, section.now);
            state.has_missed_enough(slot, &section.common.limits)
        });
        if is_enough {
            return self.cut_off(ping);
        }
        self.pings.push(ping);
    }

    #[allow(clippy::needless_pass_by_value)] // It has ended.
    pub(in crate::engine) fn cut_off(&mut self, ping: Pinging) {
        if !self.common.is_shared() {
            self.connections[ping.order.connection].over = true;
        }
        self.change(ping.at, |state, section| {
            let PingOrder { slot, connection, .. } = ping.order;
            state.pinged(slot, connection, Verdict::CutOff, section);
        });
    }

    fn look_told_one(&mut self, at: Pick) {
        let told: Vec<_> = (0..self.pings.len()).filter(|at| self.pings[*at].told).collect();
        if !told.is_empty() {
            let ping = self.pings.remove(told[at.index(told.len())]);
            return self.look_told(ping);
        }
        let told: Vec<_> = (0..self.dials.len()).filter(|at| self.dials[*at].is_told()).collect();
        if !told.is_empty() {
            let dial = self.dials.remove(told[at.index(told.len())]);
            self.dial_stopped(&dial);
        }
    }

    fn look_told(&mut self, mut ping: Pinging) {
        let stops = self.cells[ping.at].state.stops_ping(ping.order.slot, self.now, &self.common);
        if stops {
            return self.cut_off(ping);
        }
        ping.told = false;
        self.pings.push(ping);
    }

    /// Every task that was told to checks. Returns whether one did.
    pub(super) fn look_all_told(&mut self) -> bool {
        let pings = self.pings.iter().position(|ping| ping.told);
        let dials = self.dials.iter().position(Dialing::is_told);
        if let Some(at) = pings {
            let ping = self.pings.remove(at);
            self.look_told(ping);
        } else if let Some(at) = dials {
            let dial = self.dials.remove(at);
            self.dial_stopped(&dial);
        }
        pings.is_some() || dials.is_some()
    }
}

/// # Maintenance
impl World {
    /// Time passes, and maintenance runs whenever something is due.
    fn pass(&mut self, millis: u64) {
        let until = self.now.after(Span::from(Duration::from_millis(millis)));
        self.maintain();
        for _ in 0..100_000 {
            let next = self.schedule.next();
            if next > until {
                self.now = until;
                return;
            }
            self.now = next.max(self.now);
            self.maintain();
            if self.is_ordered() {
                self.carry_out_all();
            }
        }
        panic!("maintenance is busy at {:?}", self.now);
    }

    /// Maintenance does what is due. Afterwards the next look of each host is in the future.
    pub(in crate::engine) fn maintain(&mut self) {
        while let Some(at) = self.schedule.pop_due(self.now) {
            self.change(at, |state, section| state.maintain(section));
            let state = &self.cells[at].state;
            assert!(
                state.look().at > self.now,
                "maintenance is busy: {:?} at {:?}",
                state.look(),
                self.now
            );
        }
        if self.schedule.takes_room(self.now) {
            self.begin_scan(Time::NEVER);
        }
        self.check_overdue();
    }

    /// Checks that waiters past their deadline were woken.
    fn check_overdue(&self) {
        for cell in &self.cells {
            for (tag, waiter) in &cell.known.queue {
                let sleeps = matches!(&*waiter.seat.lock(), Seat::Waiting(Some(_)));
                let is_over = waiter.deadline <= self.now;
                assert!(
                    !(sleeps && is_over) || self.woken.contains(tag),
                    "{tag} has waited for too long"
                );
            }
        }
    }
}

/// # Consequences for others
impl World {
    fn begin_scan(&mut self, now: Time) -> bool {
        let Some(Ledger { budget, hints }) = self.common.ledger() else { return false };
        let next = budget.lock().begin_scan(hints.idle(), now);
        self.bag.extend(next.map(Follow::Visit));
        next.is_some()
    }

    pub(super) fn carry_out(&mut self, follow: Follow) {
        self.last = Some(follow);
        match follow {
            Follow::Granted(at) => self.change(at, |state, section| state.granted(section)),
            Follow::StopDraining(at) => {
                self.change(at, |state, section| state.stop_draining(section));
            }
            Follow::GiveWay(at) => self.change(at, |_, _| ()),
            Follow::Visit(at) => self.change(at, |state, section| state.visit(section)),
            Follow::Close(at) => {
                let known = self.connections.iter_mut().filter(|known| known.at == at);
                known.for_each(|known| known.over = true);
                self.change(at, |state, section| state.close(section));
            }
            Follow::Orphan(at) => {
                self.known_unwanted(at);
                self.change(at, |state, section| state.orphan(section));
            }
            Follow::MakeRoom => drop(self.begin_scan(self.now)),
            Follow::RoomAt(at) => drop(self.schedule.look_for_room(at)),
            Follow::Forget(at) => self.forget(at),
            Follow::AskPeers(at) => self.ask_peers(at),
            Follow::Recheck => {
                self.pings.iter_mut().for_each(|ping| ping.told = true);
            }
        }
    }

    /// The peers of full connections report how many leases they take now.
    pub(in crate::engine) fn ask_peers(&mut self, at: usize) {
        let max_leases = self.room;
        for peer in self.cells[at].state.full_peers(Asking::Each, &self.common) {
            if max_leases != peer.max_leases as usize {
                self.connections[peer.connection].max_leases = max_leases;
                self.change(at, |state, section| state.heard(&peer, max_leases, section));
            }
        }
    }

    /// Carries out the actions in the order of the decisions, until nothing is left.
    pub(super) fn carry_out_all(&mut self) {
        for _ in 0..10_000 {
            if !self.bag.is_empty() {
                let follow = self.bag.remove(0);
                self.carry_out(follow);
            } else if !self.look_all_told() {
                return;
            }
        }
        panic!("actions follow from actions without end: {:?}", self.bag);
    }

    /// Checks that no action is lost with the host, because none would be carried out.
    fn forget(&mut self, at: usize) {
        self.step += 1;
        let (mut actions, moment) = (Actions::default(), (self.now, self.random()));
        let Cell { state, common, .. } = &mut self.cells[at];
        if !state.forget(&mut Self::section(common, &at, moment, &mut actions)) {
            return;
        }
        assert!(actions.granted.is_empty() && actions.stop_draining.is_none(), "an action is lost");
        let look = state.look();
        self.schedule.change(at, look, None);
        let key = self.cells[at].key;
        assert_eq!(self.directory.remove(&key), Some(at), "it was listed");
    }

    pub(in crate::engine) fn next_look(&self) -> Time {
        self.schedule.next()
    }
}
