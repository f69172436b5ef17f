//! The operations of callers and of the pool's owner.

use std::sync::Arc;

use super::super::{Ended, Joined, Phase, Returned, Seat, Until, Use};
use super::world::{Loan, Wait, Waiter, World};
use super::{Op, Pick};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// How long every third waiter waits, by maintenance's clock.
const LONG_WAIT: Span = Span::from_nanos(20_000_000_000);

/// Removes and returns one of them.
pub(super) fn pick<T>(from: &mut Vec<T>, at: Pick) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(at.index(from.len())))
}

impl World {
    /// Performs one operation, carries out its consequences at once in ordered mode, and checks.
    pub(in crate::engine) fn run(&mut self, op: &Op) {
        if self.is_ordered() {
            // No two events have the same time, so that their times tell their order.
            self.now = self.now.after(Span::from_nanos(1000));
            self.maintain();
            self.carry_out_all();
        }
        self.perform(op);
        if self.is_ordered() {
            self.carry_out_all();
            self.maintain();
        }
        self.check();
    }

    fn perform(&mut self, op: &Op) {
        match *op {
            Op::Acquire(key, dead) => self.acquire(key, dead),
            Op::Try(key, dead) => self.try_acquire(key, dead),
            Op::Poll(at) => self.poll_one(at),
            Op::Cancel(at) => self.cancel(at),
            Op::HandBack(at, is_open) => self.hand_back(at, is_open),
            Op::Expire(at) => self.expire_one(at),
            Op::Return(at, is_open) => self.return_one(at, is_open),
            Op::ReturnToReset(at) => self.return_to_reset(at),
            Op::Discard(at) => self.discard(at),
            Op::Doubt(at) => self.doubt(at),
            Op::Detach(at) => self.detach(at),
            Op::Add(key) => self.add(key),
            Op::Warm(key, n) => self.warm(key, n),
            Op::LookWarm(at) => self.look_warm_one(at),
            Op::LeaveWarm(at) => self.leave_warm(at),
            Op::SetMax(key, n) => self.set_max(key, n),
            Op::Retire(key) => self.retire(key),
            Op::CloseIdle => self.close_idle(),
            Op::Inspect(key) => self.inspect(key),
            Op::EndInspect(at, keep) => self.end_inspect(at, keep),
            Op::Hold(key) => {
                let at = self.hold(key);
                self.held.push(at);
            }
            Op::LetGo(at) => self.let_go(at),
            Op::Carry(n) if self.common.is_shared() => self.room = n,
            Op::Carry(_) => {}
            Op::Reconfigure(which, value) => self.reconfigure(which, value),
            Op::Orphan => self.end(Phase::Orphaned),
            Op::Close => self.end(Phase::Closed),
            ref task => self.perform_task(task),
        }
    }

    /// A look at what is there, by the short path. What turns out to be not open is closed.
    fn hit(&mut self, at: usize, tag: usize, dead: &mut bool) -> Option<Loan> {
        while self.uses_short_paths() && self.cells[at].state.waiting() == 0 {
            let now = self.coarse();
            let task = self.task(tag);
            let state = &mut self.cells[at].state;
            let loan = state.lend_as(now, Self::place(), &self.common, |loan| loan)?;
            if let Some(task) = task {
                state.note_holder(loan.ticket, task);
            }
            self.check_short(at);
            self.known_lent(at, &loan, tag);
            let known = self.cells[at].state.max_leases(loan.ticket.slot) as usize;
            if let Some(loan) = self.check_lent(at, loan, dead, Some(known)) {
                return Some(loan);
            }
        }
        None
    }

