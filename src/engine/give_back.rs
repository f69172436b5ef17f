//! What becomes of a connection that has come free, and of a slot that has.

use super::connection::Tracked;
use super::effects::{CloseOrder, CloseReason, Effects};
use super::recency::Entry;
use super::time::Time;
use super::waiters::Outcome;
use super::{Engine, Parts, Phase};

/// What [`Engine::give_back`] did.
pub(crate) enum Returned<P: Parts> {
    /// Idle again. `first`: nothing is due earlier than it, upkeep must look.
    Idle { first: bool },
    /// In the hand of the oldest waiter, who is to be woken.
    HandedOver(Option<P::Waker>),
    /// Neither: call [`Engine::settle`].
    Unsettled(Box<Tracked<P::Connection>>),
}

impl<P: Parts> Engine<P> {
    /// Takes back a healthy connection. This is the whole of an ordinary return, and of an ordinary
    /// hand-over.
    #[inline]
    pub(crate) fn give_back(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        now: Time,
    ) -> Returned<P> {
        let fits = self.plain && self.unfit(at, &connection, now).is_none();
        if !fits || self.was_reported(at, connection.loan) {
            return Returned::Unsettled(connection);
        }
        if self.hosts[at].waiters.waiting() > 0 {
            if !self.may_hand_over(at, now) {
                return Returned::Unsettled(connection);
            }
            return Returned::HandedOver(self.hand_over(at, connection, now));
        }
        if !self.may_park(at) {
            return Returned::Unsettled(connection);
        }
        let watched = self.watches_loans();
        let host = &mut self.hosts[at];
        if watched {
            host.loans.end(connection.loan);
        }
        connection.rest(now, self.limits.idle_timeout, self.next_turn);
        self.next_turn += 1;
        let next = connection.deadline.min(connection.health.next_beat);
        host.in_use -= 1;
        host.idle.push_back(connection);
        let later = host.scheduled.is_some_and(|look| look <= next) || next == Time::NEVER;
        let first = !later && self.look_at(at, next);
        Returned::Idle { first }
    }

    /// Whether the return of this loan is to be reported, as it was itself.
    #[inline]
    fn was_reported(&self, at: usize, loan: u32) -> bool {
        self.watches_loans() && self.hosts[at].loans.is_reported(loan)
    }

    /// Whether a hand-over concerns only the one who gets the connection. A dial is owed when the one
    /// who was woken to begin it has not looked yet; once the last handle is gone, pings are given up
    /// with the last one who waits.
    #[inline]
    fn may_hand_over(&self, at: usize, now: Time) -> bool {
        self.phase == Phase::Open && self.hosts[at].dials_for_waiters(&self.limits, now) == 0
    }

    /// Whether a connection that goes idle concerns nobody else.
    #[inline]
    fn may_park(&self, at: usize) -> bool {
        let has_room = self.hosts[at].idle.len() < self.limits.max_idle_per_host;
        self.phase == Phase::Open && self.limits.min_idle_per_host == 0 && has_room
    }

    #[cold]
    pub(super) fn look_at(&mut self, at: usize, time: Time) -> bool {
        let old = self.hosts[at].scheduled.replace(time);
        self.schedule.change(at, old, Some(time))
    }

    /// Decides what becomes of a connection that is counted as in use, but is in no loan any more.
    pub(crate) fn settle(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.note_end_of_loan(at, connection.loan, fx);
        if let Some(carrier) = connection.carrier_key() {
            return self.end_lease(at, carrier, connection, now, fx);
        }
        if let Some(reason) = self.unwanted(at, &connection, now) {
            self.hosts[at].in_use -= 1;
            self.close_live(at, connection, reason, fx);
        } else if self.hosts[at].waiters.waiting() == 0 {
            self.park(at, connection, now, fx);
        } else if self.sharing.is_some() {
            self.carry_for_waiters(at, connection, true, now, fx);
        } else {
            let waker = self.hand_over(at, connection, now);
            fx.wake.extend(waker);
        }
        self.after(at, now, fx);
    }

    /// Why the connection cannot stay, if it cannot.
    pub(super) fn unwanted(
        &mut self,
        at: usize,
        connection: &Tracked<P::Connection>,
        now: Time,
    ) -> Option<CloseReason> {
        if let Some(reason) = self.unfit(at, connection, now) {
            return Some(reason);
        }
        let host = &self.hosts[at];
        if host.waiters.waiting() > 0 {
            return self.an_older_host_starves(at).then_some(CloseReason::MadeRoom);
        }
        if self.phase == Phase::Orphaned {
            return Some(CloseReason::PoolClosed);
        }
        if self.room_is_wanted() {
            return Some(CloseReason::MadeRoom);
        }
        let full = host.idle.len() >= self.limits.max_idle_per_host;
        full.then_some(CloseReason::OverIdleLimit)
    }

    /// Why the connection may not be lent any more, if it may not.
    pub(super) fn unfit(
        &self,
        at: usize,
        connection: &Tracked<P::Connection>,
        now: Time,
    ) -> Option<CloseReason> {
        let host = &self.hosts[at];
        if let Some(reason) = self.outdated(at, connection, now) {
            Some(reason)
        } else if connection.uses >= self.limits.max_uses {
            Some(CloseReason::Uses)
        } else if self.lowered && host.live() - host.leaving > host.max {
            Some(CloseReason::OverCap)
        } else {
            None
        }
    }

