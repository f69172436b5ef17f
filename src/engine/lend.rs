//! The asker's side: take an idle connection, or wait, and collect or give up.

use super::connection::Tracked;
use super::effects::{CloseReason, Effects};
use super::share::Standing;
use super::time::Time;
use super::waiters::{Outcome, WaiterId};
use super::{Engine, HostId, Parts, Phase, Place};
use crate::reuse::Reuse;

/// What [`Engine::lend`] found.
pub(crate) enum Lent<T> {
    /// It is in use from now on.
    Connection {
        connection: Box<Tracked<T>>,
        /// It must answer a ping first.
        must_ping: bool,
        /// Upkeep should look: fewer are idle than there ought to be, or the loan is watched.
        look: bool,
    },
    /// None is idle.
    Nothing,
    /// One that might be lent has passed its deadline: call [`Engine::sweep`], then ask again.
    Stale,
    Closed,
}

/// What [`Engine::wait`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Queued(WaiterId),
    /// A connection has become idle since the last look: lend it.
    SomethingIdle,
    Refused(Refusal),
}

/// Why nobody may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    QueueFull,
    Closed,
}

impl<P: Parts> Engine<P> {
    /// Lends an idle connection. This is the whole of a hit.
    ///
    /// A host that was forgotten has none. Nobody is overtaken: while anybody waits, nothing is idle.
    #[inline]
    pub(crate) fn lend(&mut self, id: HostId, now: Time, place: Place) -> Lent<P::Connection> {
        let Some(host) = self.hosts.get_mut(id.index).filter(|h| h.generation == id.generation)
        else {
            return if self.phase == Phase::Closed { Lent::Closed } else { Lent::Nothing };
        };
        if self.sharing.is_some() {
            return self.lend_lease(id.index, now, place);
        }
        let newest = self.limits.reuse == Reuse::MostRecent;
        let taken = if newest { host.idle.pop_back() } else { host.idle.pop_front() };
        match taken {
            Some(connection) if connection.deadline > now => {
                self.lend_taken(id.index, connection, now, place)
            }
            Some(stale) => {
                if newest {
                    host.idle.push_back(stale);
                } else {
                    host.idle.push_front(stale);
                }
                Lent::Stale
            }
            None if self.phase == Phase::Closed => Lent::Closed,
            None => Lent::Nothing,
        }
    }

    /// Lends an idle connection that needs no ping, passing over those that do.
    pub(crate) fn lend_unpinged(
        &mut self,
        id: HostId,
        now: Time,
        place: Place,
    ) -> Lent<P::Connection> {
        if !self.knows(id) {
            return Lent::Nothing;
        }
        if self.sharing.is_some() {
            return self.lend_lease(id.index, now, place);
        }
        let position = self.idle_to_lend(id.index, false, now);
        match position.and_then(|position| self.hosts[id.index].idle.remove(position)) {
            Some(connection) => self.lend_taken(id.index, connection, now, place),
            None if self.has_stale(id.index, now) => Lent::Stale,
            None => Lent::Nothing,
        }
    }

    /// Where the idle connection is that is next to be lent. With `pinged` false, the next one that
    /// needs no ping.
    pub(super) fn idle_to_lend(&self, at: usize, pinged: bool, now: Time) -> Option<usize> {
        let host = &self.hosts[at];
        let ready = |c: &Tracked<P::Connection>| {
            pinged || (c.deadline > now && !host.must_ping(c, &self.limits, now))
        };
        let mut idle = host.idle.iter().enumerate();
        let found = match self.limits.reuse {
            Reuse::MostRecent => idle.rfind(|(_, c)| ready(c)),
            Reuse::LeastRecent => idle.find(|(_, c)| ready(c)),
        };
        found.map(|(position, _)| position)
    }

