//! Which connection makes room: the least recently used idle one, or one in use that returns.

use super::{Budget, FAILING_SHARE, Rank};
use crate::policy::time::Time;

impl<H: Clone> Budget<H> {
    /// Returns the free permits, and those that closes and scans will free.
    pub(super) fn room_to_come(&self) -> usize {
        self.max_total.saturating_sub(self.open).saturating_add(self.closing + self.scanning)
    }

    /// Returns the dials that are wanted for waiters and fit under the cap on dials.
    pub(super) fn wanted(&self) -> usize {
        let demand = self.demand + self.failing_demand.min(self.failing_room());
        demand.min(self.max_dialing.saturating_sub(self.dialing))
    }

    pub(crate) fn wants_room(&self) -> bool {
        self.room_to_come() < self.wanted()
    }

    /// Returns whether other hosts than this one are short, and no permit is free.
    pub(crate) fn lacks_room_beside(&self, id: u64) -> bool {
        let own = self.records.get(&id).map_or(0, |record| record.short_of() as usize);
        !self.has_room() && self.demand + self.failing_demand > own
    }

    /// Returns whether failing hosts hold more than their share while a healthy one is short.
    pub(crate) fn failing_hold_too_much(&self) -> bool {
        let share = |cap: usize| (cap / FAILING_SHARE).max(1);
        self.demand > 0
            && (self.failing > share(self.max_total)
                || self.failing_dials > share(self.max_dialing))
    }

    /// Returns a host with a slow dial, if another one lacks the room.
    pub(crate) fn gives_way(&self) -> Option<H> {
        let mut giving = self.giving_way.iter();
        giving.find(|(id, _)| self.lacks_room_beside(**id)).map(|(_, host)| host.clone())
    }

    /// Returns whether all permits are taken, and no more will be free until a lease ends that may last
    /// for long: no connection is idle, closes or makes room.
    pub(crate) fn is_exhausted(&self) -> bool {
        let is_none_on_its_way = self.room_to_come() + self.making_room + self.scanning == 0;
        self.is_full() && is_none_on_its_way && self.listed.is_empty()
    }

    /// Returns whether other hosts still need the room that a host is draining for.
    pub(crate) fn needs_drained(&self, id: u64) -> bool {
        let own = self.records.get(&id).map_or(0, |record| record.short_of() as usize);
        self.wanted().saturating_sub(own) > self.room_to_come()
    }

    /// Returns the next host with connections that drain to make room although no other host needs
    /// it.
    pub(crate) fn drains_in_vain(&self, from: u64) -> Option<H> {
        let mut draining = self.draining.range(from..);
        draining.find(|(id, _)| !self.needs_drained(**id)).map(|(_, host)| host.clone())
    }

    /// Returns whether a connection that returns to a host with `live` connections is given up.
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
        let mut takers = self.in_turn().take(served.saturating_add(1)).filter(takes);
        takers.nth(served).is_some()
    }

    /// Returns whether more connections are open than the cap allows, which was lowered, and not enough
    /// of them are being closed.
    pub(crate) fn is_over_full(&self) -> bool {
        self.open > self.max_total.saturating_add(self.closing + self.making_room)
    }

    /// Returns whether a scan should start: room is wanted, or too many connections are open or idle.
    pub(crate) fn needs_scan(&self, idle: usize, now: Time) -> bool {
        let too_many = idle.saturating_sub(self.scanning) > self.max_idle
            || (self.is_over_full() && self.scanning == 0);
        !self.listed.is_empty() && (too_many || (self.wants_room() && now >= self.not_before))
    }

    /// Returns when a scan may make the room that is wanted, if that is later.
    pub(crate) fn room_at(&self, now: Time) -> Option<Time> {
        let is_later = now < self.not_before && !self.listed.is_empty() && self.wants_room();
        is_later.then_some(self.not_before)
    }

    /// Returns whether late heartbeats may keep room from a short host while no idle connection can
    /// make room.
    pub(crate) fn hurries_late(&self) -> bool {
        self.late > 0 && self.listed.is_empty() && self.wants_room()
    }

    /// Removes from the list the host whose idle connection may be the least recently used, for a
    /// visit.
    pub(crate) fn begin_scan(&mut self, idle: usize, now: Time) -> Option<H> {
        if !self.needs_scan(idle, now) {
            return None;
        }
        let (_, host) = self.listed.pop_first()?;
        self.scanning += 1;
        Some(host)
    }

    /// A scan visits its host, which is not in the list any more, unless it was listed again
    /// meanwhile.
    pub(crate) fn unlist(&mut self, id: u64, listed: Option<Time>) {
        self.scanning -= 1;
        listed.map(|at| self.listed.remove(&(at, id)));
    }

    /// Ends the scan of a host whose oldest idle connection became idle at this time. Returns
    /// whether to close it.
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
        if self.is_over_full() {
            return Scanned::OverCap;
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

/// The result of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    Kept,
    /// Close it: more connections are idle than the cap allows.
    TooMany,
    /// Close it: more connections are open than the cap allows.
    OverCap,
    /// Close it: its room is wanted.
    MakesRoom,
}
