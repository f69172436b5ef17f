//! Requests of the pool's owner: caps, retiring, closing, adding.

use std::time::Duration;

use super::HostState;
use super::dial::Dialed;
use super::membership::Phase;
use crate::engine::connections::entry::{Entry, Proof, State};
use crate::engine::{CallSite, Loan, Parts, Seat, Section};
use crate::policy::close_reason::CloseReason;

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
        self.membership.set_max(max);
        self.fit_cap(section);
    }

    /// The cap has changed.
    pub(super) fn fit_cap(&mut self, section: &mut Section<'_, P>) {
        let surplus = self.surplus();
        let cut_off = self.dials.cut_off_newest(surplus, section.now);
        let others = surplus as usize - cut_off.len();
        section.actions.stop.extend(cut_off);
        for slot in self.unused(others) {
            self.drain(slot, CloseReason::OverCap, section);
        }
        if section.common.is_shared() {
            self.thin_out(section);
            self.take_back(section);
        }
    }

    /// Returns how many connections and dials are more than the cap allows.
    fn surplus(&self) -> u32 {
        let all = self.connections.gauges().staying() + self.dials.len();
        all.saturating_sub(self.membership.max())
    }

    /// Returns this many connections that are not in use, or all: those that wait for their reset,
    /// the last one first, then idle ones, the least recently used first.
    fn unused(&self, most: usize) -> Vec<u32> {
        let unreset = self.pings().awaiting_reset().rev();
        unreset.chain(self.connections.idle()).take(most).collect()
    }

    /// Drains shared connections while more are open than the cap allows, the newest first.
    fn thin_out(&mut self, section: &mut Section<'_, P>) {
        let staying =
            |entry: &Entry<P>| matches!(entry.state, State::InUse | State::Pinging | State::Idle);
        let mut staying = self.connections.slots(staying);
        let surplus = staying.len().saturating_sub(self.membership.max() as usize);
        staying.sort_unstable_by_key(|slot| std::cmp::Reverse(self.connections[*slot].id));
        for slot in staying.into_iter().take(surplus) {
            self.drain(slot, CloseReason::OverCap, section);
        }
    }

    /// Takes back shared connections that drained because of a lowered cap, while there is a place,
    /// the oldest first.
    fn take_back(&mut self, section: &mut Section<'_, P>) {
        let drains = |entry: &Entry<P>| {
            entry.state == State::Draining(CloseReason::OverCap) && !entry.is_dead()
        };
        let mut slots = self.connections.slots(drains);
        slots.sort_by_key(|slot| self.connections[*slot].id);
        for slot in slots {
            // The connection has kept its place. Other draining connections do not stand in its
            // way: the cap may lie between.
            let gauges = self.connections.gauges();
            let is_taken = gauges.staying() + gauges.dialing >= self.membership.max();
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
            is_open(state) || state.may_come_back()
        });
        self.forgive(section);
        let usual = self.usual_dial().unwrap_or(UNKNOWN_DIAL);
        section.actions.stop.extend(self.dials.retire(section.now, usual));
    }

    fn drain_all(
        &mut self,
        reason: CloseReason,
        section: &mut Section<'_, P>,
        which: impl Fn(State) -> bool,
    ) {
        for slot in self.connections.slots(|entry| which(entry.state)) {
            self.drain(slot, reason, section);
        }
    }

    /// Closes all idle connections; those being pinged when they have answered, unless a caller
    /// waits for them.
    pub(crate) fn close_idle(&mut self, section: &mut Section<'_, P>) {
        if let Some(rare) = &mut self.rare {
            rare.pings.clear();
        }
        self.close_unreset(CloseReason::Asked, section);
        for slot in self.connections.slots(|entry| entry.state == State::Idle && !entry.pinged) {
            self.drain(slot, CloseReason::Asked, section);
        }
    }

    /// Ends the pool here: callers get no connection any more, and returned connections are closed.
    /// Dials and pings are cut off.
    pub(crate) fn close(&mut self, section: &mut Section<'_, P>) {
        self.membership.end(Phase::Closed);
        self.wake_warm(section);
        let told = self.answer_all(|| Seat::Closed, section);
        if told > 0 {
            self.rare().counters.shut_out += told;
        }
        self.drain_all(CloseReason::PoolClosed, section, |state| {
            is_open(state) || state.may_come_back()
        });
        section.actions.stop.extend(self.dials.stops());
    }

    /// The last handle was dropped: no connection is kept, but waiters are served. A waiter may
    /// wait for a connection that is being pinged.
    pub(crate) fn orphan(&mut self, section: &mut Section<'_, P>) {
        if self.membership.is_open() {
            self.membership.end(Phase::Orphaned);
            self.drain_all(CloseReason::PoolClosed, section, |state| state == State::Idle);
        }
    }

    /// Adds a connection that was made elsewhere, if there is room for it.
    pub(crate) fn add(
        &mut self,
        connection: P::Connection,
        (max_leases, proof): (usize, Proof),
        section: &mut Section<'_, P>,
    ) -> Room<P::Connection> {
        if !self.membership.is_open() {
            return Room::Closed(connection);
        }
        let limits = &section.common.limits;
        let too_many_idle = self.waiting() == 0
            && (self.connections.free() >= limits.max_idle_per_host || self.is_idle_full(section));
        if self.connections.gauges().places >= self.membership.max() || too_many_idle {
            return Room::Full(connection);
        }
        let Some(slot) = self.reserve(section) else { return Room::Full(connection) };
        self.minimum.use_it();
        let id = section.common.next_id();
        let dialed = Dialed { id, connection, max_leases, took: Duration::ZERO, proof };
        self.make(slot, dialed, section);
        self.settle_proven(slot, section);
        Room::Taken
    }

    /// Returns the ids of the idle connections.
    pub(crate) fn idle_ids(&self) -> Vec<u64> {
        let is_it = |entry: &&Entry<P>| entry.state == State::Idle && !entry.pinged;
        self.connections
            .iter()
            .map(|(_, entry)| entry)
            .filter(is_it)
            .map(|entry| entry.id)
            .collect()
    }

    /// Takes out an idle connection for inspection; it counts as in use meanwhile.
    pub(crate) fn inspect(
        &mut self,
        id: u64,
        call_site: CallSite,
        section: &mut Section<'_, P>,
    ) -> Option<Loan<P>> {
        let slot = self.connections.idle().find(|slot| self.connections[*slot].id == id)?;
        let loan = self.begin(slot, (section.now, call_site), section.common);
        self.note_no_holder(loan.ticket);
        self.note_leak(section.now, &section.common.limits);
        // It is looked at, not used.
        self.connections.change(slot, |entry| entry.begin_look());
        Some(loan)
    }
}

/// Returns whether a connection in this state is open and to stay.
pub(super) fn is_open(state: State) -> bool {
    matches!(state, State::Idle | State::InUse | State::Pinging | State::AwaitsReset)
}
