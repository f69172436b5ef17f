//! A connection, from the start of its dial to the end of its close. It never changes its slot.
//!
//! Loans, leases and pings are all uses of an entry. An exclusive use takes the connection out of
//! the entry; a shared use takes a share, and the connection stays.

use super::leases::Leases;
use super::{LoanView, Parts};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// The state of a connection. Only [`change`](super::gauges::change) changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A task of the pool dials. Next: `Idle`, or gone. A dial that is cut off keeps its place
    /// until its task has ended.
    Dialing,
    /// Not in use. Next: `InUse`, `Pinging`, `Draining`.
    Idle,
    /// Lent. Next: `Idle` after its last lease, `Pinging` (a shared one that is pinged, or an
    /// exclusive one that needs a reset), `Draining`.
    InUse,
    /// A task of the pool pings or resets it, or is about to reset it, and it takes no new leases
    /// until that has succeeded. Existing leases on a shared connection continue. Next: `Idle`,
    /// `InUse`, `Draining`.
    Pinging,
    /// Takes no new leases, and is closed after its last lease and its ping. Next: `Closing`; a
    /// shared one that only made room, or was above a lowered cap, returns to `InUse` when it may
    /// stay.
    Draining(CloseReason),
    /// A task of the pool closes it. Next: gone.
    Closing,
}

impl State {
    /// Returns whether a connection may take leases again after draining for this reason: the room
    /// is not needed, the cap is raised, or its last use did not count.
    pub(crate) fn may_come_back(self) -> bool {
        matches!(
            self,
            State::Draining(CloseReason::MadeRoom | CloseReason::OverCap | CloseReason::Uses)
        )
    }
}

/// What an entry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A place under the host's cap, and a permit under the caps across hosts.
    Place,
    /// A permit only: a draining shared connection has given up its place.
    Permit,
    /// Neither: the connection is dead.
    Nothing,
}

/// The fields that lending, returning and handing over use come first.
#[repr(C)]
pub(crate) struct Entry<P: Parts> {
    pub(crate) state: State,
    pub(crate) holds: Holds,
    /// Its idle time-out has passed, and it is kept for the minimum idle because it has answered
    /// since.
    pub(crate) kept: bool,
    /// Its dial has to stop: the connection would not be used.
    pub(crate) cut_off: bool,
    /// A borrower has reported that it may be dead: it is suspect until it has answered.
    pub(crate) doubted: bool,
    /// The host's suspect generation at its last proof of life. It is suspect if the host's is
    /// newer.
    pub(crate) generation: u32,
    /// Heartbeats missed since its last answer.
    pub(crate) missed: u32,
    /// Absent while an exclusive connection is lent, pinged, or closed.
    pub(crate) value: Option<P::Connection>,
    pub(crate) leases: Leases,
    /// How often it was lent.
    pub(crate) uses: u64,
    /// When its last use ended.
    pub(crate) idle_since: Time,
    /// Orders idle connections: of two connections of a host, the one with the lower turn has been
    /// idle for longer. During the dial, the host's turn when the dial started.
    pub(crate) turn: u64,
    /// The end of its lifetime. For a dial, the time when the host was retired, which is the end of
    /// its connection's lifetime.
    pub(crate) expires: Time,
    /// When it last answered a ping, or was made: the last proof of life other than a use.
    pub(crate) checked_at: Time,
    /// When it was made; during the dial, when the dial started.
    pub(crate) created: Time,
    /// Unique in the pool. Assigned when the dial has succeeded.
    pub(crate) id: u64,
    /// The duration of its dial or of its latest ping, in microseconds.
    pub(crate) proof_micros: u32,
    pub(crate) max_leases: u32,
}