    pub(in crate::engine) fn acquire(&mut self, key: u8, mut dead: bool) {
        let mut at = self.host(key);
        // Always taken, with and without fast paths: every third tag has a deadline.
        let tag = self.new_tag();
        if let Some(loan) = self.hit(at, tag, &mut dead) {
            return self.loans.push((at, loan));
        }
        let deadline = if tag % 3 == 0 { self.now.after(LONG_WAIT) } else { Time::NEVER };
        let until = Until::Watched(deadline);
        let waiter = Arc::new(super::super::Waiter::new(self.now, until, self.borrower(tag), tag));
        if self.join_crowd(at, tag, &waiter) {
            return;
        }
        for tries in 0.. {
            assert!(tries < 1000, "joining never ends");
            match self.join(at, tag, &waiter) {
                Joined::Queued { .. } => {
                    self.waits.push(Wait { tag, at, waiter });
                    return self.ask_peers(at);
                }
                Joined::Lent(loan) => {
                    if let Some(loan) = self.check_lent(at, loan, &mut dead, None) {
                        return self.loans.push((at, loan));
                    }
                }
                Joined::Full => return,
                Joined::Closed => return assert!(self.phase == Phase::Closed, "it is not closed"),
                Joined::NotListed => at = self.enter(at),
            }
        }
    }

    fn join_crowd(&mut self, at: usize, tag: usize, waiter: &Waiter) -> bool {
        let may = self.uses_short_paths()
            && self.cells[at].state.waiting() > 0
            && self.phase != Phase::Closed;
        let state = &mut self.cells[at].state;
        let Some(ahead) = may.then(|| state.join_crowd(waiter, &self.common)).flatten() else {
            return false;
        };
        assert_eq!(ahead, self.cells[at].known.queue.len(), "how many waited");
        self.known_queued(at, tag, waiter);
        self.waits.push(Wait { tag, at, waiter: waiter.clone() });
        self.check_short(at);
        self.ask_peers(at);
        true
    }

    fn join(&mut self, at: usize, tag: usize, waiter: &Waiter) -> Joined<super::world::Plain> {
        let noted = |world: &mut World, joined: &Joined<_>| match joined {
            Joined::Queued { ahead } => {
                assert_eq!(*ahead, world.cells[at].known.queue.len(), "how many waited");
                world.check_crowd(at, *ahead);
                world.known_queued(at, tag, waiter);
            }
            Joined::Lent(loan) => world.known_lent(at, loan, tag),
            Joined::Full => {
                let most = world.common.limits.max_waiters_per_host;
                assert!(world.cells[at].known.queue.len() >= most, "there is room to wait");
            }
            Joined::Closed | Joined::NotListed => {}
        };
        self.change_then(at, |state, section| state.join(waiter, section), noted)
    }

    /// Checks that at most one more waits than is allowed beyond the connections being made ready,
    /// which are at most the cap.
    fn check_crowd(&self, at: usize, ahead: usize) {
        let state = &self.cells[at].state;
        let ready = (state.membership().max() as usize)
            .max(state.gauges().places as usize)
            .saturating_mul(250);
        let most = self.common.limits.max_waiters_per_host.saturating_add(ready);
        assert!(ahead < most, "too many wait");
    }

    /// A connection that was lent without a wait may turn out to be not open, or to take fewer
    /// leases.
    fn check_lent(
        &mut self,
        at: usize,
        loan: Loan,
        dead: &mut bool,
        known: Option<usize>,
    ) -> Option<Loan> {
        if std::mem::take(dead) {
            self.close_unlent(at, loan);
            return None;
        }
        let (slot, max_leases) = (loan.ticket.slot, self.room);
        if !self.common.is_shared() || known == Some(max_leases) {
            return Some(loan);
        }
        self.connections[loan.connection].max_leases = max_leases;
        let takes = self.change(at, |state, _| state.takes_its_leases(slot, max_leases));
        assert_eq!(
            takes,
            self.connections[loan.connection].leases <= max_leases,
            "whether it takes them"
        );
        if takes {
            return Some(loan);
        }
        self.known_back(&loan, false);
        self.connections[loan.connection].uses -= 1;
        self.change(at, |state, section| {
            state.unlend();
            state.returned(loan, Use::Unused { max_leases }, section);
        });
        None
    }