    /// Why the connection's time is over, if it is.
    #[inline]
    pub(super) fn outdated(
        &self,
        at: usize,
        connection: &Tracked<P::Connection>,
        now: Time,
    ) -> Option<CloseReason> {
        if self.phase == Phase::Closed {
            Some(CloseReason::PoolClosed)
        } else if connection.epoch != self.hosts[at].epoch {
            Some(CloseReason::Retired)
        } else if connection.expires <= now {
            Some(CloseReason::Age)
        } else {
            None
        }
    }

    /// Puts a connection into the hand of the oldest waiter. Somebody must wait.
    fn hand_over(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        now: Time,
    ) -> Option<P::Waker> {
        let host = &mut self.hosts[at];
        if let Some((_, place)) = host.waiters.oldest_origin() {
            host.begin_loan(&mut connection, now, place);
        }
        connection.idle_since = now;
        connection.uses += 1;
        host.waiters.resolve_oldest(Outcome::Connection(connection))
    }

    /// Puts a connection into the idle list, and closes the least recently used one of all when
    /// that is one too many.
    fn park(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        connection.rest(now, self.limits.idle_timeout, self.next_turn);
        self.next_turn += 1;
        let entry = Entry { turn: connection.turn, host: at };
        let host = &mut self.hosts[at];
        host.in_use -= 1;
        host.idle.push_back(connection);
        if !self.spans_hosts {
            return;
        }
        let hosts = &self.hosts;
        self.recency.parked(entry, |e| {
            hosts
                .get(e.host)
                .is_some_and(|h| h.idle.binary_search_by_key(&e.turn, |c| c.turn).is_ok())
        });
        if self.recency.idle() > self.limits.max_idle {
            self.close_least_recent(CloseReason::OverIdleLimit, now, fx);
        }
    }

    /// Closes the least recently used idle connection of all hosts. Says whether there was one.
    pub(super) fn close_least_recent(
        &mut self,
        reason: CloseReason,
        now: Time,
        fx: &mut Effects<P>,
    ) -> bool {
        let hosts = &self.hosts;
        let is_live = |e: Entry| {
            hosts.get(e.host).and_then(|h| h.idle.front()).is_some_and(|c| c.turn == e.turn)
        };
        let Some(at) = self.recency.oldest(is_live) else { return false };
        self.close_oldest_idle(at, reason, fx);
        self.reschedule(at, now, fx);
        true
    }

    /// Closes the host's least recently used idle connection.
    pub(super) fn close_oldest_idle(
        &mut self,
        at: usize,
        reason: CloseReason,
        fx: &mut Effects<P>,
    ) {
        if let Some(connection) = self.hosts[at].idle.pop_front() {
            self.left_idle();
            self.close_live(at, connection, reason, fx);
        }
    }

    /// A connection has left an idle list.
    pub(super) fn left_idle(&mut self) {
        if self.spans_hosts {
            self.recency.left();
        }
    }

    /// Ends a loan whose connection is alive but not wanted any more.
    pub(super) fn close_loan(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        reason: CloseReason,
        fx: &mut Effects<P>,
    ) {
        self.note_end_of_loan(at, connection.loan, fx);
        self.hosts[at].in_use -= 1;
        self.close_live(at, connection, reason, fx);
    }

    /// Orders the close of a connection that has left its place; it keeps its slot.
    pub(super) fn close_live(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        reason: CloseReason,
        fx: &mut Effects<P>,
    ) {
        let host = &mut self.hosts[at];
        host.loans.leave(connection.loan);
        host.closing += 1;
        host.counters.closes.count(reason);
        self.totals.closing += 1;
        self.totals.closes += 1;
        let host = host.shell.clone();
        fx.rest().close.push(CloseOrder { host, connection, reason, holds_slot: true });
    }

    /// Takes a loan back whose connection is dead: its slot is free at once, its close runs beside.
    pub(crate) fn bury(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        reason: CloseReason,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.bury_quietly(at, connection, reason, now, fx);
        self.after(at, now, fx);
    }

    /// Buries a connection without looking at what follows.
    pub(super) fn bury_quietly(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        reason: CloseReason,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.note_end_of_loan(at, connection.loan, fx);
        if let Some(carrier) = connection.carrier_key() {
            return self.bury_lease(at, carrier, connection, reason, now, fx);
        }
        let host = &mut self.hosts[at];
        host.loans.leave(connection.loan);
        host.counters.closes.count(reason);
        host.in_use -= 1;
        self.totals.closes += 1;
        self.totals.open -= 1;
        let host = host.shell.clone();
        fx.rest().close.push(CloseOrder { host, connection, reason, holds_slot: false });
    }

    /// Takes a connection back at once that was found dead when it was to be lent: the lending
    /// does not count.
    pub(crate) fn bury_unlent(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.hosts[at].reused -= 1;
        self.bury(at, connection, CloseReason::NotOpen, now, fx);
    }

    /// Ends a loan whose connection the borrower keeps.
    pub(crate) fn detach(&mut self, at: usize, loan: u32, now: Time, fx: &mut Effects<P>) {
        self.note_end_of_loan(at, loan, fx);
        let host = &mut self.hosts[at];
        host.loans.leave(loan);
        host.counters.closes.count(CloseReason::Detached);
        host.in_use -= 1;
        self.totals.open -= 1;
        self.after(at, now, fx);
    }

    /// A close has ended, or was given up.
    pub(crate) fn close_ended(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.totals.closes -= 1;
        self.hosts[at].closing -= 1;
        self.totals.closing -= 1;
        self.totals.open -= 1;
        self.after(at, now, fx);
    }

    /// The close of a dead connection has ended, which had no slot.
    pub(crate) fn close_beside_ended(&mut self, fx: &mut Effects<P>) {
        self.totals.closes -= 1;
        fx.drained |= self.is_drained();
    }
}
