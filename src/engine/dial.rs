//! Dials: begun for demand, belonging to the host, ended in one of three ways.

use std::time::Duration;

use super::connection::Tracked;
use super::effects::{DialOrder, Effects};
use super::host::Failing;
use super::time::{Span, Time};
use super::waiters::Outcome;
use super::{Engine, Parts};

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Dialed<T> {
    pub(crate) connection: T,
    /// The host's epoch when the dial began.
    pub(crate) epoch: u32,
    /// Leases that it takes.
    pub(crate) max_leases: usize,
    pub(crate) took: Duration,
}

impl<P: Parts> Engine<P> {
    /// Begins the dials that the host wants and every cap leaves room for.
    pub(super) fn pump(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        if self.phase == super::Phase::Closed {
            return;
        }
        if self.sharing.is_some() {
            self.look_for_waiters(at, now, fx);
        }
        if self.spans_hosts {
            self.note_hunger(at, now);
            self.feed_hungry(now, fx);
        } else {
            let host = &self.hosts[at];
            (0..host.dials_for_waiters(&self.limits, now)).for_each(|_| self.begin_dial(at, fx));
        }
        if self.phase == super::Phase::Open {
            let spare = self.hosts[at].dials_to_spare(&self.limits, now);
            let spare = spare.min(self.room_to_dial()).min(self.room_to_spare());
            (0..spare).for_each(|_| self.begin_dial(at, fx));
            self.hosts[at].settle_floor();
        }
    }

    pub(super) fn begin_dial(&mut self, at: usize, fx: &mut Effects<P>) {
        let host = &mut self.hosts[at];
        host.dialing += 1;
        host.counters.dials += 1;
        self.totals.dialing += 1;
        self.totals.open += 1;
        let runtime = host.waiters.oldest_runtime();
        fx.dial.push(DialOrder { host: host.shell.clone(), epoch: host.epoch, runtime });
    }

    fn end_dial(&mut self, at: usize) {
        self.hosts[at].dialing -= 1;
        self.totals.dialing -= 1;
    }

    /// A dial has succeeded: its connection serves the oldest waiter or goes idle.
    pub(crate) fn dial_done(
        &mut self,
        at: usize,
        dialed: Dialed<P::Connection>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.end_dial(at);
        let host = &mut self.hosts[at];
        host.in_use += 1;
        host.counters.dial_time += dialed.took;
        fx.rest().failures.extend(host.failing.take().map(|failing| failing.failure));
        fx.wake.extend(host.warmers.drain(..).map(|(_, waker)| waker));
        let connection = Box::new(self.track(at, dialed, now));
        self.settle(at, connection, now, fx);
    }

    /// Makes the record of a new connection.
    pub(super) fn track(
        &mut self,
        at: usize,
        Dialed { connection, epoch, max_leases, took }: Dialed<P::Connection>,
        now: Time,
    ) -> Tracked<P::Connection> {
        self.hosts[at].carries = max_leases;
        let id = self.next_id;
        self.next_id += self.id_step;
        let jitter = self.limits.lifetime_jitter * self.rng.f64();
        let expires = now.after(self.limits.max_lifetime.shortened(jitter));
        let health = self.new_health(at, now);
        Tracked {
            connection,
            id,
            created: now,
            took: Span::from(took),
            expires,
            idle_since: now,
            lent: now,
            deadline: expires,
            uses: 0,
            epoch,
            health,
            loan: self.hosts[at].loans.enter(),
            turn: 0,
            max_leases,
            carrier: None,
        }
    }

    /// A dial has failed. Where nothing else can serve the waiters, all of them get the error,
    /// unless it makes sense to dial again and they are to wait for that.
    pub(crate) fn dial_failed(
        &mut self,
        at: usize,
        failure: P::Failure,
        retryable: bool,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.end_dial(at);
        self.totals.open -= 1;
        let random = self.rng.f64();
        let host = &mut self.hosts[at];
        host.counters.failed_dials += 1;
        if host.dialing == 0 {
            host.floor = 0;
        }
        fx.wake.extend(host.warmers.drain(..).map(|(_, waker)| waker));
        let failures = host.failing.as_ref().map_or(1, |f| f.failures.saturating_add(1));
        let until = now.after(self.limits.backoff.wait(failures, random));
        let retried = retryable && self.limits.retry;
        let failing = Failing { failure: failure.clone(), at: now, failures, until, retried };
        fx.rest().failures.extend(host.failing.replace(Box::new(failing)).map(|old| old.failure));
        if self.sharing.is_some() {
            // An idle one was not asked while this dial was to serve them.
            self.look_for_waiters(at, now, fx);
        }
        let host = &mut self.hosts[at];
        if !host.may_serve() && host.dialing == 0 && !retried {
            while host.waiters.waiting() > 0 {
                let outcome = Outcome::Failed(failure.clone());
                fx.wake.extend(host.waiters.resolve_oldest(outcome));
            }
        }
        let host = &mut self.hosts[at];
        // Nobody asks for it and nothing is left: it is not dialed again until somebody does.
        host.used &= host.open() > 0 || host.waiters.waiting() > 0;
        fx.rest().failures.push(failure);
        self.after(at, now, fx);
    }

    /// A dial was dropped before its end: its runtime has gone, or never ran it. Nothing may be
    /// spawned from here, so the waiters are woken to dial from where they are polled.
    pub(crate) fn dial_lost(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.end_dial(at);
        self.totals.open -= 1;
        if self.sharing.is_some() {
            self.serve(at, now, fx);
        }
        let host = &mut self.hosts[at];
        host.floor = 0;
        fx.wake.extend(host.warmers.drain(..).map(|(_, waker)| waker));
        // One at least where connections are shared: an idle one may have to be asked for it.
        let wanted = host.dials_for_waiters(&self.limits, now);
        let asks = usize::from(self.sharing.is_some());
        host.waiters.nudge(wanted.max(asks), &mut fx.wake);
        if self.spans_hosts {
            self.note_hunger(at, now);
            self.nudge_hungry(fx);
        }
        self.hurry(at, fx);
        self.reschedule(at, now, fx);
        self.forget_if_unused(at, now, fx);
        fx.drained |= self.is_drained();
    }
}
