//! Requests of the pool's owner: caps, retiring, closing, adding.

use std::time::Duration;

use super::dial::Dialed;
use super::entry::{Entry, State};
use super::{CallSite, HostState, Loan, Parts, Phase, Seat, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Span;

/// Whether there was room for a connection made elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Room<T> {
    Taken,
    /// No room: the connection is returned.
    Full(T),
    Closed(T),
}

/// The usual time of a dial if none has succeeded.
const UNKNOWN_DIAL: Duration = Duration::from_secs(1);

impl<P: Parts> HostState<P> {
    /// Changes the host's cap. Lowering it cuts off dials, the newest first, then closes idle
    /// connections, and closes the rest as they return. Raising it starts the dials that waiters
    /// need, and takes back connections that drained because of the cap.
    pub(crate) fn set_max(&mut self, max: usize, section: &mut Section<'_, P>) {
        self.max = u32::try_from(max).unwrap_or(u32::MAX);
        self.has_own_max = true;
        while self.gauges.staying() + self.dials_in_flight() > self.max {
            let idle =
                self.ready.iter().copied().find(|slot| self.entries[*slot].state == State::Idle);
            let unreset = self.rare.as_ref().and_then(|rare| rare.resets.back().copied());
            match (self.newest_dial(), unreset.or(idle)) {
                (Some(dial), _) => self.cut_off_dial(dial, section),
                (None, Some(unused)) => self.drain(unused, CloseReason::OverCap, section),
                (None, None) => break,
            }
        }
        if section.common.is_shared() {
            self.thin_out(section);
            self.take_back(section);
        }
    }

    fn newest_dial(&self) -> Option<u32> {
        let dials = self.entries.iter().filter(|(_, entry)| entry.is_dialing());
        dials.max_by_key(|(_, entry)| entry.created).map(|(slot, _)| slot)
    }

    /// Drains shared connections while more are open than the cap allows, the newest first.
    fn thin_out(&mut self, section: &mut Section<'_, P>) {
        let staying =
            |entry: &Entry<P>| matches!(entry.state, State::InUse | State::Pinging | State::Idle);
        while self.slots(staying).len() > self.max as usize {
            let newest = self.slots(staying).into_iter().max_by_key(|slot| self.entries[*slot].id);
            let Some(slot) = newest else { return };
            self.drain(slot, CloseReason::OverCap, section);
        }
    }

    /// Takes back shared connections that drained because of a lowered cap, while there is a place,
    /// the oldest first.
    fn take_back(&mut self, section: &mut Section<'_, P>) {
        let drains = |entry: &Entry<P>| {
            entry.state == State::Draining(CloseReason::OverCap) && !entry.is_dead()
        };
        let mut slots = self.slots(drains);
        slots.sort_by_key(|slot| self.entries[*slot].id);
        for slot in slots {
            // The connection has kept its place. Other draining connections do not stand in its
            // way: the cap may lie between.
            let is_taken = self.gauges.staying() + self.gauges.dialing >= self.max;
            if is_taken || !self.revive_unseen(slot, section) {
                return;
            }
        }
    }

    /// Closes the idle connections now, and the lent or pinged ones as they return. Cuts off dials
    /// that have taken longer than usual, because their target may be gone; each of the others may
    /// serve one waiter.
    pub(crate) fn retire(&mut self, section: &mut Section<'_, P>) {
        self.drain_all(CloseReason::Retired, section, |state| {
            matches!(state, State::Idle | State::InUse | State::Pinging) || state.may_come_back()
        });
        self.shorten_backoff(section);
        let (now, usual) = (section.now, self.usual_dial().unwrap_or(UNKNOWN_DIAL));
        // Doubles each time, so that frequent retiring does not keep a slower host from being
        // reached.
        let cut_offs = self.rare.as_ref().map_or(0, |rare| rare.cut_offs);
        let limit = Span::from(usual.saturating_mul(1 << cut_offs.min(16)));
        let is_slow = |entry: &Entry<P>| entry.created.after(limit) <= now;
        let (slow, young): (Vec<_>, Vec<_>) = self
            .slots(|entry| entry.is_dialing())
            .into_iter()
            .partition(|slot| is_slow(&self.entries[*slot]));
        if !slow.is_empty() {
            self.rare().cut_offs += 1;
        }
        for slot in slow {
            // The dial may succeed before it stops: its connection is then closed as a retired one.
            self.retire_dial(slot, now);
            self.cut_off_dial(slot, section);
        }
        for slot in young {
            self.retire_dial(slot, now);
        }
    }

