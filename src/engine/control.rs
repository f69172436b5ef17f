//! What the owner of the pool asks for: other caps, fresh connections, more of them, an end.

use std::time::Duration;

use super::connection::Tracked;
use super::dial::Dialed;
use super::effects::{CloseReason, Effects};
use super::host::Failing;
use super::recency::Entry;
use super::time::Time;
use super::waiters::{Outcome, Ticket};
use super::{Engine, Parts, Phase, Place, Purpose};

/// Whether there was room for a connection made elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Room<T> {
    Taken,
    /// It is given back.
    Full(T),
    Closed(T),
}

/// How far `warm` has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Warmth<F> {
    /// So many are open and not dialing.
    Reached,
    /// Dials are under way.
    Dialing,
    /// A dial has failed, and nothing is being dialed.
    Failed(F),
    /// There is no room for so many, and nothing is being dialed.
    NoRoom,
    Closed,
}

impl<P: Parts> Engine<P> {
    /// Counts a handle on the host, which keeps it in the map.
    pub(crate) fn hold(&mut self, at: usize) {
        self.hosts[at].handles += 1;
    }

    pub(crate) fn let_go(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.hosts[at].handles -= 1;
        self.after(at, now, fx);
    }

    /// Changes the host's cap. Lowered, it closes idle connections at once and the rest as they
    /// return; raised, it begins the dials that waiters are owed.
    pub(crate) fn set_max(&mut self, at: usize, max: usize, now: Time, fx: &mut Effects<P>) {
        self.lowered |= max < self.hosts[at].max;
        self.hosts[at].max = max;
        while self.hosts[at].live() > max && !self.hosts[at].idle.is_empty() {
            self.close_oldest_idle(at, CloseReason::OverCap, fx);
        }
        self.thin_out(at);
        self.after(at, now, fx);
    }

    /// Closes what is idle now and, as it comes back, what is lent or being dialed now.
    pub(crate) fn retire(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.hosts[at].epoch = self.hosts[at].epoch.wrapping_add(1);
        self.let_carriers_leave(at, CloseReason::Retired);
        self.close_idle_of(at, CloseReason::Retired, now, fx);
    }

    pub(crate) fn retire_all(&mut self, now: Time, fx: &mut Effects<P>) {
        for at in self.indices() {
            self.retire(at, now, fx);
        }
    }

    /// Closes all idle connections; those that are being asked, when they have answered, unless
    /// somebody waits for them.
    pub(crate) fn close_idle(&mut self, now: Time, fx: &mut Effects<P>) {
        let reason = CloseReason::Asked;
        for at in self.indices() {
            let host = &mut self.hosts[at];
            host.clearings = host.clearings.wrapping_add(1);
            self.let_asked_leave(at, reason);
            self.close_idle_of(at, reason, now, fx);
        }
    }

    fn close_idle_of(&mut self, at: usize, why: CloseReason, now: Time, fx: &mut Effects<P>) {
        while !self.hosts[at].idle.is_empty() {
            self.close_oldest_idle(at, why, fx);
        }
        self.after(at, now, fx);
    }

    fn indices(&self) -> Vec<usize> {
        self.hosts.iter().map(|(at, _)| at).collect()
    }

    /// Ends the pool: nobody gets a connection any more, and what comes back is closed.
    pub(crate) fn close(&mut self, now: Time, fx: &mut Effects<P>) {
        self.phase = Phase::Closed;
        for at in self.indices() {
            let host = &mut self.hosts[at];
            fx.wake.extend(host.warmers.drain(..).map(|(_, waker)| waker));
            while host.waiters.waiting() > 0 {
                fx.wake.extend(host.waiters.resolve_oldest(Outcome::Closed));
            }
            if self.spans_hosts {
                self.note_hunger(at, now);
            }
            self.close_idle_of(at, CloseReason::PoolClosed, now, fx);
        }
        fx.drained |= self.is_drained();
    }

    /// The last handle is gone: nothing is kept, and only those who wait already are served.
    pub(crate) fn orphan(&mut self, now: Time, fx: &mut Effects<P>) {
        if self.phase == Phase::Open {
            self.phase = Phase::Orphaned;
            // What is being asked may be what somebody waits for; for nobody, it is not kept.
            for at in self.indices() {
                self.close_idle_of(at, CloseReason::PoolClosed, now, fx);
            }
        }
    }

    /// Takes in a connection that was made elsewhere, if there is room for it.
    pub(crate) fn add(
        &mut self,
        at: usize,
        connection: P::Connection,
        max_leases: usize,
        now: Time,
        fx: &mut Effects<P>,
    ) -> Room<P::Connection> {
        let host = &self.hosts[at];
        if self.phase != Phase::Open {
            self.after(at, now, fx);
            return Room::Closed(connection);
        }
        let full = host.open() >= host.max
            || self.totals.open >= self.limits.max_total
            || (host.waiters.waiting() == 0
                && (host.idle.len() >= self.limits.max_idle_per_host
                    || (self.spans_hosts && self.recency.idle() >= self.limits.max_idle)));
        if full {
            self.after(at, now, fx);
            return Room::Full(connection);
        }
        let (epoch, took) = (host.epoch, Duration::ZERO);
        let dialed = Dialed { connection, epoch, max_leases, took };
        let connection = Box::new(self.track(at, dialed, now));
        self.totals.open += 1;
        self.hosts[at].in_use += 1;
        self.hosts[at].used = true;
        self.settle(at, connection, now, fx);
        Room::Taken
    }

