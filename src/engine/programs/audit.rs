//! What must hold after each operation of a program, counted from outside the engine.

use super::super::budget::{Ledger, Note};
use super::super::connections::entry::{Holds, State};
use super::super::{Listing, Phase, Seat};
use super::world::{Follow, World};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Time;

impl World {
    /// Checks that the engine agrees with the counts from outside.
    pub(in crate::engine) fn check(&mut self) {
        if self.is_checked() {
            self.check_all();
        }
        if self.is_ordered() {
            self.note_gauges();
        }
    }

    fn check_all(&mut self) {
        (0..self.cells.len()).for_each(|at| {
            self.check_counts(at);
            self.check_longest(at);
            self.check_holders(at);
        });
        self.check_uses();
        self.check_schedule();
        self.check_budget();
    }

    /// Checks the host's caps, after each section.
    pub(super) fn check_caps(&mut self, at: usize) {
        let limits = &self.common.limits;
        let cell = &mut self.cells[at];
        let places = cell.state.gauges().places as usize;
        let is_within =
            places <= cell.state.membership().max() as usize || places <= cell.known.places;
        assert!(is_within, "3: {places} are above the cap of a host");
        cell.known.places = places;
        let dialing = cell.state.gauges().dialing as usize;
        assert!(
            dialing <= limits.max_dialing_per_host.max(cell.known.dialing),
            "3: dials of a host"
        );
        cell.known.dialing = dialing;
        let waiting = cell.state.waiting();
        let idle = cell.state.connections().idle();
        let idle = idle.filter(|slot| !cell.state.entry(*slot).pinged).count();
        assert!(waiting > 0 || idle <= limits.max_idle_per_host, "{idle} are idle");
        assert!(
            waiting > 0 || idle == 0 || cell.state.membership().phase() == Phase::Open,
            "{idle} are idle in the end"
        );
    }

    fn check_counts(&self, at: usize) {
        let cell = &self.cells[at];
        let state = &cell.state;
        let here = |place: usize| usize::from(place == at);
        let dials: usize = self.dials.iter().map(|dial| here(dial.at)).sum();
        let of_host = self.dials.iter().filter(|dial| dial.at == at);
        let gave_up = of_host.filter(|dial| state.entry(dial.order.slot).holds == Holds::Nothing);
        let holding = dials - gave_up.count();
        assert_eq!(state.gauges().dialing as usize, holding, "dials of {at}");
        for dial in self.dials.iter().filter(|dial| dial.at == at) {
            let is_unneeded = state.membership().phase() == Phase::Closed;
            assert_eq!(dial.is_told(), is_unneeded || self.is_cut_off(dial), "a dial of {at}");
        }
        let pings: usize = self.pings.iter().map(|ping| here(ping.at)).sum();
        assert_eq!(state.all_pings().len(), pings, "pings of {at}");
        let closes: usize = self.closes.iter().map(|(place, _)| here(*place)).sum();
        let closing =
            state.connections().iter().filter(|(_, entry)| entry.state == State::Closing).count();
        assert_eq!(closing, closes, "closes of {at}");
        let of_dead =
            self.closes.iter().filter(|(place, order)| *place == at && is_dead(order.reason));
        for (_, order) in of_dead {
            let holds = state.entry(order.slot).holds;
            assert_eq!(holds, Holds::Nothing, "3: a dead one of {at}");
        }
        let is_served = |seat: &Seat<_>| matches!(seat, Seat::Served(_));
        let seats = self
            .waits
            .iter()
            .filter(|wait| wait.at == at && is_served(&wait.waiter.seat.lock()))
            .count();
        let out = [&self.loans, &self.in_hand, &self.inspected];
        let out: usize =
            out.iter().flat_map(|loans| loans.iter()).map(|(place, _)| here(*place)).sum();
        assert_eq!(state.view().seen.leases, out + seats, "leases of {at}");
        let counted = state.counted().waits_ended() + state.waiting() as u64;
        assert_eq!(counted, cell.known.joined, "1: each wait of {at} counts once");
        let known = self.connections.iter().filter(|known| known.at == at && !known.gone).count();
        assert_eq!(state.entries(), known + dials, "4: none of {at} is lost");
        let listed = self.directory.get(&cell.key) == Some(&at);
        assert_eq!(listed, state.listing() == Listing::Listed, "8: whether it is listed");
        assert!(listed || state.entries() + state.waiting() == 0, "8: it is used, and not listed");
    }

    /// Checks that a time-out lists the same loans as a visit of all of them.
    fn check_longest(&mut self, at: usize) {
        let state = &mut self.cells[at].state;
        if !state.has_rare() {
            // The call would create one.
            return;
        }
        let (longest, more) = state.longest_held(self.now);
        let all = state.loans();
        let begun = |loans: &[(u64, super::super::Lease)]| -> Vec<_> {
            loans.iter().map(|(id, lease)| (lease.since, *id)).collect()
        };
        assert_eq!(begun(&longest), begun(&all[..longest.len()]), "the loans held longest");
        assert_eq!(longest.len() + more, all.len(), "how many more");
    }

    /// A time-out would say how many loans are held by tasks that wait.
    fn check_holders(&self, at: usize) {
        let held = self.held_by_waiting(at);
        let waiting = held.iter().filter(|waits| **waits).count();
        assert_eq!(self.cells[at].state.held_by_waiting(), waiting, "held by tasks that wait");
    }