    /// Lends a connection that was taken out of the idle list.
    #[inline]
    fn lend_taken(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        now: Time,
        place: Place,
    ) -> Lent<P::Connection> {
        let host = &mut self.hosts[at];
        let must_ping = host.must_ping(&connection, &self.limits, now);
        host.in_use += 1;
        host.reused += 1;
        connection.uses += 1;
        host.begin_loan(&mut connection, now, place);
        if self.spans_hosts {
            self.recency.left();
        }
        let look = self.is_low(at) || self.watch_loan(at, now);
        Lent::Connection { connection, must_ping, look }
    }

    /// Whether upkeep should be told that fewer are idle than there ought to be.
    #[inline]
    pub(super) fn is_low(&mut self, at: usize) -> bool {
        let host = &self.hosts[at];
        host.idle.len() < self.limits.min_idle_per_host
            && host.open() < host.max
            && self.look_at_once(at)
    }

    /// Asks upkeep to look at the host as soon as it can.
    #[cold]
    fn look_at_once(&mut self, at: usize) -> bool {
        let host = &mut self.hosts[at];
        let old = host.scheduled.replace(Time::START);
        old != Some(Time::START) && self.schedule.change(at, old, Some(Time::START))
    }

    /// Joins the queue of a host that has nothing idle, and begins what dials that calls for. At its
    /// deadline upkeep wakes the waiter; deadlines must come in the order of the waits.
    pub(crate) fn wait(
        &mut self,
        at: usize,
        (now, deadline): (Time, Time),
        place: Place,
        waker: P::Waker,
        fx: &mut Effects<P>,
    ) -> Wait {
        // What is kept past its time is for the caller to lend, who looks whether it is open.
        self.close_expired(at, now, fx);
        if let Some(refusal) = self.refusal(at, now) {
            let is_full = refusal == Wait::Refused(Refusal::QueueFull);
            self.hosts[at].counters.refused += u64::from(is_full);
            fx.unused.push(waker);
            self.after(at, now, fx);
            return refusal;
        }
        Wait::Queued(self.enqueue(at, (now, deadline), place, waker, fx))
    }

    fn refusal(&self, at: usize, now: Time) -> Option<Wait> {
        let host = &self.hosts[at];
        if self.phase == Phase::Closed {
            Some(Wait::Refused(Refusal::Closed))
        } else if self.has_something(at, now) {
            Some(Wait::SomethingIdle)
        } else if host.waiters.waiting() >= self.limits.max_waiters_per_host {
            Some(Wait::Refused(Refusal::QueueFull))
        } else {
            None
        }
    }

    fn has_something(&self, at: usize, now: Time) -> bool {
        match self.sharing {
            None => !self.hosts[at].idle.is_empty(),
            Some(_) => self.has_room(at, now),
        }
    }

    fn enqueue(
        &mut self,
        at: usize,
        (now, deadline): (Time, Time),
        place: Place,
        waker: P::Waker,
        fx: &mut Effects<P>,
    ) -> WaiterId {
        let ticket = self.ticket();
        let host = &mut self.hosts[at];
        host.counters.waited += 1;
        host.used = true;
        let waiter = host.waiters.enqueue(ticket, now, deadline, place, waker);
        host.note_waiting();
        self.after_joining(at, (now, deadline), fx);
        waiter
    }

    /// What `after` does, where all that has changed is that one more waits.
    fn after_joining(&mut self, at: usize, (now, deadline): (Time, Time), fx: &mut Effects<P>) {
        let host = &self.hosts[at];
        let concerns_others = !self.plain || host.checking > 0 || self.limits.min_idle_per_host > 0;
        if concerns_others || host.dials_for_waiters(&self.limits, now) > 0 {
            self.after(at, now, fx);
        } else if host.scheduled.is_none_or(|look| deadline < look) {
            self.reschedule(at, now, fx);
        }
    }

    /// Collects the connection in a waiter's hand, if that is what came of its wait: the whole of an
    /// ordinary one.
    pub(crate) fn collect_connection(
        &mut self,
        at: usize,
        waiter: WaiterId,
        now: Time,
    ) -> Option<Box<Tracked<P::Connection>>> {
        let host = &mut self.hosts[at];
        let waited = now.since(host.waiters.since(waiter));
        let connection = host.waiters.take_connection(waiter)?;
        host.counters.wait_time += waited;
        host.counters.served += 1;
        Some(connection)
    }