    /// The ticket of whoever comes next.
    pub(crate) fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// Forgets the waker of one who waits for `warm`.
    pub(crate) fn leave_warmth(&mut self, at: usize, ticket: Ticket, fx: &mut Effects<P>) {
        let warmers = &mut self.hosts[at].warmers;
        if let Some(position) = warmers.iter().position(|(other, _)| *other == ticket) {
            fx.unused.push(warmers.swap_remove(position).1);
        }
    }

    /// Asks for `n` open connections: the dials begin as the limits allow.
    pub(crate) fn warm(&mut self, at: usize, n: usize, now: Time, fx: &mut Effects<P>) {
        let host = &mut self.hosts[at];
        host.floor = host.floor.max(n);
        host.used = true;
        self.after(at, now, fx);
    }

    /// How far `warm` has come; `seen` is the number of dials that had failed when it began. While the
    /// host backs off, an older failure is the cause too.
    /// While dials are under way the waker is kept.
    pub(crate) fn warmth(
        &mut self,
        at: usize,
        n: usize,
        (now, seen): (Time, u64),
        (ticket, waker): (Ticket, P::Waker),
        fx: &mut Effects<P>,
    ) -> Warmth<P::Failure> {
        self.leave_warmth(at, ticket, fx);
        let host = &mut self.hosts[at];
        if self.phase == Phase::Open && host.dialing > 0 && host.live() - host.dialing < n {
            host.warmers.push((ticket, waker));
            return Warmth::Dialing;
        }
        fx.unused.push(waker);
        let is_full = host.open() >= host.max || self.totals.open >= self.limits.max_total;
        let is_cause = |f: &Failing<_>| now < f.until || host.counters.failed_dials > seen;
        match &host.failing {
            _ if self.phase != Phase::Open => Warmth::Closed,
            _ if host.live() >= n => Warmth::Reached,
            Some(failing) if !is_full && is_cause(failing) => {
                Warmth::Failed(failing.failure.clone())
            }
            _ => Warmth::NoRoom,
        }
    }

    pub(crate) fn failed_dials(&self, at: usize) -> u64 {
        self.hosts[at].counters.failed_dials
    }

    /// The idle connections of a host, by turn.
    pub(crate) fn idle_turns(&self, at: usize) -> Vec<u64> {
        self.hosts[at].idle.iter().map(|connection| connection.turn).collect()
    }

    /// Takes one idle connection out to be looked at; it is in use meanwhile.
    pub(crate) fn inspect(
        &mut self,
        at: usize,
        turn: u64,
        now: Time,
        place: Place,
        fx: &mut Effects<P>,
    ) -> Option<Box<Tracked<P::Connection>>> {
        let host = &mut self.hosts[at];
        let mut connection = host.take_idle(turn)?;
        host.in_use += 1;
        host.begin_loan(&mut connection, now, place);
        self.left_idle();
        fx.upkeep |= self.watch_loan(at, now);
        Some(connection)
    }

    /// Puts a connection back that was lent, and not used.
    pub(crate) fn unlend(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.undo_use(at, &mut connection);
        self.hosts[at].reused -= 1;
        self.put_back(at, connection, now, fx);
    }

    /// Puts a connection back that was only looked at: in its old place, as if nothing had been,
    /// unless somebody waits by now or it may not stay.
    pub(crate) fn put_back(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        if let Some(carrier) = connection.carrier_key() {
            return self.end_lease(at, carrier, connection, now, fx);
        }
        self.note_end_of_loan(at, connection.loan, fx);
        let host = &self.hosts[at];
        let is_wanted = host.waiters.waiting() > 0;
        let must_ping = host.must_ping(&connection, &self.limits, now);
        let may_stay = self.unwanted(at, &connection, now).is_none();
        if is_wanted && may_stay && self.sharing.is_some() {
            self.carry_for_waiters(at, connection, false, now, fx);
            return self.after(at, now, fx);
        }
        if !may_stay || (is_wanted && !must_ping) {
            return self.settle(at, connection, now, fx);
        }
        let position = self.restore(at, connection);
        if is_wanted {
            // Whoever waits gets it when it has answered.
            self.check(at, position, Purpose::Suspicion, fx);
        } else if self.spans_hosts && self.recency.idle() > self.limits.max_idle {
            self.close_least_recent(CloseReason::OverIdleLimit, now, fx);
        }
        self.after(at, now, fx);
    }

    /// Puts a connection into the idle list, in its old place.
    fn restore(&mut self, at: usize, connection: Box<Tracked<P::Connection>>) -> usize {
        let host = &mut self.hosts[at];
        let turn = connection.turn;
        let position = host.idle.partition_point(|other| other.turn < turn);
        host.in_use -= 1;
        host.idle.insert(position, connection);
        if self.spans_hosts {
            self.recency.restored(Entry { turn, host: at });
        }
        position
    }

    /// Closes a loan's connection that is alive but not wanted.
    pub(crate) fn reject(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.close_loan(at, connection, CloseReason::NotRetained, fx);
        self.after(at, now, fx);
    }
}