    fn close_unlent(&mut self, at: usize, loan: Loan) {
        self.known_back(&loan, true);
        self.connections[loan.connection].over = true;
        self.change(at, |state, section| {
            state.unlend();
            state.returned(loan, Use::Over(CloseReason::NotOpen), section);
        });
    }

    fn try_acquire(&mut self, key: u8, mut dead: bool) {
        let Some(at) = self.find(key) else { return };
        let (tag, borrower) = (usize::from(key), self.borrower(key.into()));
        if let Some(loan) = self.hit(at, tag, &mut dead) {
            return self.loans.push((at, loan));
        }
        loop {
            let noted = |world: &mut World, lent: &Option<Loan>| {
                if let Some(loan) = lent {
                    world.known_lent(at, loan, tag);
                }
            };
            let lent =
                self.change_then(at, |state, section| state.lend_any(borrower, section), noted);
            let Some(loan) = lent else { return };
            if let Some(loan) = self.check_lent(at, loan, &mut dead, None) {
                return self.loans.push((at, loan));
            }
        }
    }
}

/// # Waiting
impl World {
    fn poll_one(&mut self, at: Pick) {
        if let Some(wait) = pick(&mut self.waits, at) {
            self.poll(wait);
        }
    }

    /// Takes the outcome, leaves another waker, or notices that the deadline has passed.
    pub(in crate::engine) fn poll(&mut self, wait: Wait) {
        let outcome = std::mem::replace(&mut *wait.waiter.seat.lock(), Seat::Gone);
        if let Seat::Waiting(waker) = outcome {
            let was_woken = waker.is_none();
            *wait.waiter.seat.lock() = Seat::Waiting(waker);
            self.woken.retain(|tag| *tag != wait.tag);
            if was_woken || wait.tag % 4 == 0 {
                let tag = wait.tag;
                self.change(wait.at, |state, _| state.look_again(&wait.waiter, tag));
            }
            return self.stay(wait);
        }
        self.known_left(wait.at, wait.tag);
        self.collect(wait.at, Some(outcome));
    }

    fn stay(&mut self, wait: Wait) {
        let is_waiting = matches!(&*wait.waiter.seat.lock(), Seat::Waiting(_));
        if is_waiting && wait.waiter.deadline <= self.now {
            return self.expire(&wait);
        }
        self.waits.push(wait);
    }

    fn expire_one(&mut self, at: Pick) {
        if let Some(wait) = pick(&mut self.waits, at) {
            self.expire(&wait);
        }
    }

    /// The time-out has passed; a connection that arrived at the same moment is taken.
    fn expire(&mut self, wait: &Wait) {
        self.known_left(wait.at, wait.tag);
        let outcome =
            self.change(wait.at, |state, section| state.give_up(&wait.waiter, true, section));
        self.collect(wait.at, outcome);
    }

    fn collect(&mut self, at: usize, outcome: Option<Seat<super::world::Plain>>) {
        if let Some(Seat::Served(loan)) = outcome {
            self.loans.push((at, loan));
        }
    }

    /// A connection that has arrived by then is returned later.
    fn cancel(&mut self, at: Pick) {
        let Some(wait) = pick(&mut self.waits, at) else { return };
        self.known_left(wait.at, wait.tag);
        let now = self.now;
        if self.uses_short_paths()
            && self.cells[wait.at].state.leave_crowd(&wait.waiter, now, &self.common).is_some()
        {
            return self.check_short(wait.at);
        }
        let outcome =
            self.change(wait.at, |state, section| state.give_up(&wait.waiter, false, section));
        if let Some(Seat::Served(loan)) = outcome {
            self.in_hand.push((wait.at, loan));
        }
    }

    fn hand_back(&mut self, at: Pick, is_open: bool) {
        let Some((at, loan)) = pick(&mut self.in_hand, at) else { return };
        self.known_back(&loan, !is_open);
        let known = &mut self.connections[loan.connection];
        known.over |= !is_open;
        known.uses -= u64::from(is_open);
        let max_leases = self.room;
        let how =
            if is_open { Use::Unused { max_leases } } else { Use::Over(CloseReason::NotOpen) };
        self.change(at, |state, section| state.returned(loan, how, section));
    }
}