    /// Of each loan whose return may serve those who wait, whether its task waits.
    fn held_by_waiting(&self, at: usize) -> Vec<bool> {
        let state = &self.cells[at].state;
        let queue = &self.cells[at].known.queue;
        let waits = |task| queue.iter().any(|(tag, _)| self.task(*tag) == Some(task));
        let of = |loan: &super::world::Loan| {
            let has_place = match state.entry(loan.ticket.slot).holds {
                Holds::Place => true,
                // Another one that drains gives up its place when this one has gone.
                Holds::Permit => state.gauges().leaving > 0,
                Holds::Nothing => false,
            };
            let holder = self.holders[&(at, loan.ticket)];
            has_place.then(|| holder.is_some_and(waits))
        };
        let out = [&self.loans, &self.in_hand, &self.inspected];
        let out = out.into_iter().flatten().filter(|(place, _)| *place == at);
        let mut held: Vec<_> = out.filter_map(|(_, loan)| of(loan)).collect();
        for wait in self.waits.iter().filter(|wait| wait.at == at) {
            if let Seat::Served(loan) = &*wait.waiter.seat.lock() {
                held.extend(of(loan));
            }
        }
        held
    }

    /// A deadlock was told: every loan is held by a task that waits, and nothing else can serve them.
    pub(super) fn see_deadlock(&mut self, at: usize) {
        self.deadlocks += 1;
        let state = &self.cells[at].state;
        let gauges = &state.gauges();
        assert!(
            state.waiting() > 0 && gauges.places >= state.membership().max(),
            "no deadlock: {gauges:?}"
        );
        let places = state.connections().iter().filter(|(_, entry)| entry.holds == Holds::Place);
        let others = places.filter(|(_, entry)| entry.leases().is_empty()).count();
        assert!(others == 0 && state.all_pings().is_empty(), "no deadlock: {gauges:?}");
        // What is in nobody's hands at this moment is in those of a caller that goes.
        assert!(self.held_by_waiting(at).iter().all(|waits| *waits), "no deadlock");
    }

    /// A use that was none does not count, and neither does a look.
    fn check_uses(&self) {
        let out = [&self.loans, &self.in_hand, &self.inspected];
        for (at, loan) in out.into_iter().flatten() {
            let entry = &self.cells[*at].state.entry(loan.ticket.slot);
            assert_eq!(entry.uses, self.connections[loan.connection].uses, "how often it was lent");
            let nth = entry.leases().get(loan.ticket.lease).map(|lease| u64::from(lease.nth));
            let is_last = nth == Some(entry.uses);
            assert!(self.common.is_shared() || is_last, "{nth:?} of {}", entry.uses);
        }
    }

    /// Checks that each host is in the schedule once, at the time of its next look.
    fn check_schedule(&self) {
        let is_scheduled = |state: &super::super::HostState<_>| {
            state.listing() == Listing::Listed && state.look().at != Time::NEVER
        };
        let scheduled = self.cells.iter().filter(|cell| is_scheduled(&cell.state));
        assert_eq!(self.schedule.len(), scheduled.count(), "what is scheduled");
    }

    pub(super) fn notes(&self) -> Vec<(u64, Note)> {
        let notes =
            self.cells.iter().filter_map(|cell| cell.state.note().map(|note| (note.id, *note)));
        notes.collect()
    }

    /// 9: checks the caps across hosts, and that no demand is forgotten.
    fn check_budget(&mut self) {
        let Some(Ledger { budget, hints }) = self.common.ledger() else { return };
        let budget = budget.lock();
        let promised = self.bag.iter().filter_map(|follow| match follow {
            Follow::Granted(at) => Some(*at as u64),
            _ => None,
        });
        let scans = self.bag.iter().filter(|follow| matches!(follow, Follow::Visit(_))).count();
        let notes = self.notes();
        budget.check_invariants(&notes, &promised.collect::<Vec<_>>(), scans);
        hints.check(&notes);
        self.permits = budget.check_caps(self.permits);
        let is_pending = scans > 0
            || self.bag.iter().any(|follow| match follow {
                Follow::MakeRoom => true,
                Follow::RoomAt(at) => *at <= self.now,
                _ => false,
            });
        let is_closable = self.cells.iter().any(|cell| cell.state.oldest_idle().is_some());
        let too_many = is_closable && hints.idle() > self.common.limits.max_idle;
        assert!(is_pending || !too_many, "9: {} are idle in all hosts", hints.idle());
        let is_pending = is_pending || self.next_look() <= self.now;
        assert!(
            is_pending || !budget.needs_scan(hints.idle(), self.now),
            "9: room is wanted, and no scan begins after {:?}",
            self.last
        );
    }

    fn note_gauges(&mut self) {
        let gauges = self.cells.iter().map(|cell| {
            let gauges = &cell.state.gauges();
            (
                gauges.dialing,
                gauges.idle,
                gauges.in_use,
                gauges.closing,
                gauges.draining,
                cell.state.waiting(),
            )
        });
        let gauges: Vec<_> = gauges.collect();
        self.trace.push(format!("{gauges:?}"));
    }
}

/// Returns whether a connection that is closed for this reason was found dead.
fn is_dead(reason: CloseReason) -> bool {
    use CloseReason::{Discarded, HeartbeatMissed, NotOpen, PingFailed, ResetFailed};
    matches!(reason, Discarded | HeartbeatMissed | NotOpen | PingFailed | ResetFailed)
}
