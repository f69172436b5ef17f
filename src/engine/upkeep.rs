//! What upkeep does when it looks at a host: close what has expired, ping and dial what is due,
//! wake those whose time is over.

use super::effects::{CloseReason, Effects};
use super::time::Time;
use super::{Engine, Parts};

/// Hosts looked at under one lock; more wait for the next one.
const BATCH: usize = 64;

impl<P: Parts> Engine<P> {
    /// Looks at the hosts that are due. Returns when to look next: at once, if more are due than
    /// one batch.
    pub(crate) fn upkeep(&mut self, now: Time, fx: &mut Effects<P>) -> Option<Time> {
        for _ in 0..BATCH {
            let Some(at) = self.schedule.due(now) else { break };
            let due = self.hosts[at].scheduled.take();
            self.schedule.change(at, due, None);
            self.close_expired(at, now, fx);
            self.beat(at, now, fx);
            self.report_leaks(at, now, fx);
            self.hosts[at].waiters.wake_overdue(now, &mut fx.wake);
            self.after(at, now, fx);
        }
        self.schedule.next()
    }

    /// Upkeep has ended where it was: those whose deadlines it watched look for themselves.
    pub(crate) fn upkeep_lost(&mut self, fx: &mut Effects<P>) {
        for (_, host) in &mut self.hosts {
            host.waiters.wake_watched(&mut fx.wake);
        }
    }

    /// Closes what has expired. What is kept past its time has a later one then.
    pub(crate) fn sweep(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.close_expired(at, now, fx);
        self.after(at, now, fx);
    }

    /// Past its lifetime, or idle for too long while more than `min_idle_per_host` are idle.
    pub(super) fn close_expired(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        let mut position = 0;
        while let Some(connection) = self.hosts[at].idle.get(position) {
            if connection.expires > now {
                position += 1;
            } else if let Some(connection) = self.hosts[at].idle.remove(position) {
                self.left_idle();
                self.close_live(at, connection, CloseReason::Age, fx);
            }
        }
        let (min_idle, timeout) = (self.limits.min_idle_per_host, self.limits.idle_timeout);
        while self.hosts[at].oldest_is_idle_too_long(min_idle, timeout, now) {
            self.close_oldest_idle(at, CloseReason::Idle, fx);
        }
        for kept in self.hosts[at].idle.iter_mut().filter(|c| c.deadline <= now) {
            kept.deadline = kept.expires;
        }
    }

    /// Notes when upkeep has to look at the host next. A look that is no longer needed stays where
    /// it is (upkeep finds nothing and notes the next one then), so that a host whose connections
    /// come and go does not pay for it at every turn.
    pub(super) fn reschedule(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        let host = &mut self.hosts[at];
        let Some(look) = host.next_look(&self.limits, now) else { return };
        if host.scheduled.is_none_or(|scheduled| look < scheduled) {
            let old = host.scheduled.replace(look);
            fx.upkeep |= self.schedule.change(at, old, Some(look));
        }
    }
}
