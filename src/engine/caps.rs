//! The caps across hosts: which host is next when there is room, and whose idle connection makes
//! some.
//!
//! A host is *hungry* when it would dial for a waiter and only such a cap stops it. The one with the
//! oldest waiter is fed first. One that has no connection at all *starves*: connections returned to
//! other hosts are closed for it when it has waited for longer than whoever waits there.

use std::collections::BTreeSet;

use super::effects::{CloseReason, Effects};
use super::time::Time;
use super::waiters::Ticket;
use super::{Engine, Parts};

/// How hungry a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hunger {
    /// Its oldest waiter's.
    pub(super) oldest: Ticket,
    /// The dials it would begin.
    dials: usize,
    /// It has nothing open.
    starves: bool,
}

/// The hungry hosts, oldest waiter first.
#[derive(Debug, Default)]
pub(crate) struct Hungry {
    all: BTreeSet<(Ticket, usize)>,
    starving: BTreeSet<(Ticket, usize)>,
    dials: usize,
}

impl Hungry {
    fn change(&mut self, at: usize, old: Option<Hunger>, new: Option<Hunger>) {
        if let Some(old) = old {
            self.all.remove(&(old.oldest, at));
            self.starving.remove(&(old.oldest, at));
            self.dials -= old.dials;
        }
        if let Some(new) = new {
            self.all.insert((new.oldest, at));
            self.dials += new.dials;
            if new.starves {
                self.starving.insert((new.oldest, at));
            }
        }
    }

    fn oldest(&self) -> Option<usize> {
        self.all.first().map(|&(_, at)| at)
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl<P: Parts> Engine<P> {
    /// Dials that the caps across hosts leave room for.
    pub(super) fn room_to_dial(&self) -> usize {
        let slots = self.limits.max_total.saturating_sub(self.totals.open);
        slots.min(self.permits_to_dial())
    }

    /// Dials for nobody in particular that the cap on idle connections leaves room for: hosts that
    /// fill up must not push each other's connections out.
    pub(super) fn room_to_spare(&self) -> usize {
        if !self.spans_hosts {
            return usize::MAX;
        }
        self.limits.max_idle.saturating_sub(self.recency.idle() + self.totals.dialing)
    }

    fn permits_to_dial(&self) -> usize {
        self.limits.max_dialing.saturating_sub(self.totals.dialing)
    }

    /// Brings the account of a host's hunger up to date.
    pub(super) fn note_hunger(&mut self, at: usize, now: Time) {
        let host = &mut self.hosts[at];
        let dials = host.dials_for_waiters(&self.limits, now);
        let starves = host.open() == 0;
        let oldest = if dials == 0 { None } else { host.waiters.oldest() };
        let new = oldest.map(|oldest| Hunger { oldest, dials, starves });
        let old = std::mem::replace(&mut host.hunger, new);
        if old != new {
            self.hungry.change(at, old, new);
        }
    }

    /// Begins dials while there is room, for the longest waiting host first; then makes room.
    pub(super) fn feed_hungry(&mut self, now: Time, fx: &mut Effects<P>) {
        while self.room_to_dial() > 0 {
            let Some(at) = self.hungry.oldest() else { return };
            self.begin_dial(at, fx);
            self.note_hunger(at, now);
        }
        while self.room_is_wanted() {
            if !self.close_least_recent(CloseReason::MadeRoom, now, fx) {
                return self.make_room_of_what_is_busy(now, fx);
            }
        }
    }

    /// Whether more room is wanted than there is and what is being closed will make.
    pub(super) fn room_is_wanted(&self) -> bool {
        self.room_to_come() < self.hungry.dials.min(self.permits_to_dial())
    }

    /// Nothing is idle that could make room: late heartbeats are given up for it, and for hosts that
    /// have nothing at all shared connections leave.
    fn make_room_of_what_is_busy(&mut self, now: Time, fx: &mut Effects<P>) {
        if self.totals.late > 0 {
            let late = self.hosts.iter().filter(|(_, host)| host.late > 0);
            fx.rest().hurry.extend(late.map(|(_, host)| host.shell.clone()));
        }
        let wanted = self.hungry.starving.len().min(self.permits_to_dial());
        while self.room_to_come() + self.totals.making_room < wanted {
            let Some(at) = self.let_one_leave() else { return };
            // What leaves serves nobody: a failing host may dial again for its own waiters.
            self.note_hunger(at, now);
        }
    }

    fn room_to_come(&self) -> usize {
        self.limits.max_total.saturating_sub(self.totals.open - self.totals.closing)
    }

    /// Whether a returned connection should be closed although somebody waits for it here, because
    /// a host with nothing at all has waited for longer.
    pub(super) fn an_older_host_starves(&mut self, at: usize) -> bool {
        if self.hungry.starving.is_empty() || self.permits_to_dial() == 0 {
            return false;
        }
        let Some(oldest_here) = self.hosts[at].waiters.oldest() else { return false };
        let room = self.room_to_come();
        let older = self.hungry.starving.range(..(oldest_here, 0));
        older.take(room.saturating_add(1)).count() > room
    }

    /// Wakes one waiter of each of the hosts that could be fed now, to dial for itself.
    pub(super) fn nudge_hungry(&mut self, fx: &mut Effects<P>) {
        let room = self.room_to_dial();
        let hungry: Vec<_> = self.hungry.all.iter().take(room).map(|&(_, at)| at).collect();
        for at in hungry {
            self.hosts[at].waiters.nudge(1, &mut fx.wake);
        }
    }
}