/// # Returning
impl World {
    fn return_one(&mut self, at: Pick, is_open: bool) {
        let Some((at, loan)) = pick(&mut self.loans, at) else { return };
        if is_open {
            return self.give_back(at, loan);
        }
        self.known_back(&loan, true);
        self.connections[loan.connection].over = true;
        self.change(at, |state, section| {
            state.returned(loan, Use::Over(CloseReason::NotOpen), section);
        });
    }

    pub(in crate::engine) fn give_back(&mut self, at: usize, loan: Loan) {
        self.known_back(&loan, true);
        let (max_leases, now) = (self.room, self.coarse());
        let mut left = Some(loan);
        if self.uses_short_paths() {
            let loan = left.take().expect("it is here");
            let Loan { ticket, connection, .. } = loan;
            let ended = Ended { ticket, connection, max_leases };
            match self.cells[at].state.give_back(ended, now, &self.common) {
                Returned::Idle | Returned::Left(_) => {}
                Returned::HandedOver(waker) => self.woken.extend(waker),
                Returned::Unsettled(connection) => left = Some(Loan { connection, ..loan }),
            }
        }
        match left {
            None => self.check_short(at),
            Some(loan) => {
                self.change(at, |state, section| {
                    state.returned(loan, Use::Ended { max_leases }, section);
                });
            }
        }
    }

    /// Only exclusive connections are reset.
    fn return_to_reset(&mut self, at: Pick) {
        if self.common.is_shared() {
            return self.return_one(at, true);
        }
        let Some((at, loan)) = pick(&mut self.loans, at) else { return };
        self.known_back(&loan, true);
        self.connections[loan.connection].needs_reset = true;
        self.change(at, |state, section| state.returned(loan, Use::NeedsReset, section));
    }

    pub(in crate::engine) fn discard(&mut self, at: Pick) {
        let Some((at, loan)) = pick(&mut self.loans, at) else { return };
        self.known_back(&loan, true);
        self.found_dead(loan.connection);
        self.change(at, |state, section| state.returned(loan, Use::FoundDead, section));
    }

    /// The connection stays lent.
    fn doubt(&mut self, at: Pick) {
        if self.loans.is_empty() {
            return;
        }
        let (at, loan) = &self.loans[at.index(self.loans.len())];
        let (at, slot) = (*at, loan.ticket.slot);
        self.connections[loan.connection].doubted = true;
        self.change(at, |state, _| state.doubt(slot));
    }

    fn detach(&mut self, at: Pick) {
        if self.common.is_shared() {
            return;
        }
        let Some((at, loan)) = pick(&mut self.loans, at) else { return };
        self.known_back(&loan, true);
        let known = &mut self.connections[loan.connection];
        (known.over, known.gone) = (true, true);
        self.change(at, |state, section| state.detach(loan.ticket, section));
    }

    fn inspect(&mut self, key: u8) {
        let Some(at) = self.find(key) else { return };
        let Some(id) = self.cells[at].state.idle_ids().pop() else { return };
        let loan = self.change(at, |state, section| state.inspect(id, Self::place(), section));
        let loan = loan.expect("it is idle");
        assert_eq!(self.cells[at].state.entry(loan.ticket.slot).id, id, "it is the one");
        self.connections[loan.connection].leases += 1;
        self.holders.insert((at, loan.ticket), None);
        self.inspected.push((at, loan));
    }

    pub(super) fn end_inspect(&mut self, at: Pick, keep: bool) {
        let Some((at, loan)) = pick(&mut self.inspected, at) else { return };
        // It does not say how many leases it takes now.
        let max_leases = self.connections[loan.connection].max_leases;
        self.known_back(&loan, !keep);
        self.connections[loan.connection].max_leases = max_leases;
        self.connections[loan.connection].over |= !keep;
        let how = if keep { Use::LookedAt } else { Use::Over(CloseReason::NotRetained) };
        self.change(at, |state, section| state.returned(loan, how, section));
    }
}
