//! Whose connection makes room: the least recently used idle one, and of those in use one that returns.

use super::{Budget, Rank};
use crate::policy::time::Time;

impl<H: Clone> Budget<H> {
    /// Free permits, and those that closes and scans will bring.
    pub(super) fn room_to_come(&self) -> usize {
        self.max_total.saturating_sub(self.open).saturating_add(self.closing + self.scanning)
    }

    /// Dials that are wanted for waiters and that the cap on dials leaves room for.
    pub(super) fn wanted(&self) -> usize {
        let demand = self.demand + self.failing_demand.min(self.failing_room());
        demand.min(self.max_dialing.saturating_sub(self.dialing))
    }

    pub(crate) fn wants_room(&self) -> bool {
        self.room_to_come() < self.wanted()
    }

    /// Whether what a host drains to make room is still needed, by others.
    pub(crate) fn needs_drained(&self, id: u64) -> bool {
        let own = self.records.get(&id).map_or(0, |record| record.short_of() as usize);
        self.wanted().saturating_sub(own) > self.room_to_come()
    }

    /// The next host with connections that drain to make room which nobody else needs any more.
    pub(crate) fn drains_in_vain(&self, from: u64) -> Option<H> {
        let mut draining = self.draining.range(from..);
        draining.find(|(id, _)| !self.needs_drained(**id)).map(|(_, host)| host.clone())
    }

    /// Whether a connection that returns to a host with this number of them is given up. `tenured`: the host has served its time.
    pub(crate) fn takes_from(&self, id: u64, live: u32, gained: Option<Time>, now: Time) -> bool {
        if self.wanted() == 0 {
            return false;
        }
        let served = self.room_to_come().saturating_add(self.making_room);
        let tenured = gained.is_none_or(|gained| now >= gained.after(self.tenure()));
        let takes = |rank: &&Rank| {
            let (level, ready, ..) = **rank;
            let has_two_fewer = level + 1 < live;
            let its_turn = || {
                let longest = self
                    .serving
                    .iter()
                    .take(served.saturating_add(1))
                    .any(|(_, other)| *other == id);
                longest || now >= ready.after(self.tenure())
            };
            has_two_fewer || (level == 0 && live == 1 && tenured && now >= ready && its_turn())
        };
        let failing = self.short_and_failing.iter().take(self.failing_room());
        let mut takers =
            self.short.iter().chain(failing).take(served.saturating_add(1)).filter(takes);
        takers.nth(served).is_some()
    }

    /// Whether a scan is to begin: room is wanted, or too many are idle.
    pub(crate) fn needs_scan(&self, idle: usize, now: Time) -> bool {
        let too_many = idle.saturating_sub(self.scanning) > self.max_idle;
        !self.listed.is_empty() && (too_many || (self.wants_room() && now >= self.not_before))
    }

    /// When a scan may make the room that is wanted, if that is later.
    pub(crate) fn room_at(&self, now: Time) -> Option<Time> {
        let is_later = now < self.not_before && !self.listed.is_empty() && self.wants_room();
        is_later.then_some(self.not_before)
    }

    /// Whether late heartbeats may be in the way of who is short, with nothing idle to make room.
    pub(crate) fn hurries_late(&self) -> bool {
        self.late > 0 && self.listed.is_empty() && self.wants_room()
    }

    /// Takes the host out whose idle connection may be the least recently used: it is to be visited.
    pub(crate) fn begin_scan(&mut self, idle: usize, now: Time) -> Option<H> {
        if !self.needs_scan(idle, now) {
            return None;
        }
        let (_, host) = self.listed.pop_first()?;
        self.scanning += 1;
        Some(host)
    }

    /// A scan has come to its host, which is in the list no more, though it may have been listed again meanwhile.
    pub(crate) fn unlist(&mut self, id: u64, listed: Option<Time>) {
        self.scanning -= 1;
        listed.map(|at| self.listed.remove(&(at, id)));
    }

    /// A scan visits a host whose oldest idle connection went idle then. Says whether it is to be closed.
    pub(crate) fn end_scan(&mut self, oldest: Option<Time>, idle: usize, now: Time) -> Scanned {
        let Some(oldest) = oldest else { return Scanned::Kept };
        let is_least_recent =
            self.listed.first_key_value().is_none_or(|((next, _), _)| oldest <= *next);
        if !is_least_recent {
            return Scanned::Kept;
        }
        if idle > self.max_idle {
            return Scanned::TooMany;
        }
        let ripe = oldest.after(self.took);
        if !self.wants_room() {
            Scanned::Kept
        } else if now < ripe {
            self.not_before = ripe;
            Scanned::Kept
        } else {
            Scanned::MakesRoom
        }
    }
}

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    Kept,
    /// To be closed: more are idle than the cap allows.
    TooMany,
    /// To be closed: its room is wanted.
    MakesRoom,
}