    fn drain_all(
        &mut self,
        reason: CloseReason,
        section: &mut Section<'_, P>,
        which: impl Fn(State) -> bool,
    ) {
        let HostState { ready, entries, .. } = self;
        // Done in one pass, to avoid a search for each slot.
        ready.retain(|slot| !which(entries[*slot].state));
        for slot in self.slots(|entry| which(entry.state)) {
            self.drain(slot, reason, section);
        }
    }

    /// Closes all idle connections; those being pinged when they have answered, unless a caller
    /// waits for them.
    pub(crate) fn close_idle(&mut self, section: &mut Section<'_, P>) {
        if let Some(rare) = &mut self.rare {
            rare.pings.iter_mut().for_each(|ping| ping.cleared = true);
        }
        self.close_unreset(CloseReason::Asked, section);
        for slot in self.slots(|entry| entry.state == State::Idle) {
            if !self.is_pinged(slot) {
                self.drain(slot, CloseReason::Asked, section);
            }
        }
    }

    /// Ends the pool here: callers get no connection any more, and returned connections are closed.
    /// Dials and pings are cut off.
    pub(crate) fn close(&mut self, section: &mut Section<'_, P>) {
        self.phase = Phase::Closed;
        self.wake_warmers(section);
        let told = self.answer_all(|| Seat::Closed, section);
        if told > 0 {
            self.rare().counters.shut_out += told;
        }
        self.drain_all(CloseReason::PoolClosed, section, |state| {
            matches!(state, State::Idle | State::InUse | State::Pinging) || state.may_come_back()
        });
        section.actions.recheck |= self.gauges.dialing > 0;
    }

    /// The last handle was dropped: no connection is kept, but waiters are served. A waiter may
    /// wait for a connection that is being pinged.
    pub(crate) fn orphan(&mut self, section: &mut Section<'_, P>) {
        if self.phase == Phase::Open {
            self.phase = Phase::Orphaned;
            self.drain_all(CloseReason::PoolClosed, section, |state| state == State::Idle);
        }
    }

    /// Adds a connection that was made elsewhere, if there is room for it.
    pub(crate) fn add(
        &mut self,
        connection: P::Connection,
        max_leases: usize,
        section: &mut Section<'_, P>,
    ) -> Room<P::Connection> {
        if self.phase != Phase::Open {
            return Room::Closed(connection);
        }
        let limits = &section.common.limits;
        let too_many_idle = self.waiting() == 0
            && (self.idle_here(section.common) >= limits.max_idle_per_host
                || self.is_idle_full(section));
        if self.gauges.places >= self.max || too_many_idle {
            return Room::Full(connection);
        }
        let Some(slot) = self.reserve(section) else { return Room::Full(connection) };
        self.used = true;
        let id = section.common.next_id();
        self.make(slot, Dialed { id, connection, max_leases, took: Duration::ZERO }, section);
        self.settle_proven(slot, section);
        Room::Taken
    }

    /// Returns the ids of the idle connections.
    pub(crate) fn idle_ids(&self) -> Vec<u64> {
        let idle = self
            .entries
            .iter()
            .filter(|(slot, entry)| entry.state == State::Idle && !self.is_pinged(*slot));
        idle.map(|(_, entry)| entry.id).collect()
    }

    /// Takes out an idle connection for inspection; it counts as in use meanwhile.
    pub(crate) fn inspect(
        &mut self,
        id: u64,
        call_site: CallSite,
        section: &mut Section<'_, P>,
    ) -> Option<Loan<P>> {
        let mut idle = self.ready.iter().copied();
        let slot = idle.find(|slot| {
            self.entries[*slot].id == id && self.entries[*slot].state == State::Idle
        })?;
        self.leave_ready(slot);
        let loan = self.begin(slot, (section.now, call_site), section.common);
        self.note_no_holder(loan.ticket);
        // It is looked at, not used.
        self.change(slot, |entry| {
            entry.uses -= 1;
            entry.leases.iter_mut().for_each(|lease| lease.nth -= 1);
        });
        Some(loan)
    }
}