impl<P: Parts> Entry<P> {
    pub(crate) fn dialing(now: Time, generation: u32, turn: u64) -> Self {
        Entry {
            value: None,
            leases: Leases::new(),
            idle_since: now,
            checked_at: now,
            expires: Time::NEVER,
            created: now,
            id: 0,
            uses: 0,
            turn,
            proof_micros: 0,
            max_leases: 1,
            generation,
            missed: 0,
            state: State::Dialing,
            holds: Holds::Place,
            kept: false,
            cut_off: false,
            doubted: false,
        }
    }

    /// Returns whether it takes leases and has room for one.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        matches!(self.state, State::Idle | State::InUse) && self.room() > 0
    }

    /// Returns how many more leases it could take.
    pub(crate) fn room(&self) -> usize {
        (self.max_leases as usize).saturating_sub(self.leases.len())
    }

    /// Returns what the observer is told about a loan that begins now.
    #[inline]
    pub(crate) fn loan_view(&self, now: Time) -> LoanView {
        LoanView { id: self.id, since: now, is_first: self.uses <= 1 }
    }

    /// Returns whether it is being dialed and the dial was not cut off.
    pub(crate) fn is_dialing(&self) -> bool {
        self.state == State::Dialing && !self.cut_off
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.holds == Holds::Nothing
    }

    /// Returns whether it must answer a ping before it is lent: a peer of it was found dead, or its
    /// borrower suspects it.
    #[inline]
    pub(crate) fn is_suspect(&self, generation: u32) -> bool {
        self.generation != generation || self.doubted
    }

    /// Returns whether it may be lent as it is: neither expired nor in need of a ping.
    #[inline]
    pub(crate) fn is_fit(&self, generation: u32, now: Time, limits: &Limits) -> bool {
        !self.is_suspect(generation)
            && now < self.expires
            && (!self.leases.is_empty() || self.is_fresh(now, limits))
    }

    /// The same, for a connection that is not in use.
    #[inline]
    pub(crate) fn is_fit_idle(&self, generation: u32, now: Time, limits: &Limits) -> bool {
        !self.is_suspect(generation) && now < self.expires && self.is_fresh(now, limits)
    }

    #[inline]
    fn is_fresh(&self, now: Time, limits: &Limits) -> bool {
        now < self.idles_until(self.kept, limits)
            && (limits.ping_after == Span::FOREVER || !self.is_unproven(now, limits))
    }

    /// Returns whether it must be pinged because its last proof of life is too old.
    fn is_unproven(&self, now: Time, limits: &Limits) -> bool {
        // `Always` means always: a coarse `now` may be earlier than the return.
        limits.ping_after == Span::ZERO
            || self.idle_since.max(self.checked_at).after(limits.ping_after) <= now
    }

    /// Returns when it has been idle for too long. A connection that is kept for the minimum idle
    /// stays while it answers.
    #[inline]
    pub(crate) fn idles_until(&self, stays: bool, limits: &Limits) -> Time {
        let answers = stays && self.missed == 0;
        let from = if answers { self.idle_since.max(self.checked_at) } else { self.idle_since };
        from.after(limits.idle_timeout)
    }

    /// Returns why it has expired, if it has.
    pub(crate) fn is_over(&self, now: Time, limits: &Limits) -> Option<CloseReason> {
        if self.expires <= now {
            Some(CloseReason::Age)
        } else if self.uses >= limits.max_uses {
            Some(CloseReason::Uses)
        } else {
            None
        }
    }

    /// Returns when its next heartbeat is due, counted from the last proof of life. For a shared
    /// connection, a use that ended well is not proof: it says nothing about the moment when it
    /// ended.
    pub(crate) fn next_beat(&self, limits: &Limits, shared: bool) -> Time {
        let proof = if shared { self.checked_at } else { self.idle_since.max(self.checked_at) };
        self.beat_after(proof, limits)
    }

    /// Returns when its heartbeat is due if the last proof of life is this one.
    #[inline]
    pub(crate) fn beat_after(&self, proof: Time, limits: &Limits) -> Time {
        limits.heartbeat.map_or(Time::NEVER, |beats| proof.after(beats.interval_of(self.id)))
    }
}