    /// Collects what came of a wait. A waiter that goes on waiting begins the dials that nobody
    /// could begin for it: those whose slot came free where nothing may be spawned.
    pub(crate) fn collect(
        &mut self,
        at: usize,
        waiter: WaiterId,
        now: Time,
        waker: P::Waker,
        fx: &mut Effects<P>,
    ) -> Option<Outcome<P>> {
        let host = &mut self.hosts[at];
        let waited = now.since(host.waiters.since(waiter));
        let (outcome, unused) = host.waiters.collect(waiter, waker);
        fx.unused.extend(unused);
        if let Some(outcome) = &outcome {
            host.note_end_of_wait(outcome, waited);
        }
        self.after(at, now, fx);
        outcome
    }

    /// Gives up a wait because its time is over. What has arrived by now is not lost: it is the
    /// outcome.
    pub(crate) fn expire(
        &mut self,
        at: usize,
        waiter: WaiterId,
        now: Time,
        fx: &mut Effects<P>,
    ) -> Option<Outcome<P>> {
        let host = &mut self.hosts[at];
        let waited = now.since(host.waiters.since(waiter));
        let (outcome, unused) = host.waiters.cancel(waiter);
        fx.unused.extend(unused);
        if let Some(outcome) = &outcome {
            host.note_end_of_wait(outcome, waited);
        } else {
            host.counters.timed_out += 1;
            host.counters.wait_time += waited;
        }
        match &outcome {
            Some(_) => self.after(at, now, fx),
            None => self.after_leaving(at, now, fx),
        }
        outcome
    }

    /// Gives up a wait because its owner is gone. What was in its hand is not lost: see whether it
    /// is still open, and give it to [`Engine::hand_back`].
    pub(crate) fn cancel(
        &mut self,
        at: usize,
        waiter: WaiterId,
        now: Time,
        fx: &mut Effects<P>,
    ) -> Option<Box<Tracked<P::Connection>>> {
        let host = &mut self.hosts[at];
        host.counters.cancelled += 1;
        host.counters.wait_time += now.since(host.waiters.since(waiter));
        let (outcome, unused) = host.waiters.cancel(waiter);
        fx.unused.extend(unused);
        match outcome {
            Some(Outcome::Connection(connection)) => return Some(connection),
            Some(Outcome::Failed(failure)) => {
                fx.rest().failures.push(failure);
                self.after(at, now, fx);
            }
            Some(Outcome::Closed) => self.after(at, now, fx),
            None => self.after_leaving(at, now, fx),
        }
        None
    }

    /// Takes back what lay in the hand of one who has gone: it goes to the next one, unless it has
    /// died there.
    pub(crate) fn hand_back(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        is_open: bool,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.undo_use(at, &mut connection);
        if is_open {
            self.settle(at, connection, now, fx);
        } else {
            self.bury(at, connection, CloseReason::NotOpen, now, fx);
        }
    }

    /// What `after` does, where all that has changed is that one less waits: nothing, while others do
    /// and no cap spans hosts. But the one who has left may have been on the way to begin a dial.
    fn after_leaving(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        let host = &self.hosts[at];
        let is_owed = host.dials_for_waiters(&self.limits, now) > 0;
        if !self.plain || host.waiters.waiting() == 0 || is_owed {
            self.after(at, now, fx);
        }
    }

    /// Its last lending does not count.
    pub(super) fn undo_use(&mut self, at: usize, connection: &mut Tracked<P::Connection>) {
        connection.uses -= 1;
        let Some(key) = connection.carrier_key() else { return };
        let carrier = &mut self.hosts[at].carriers[key];
        carrier.connection.uses -= 1;
        if carrier.standing == Standing::Leaving(CloseReason::Uses) {
            self.stand(at, key, Standing::Open);
        }
    }
}
