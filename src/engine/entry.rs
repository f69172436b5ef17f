//! A connection, from the start of its dial to the end of its close. It never changes its slot.
//!
//! A loan, a lease and a ping are all uses of an entry. Exclusive means that the use takes the connection along;
//! shared means that it takes a share, and the connection stays.

use super::leases::Leases;
use super::{Loan, Parts};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::{BEAT_JITTER, Limits};
use crate::policy::time::{Span, Time};

/// Where a connection is. [`change`](super::gauges::change) is the only way from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A task of the pool dials. To `Idle`, or gone. One that is cut off keeps its place until its task has ended.
    Dialing,
    /// Nobody uses it. To `InUse`, `Pinging`, `Draining`.
    Idle,
    /// Lent. To `Idle` with its last lease, `Pinging` (a shared one that is pinged, an exclusive one that needs a reset),
    /// `Draining`.
    InUse,
    /// A task of the pool pings or resets it, or is about to reset it, and it is lent to nobody new until that has gone
    /// well. Those who have had a shared one before go on using it. To `Idle`, `InUse`, `Draining`.
    Pinging,
    /// Takes no new leases, and is closed after its last one, and after its ping. To `Closing`; a shared one that
    /// only made room, or was above a lowered cap, goes back to `InUse` when it need not leave any more.
    Draining(CloseReason),
    /// A task of the pool closes it. Gone afterwards.
    Closing,
}

impl State {
    /// Whether the connection may take leases again after it has drained for this reason: the room is not needed, the
    /// cap is raised, its last use was none.
    pub(crate) fn may_come_back(self) -> bool {
        matches!(
            self,
            State::Draining(CloseReason::MadeRoom | CloseReason::OverCap | CloseReason::Uses)
        )
    }
}

/// What an entry takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A place under the host's cap, and a permit under the caps across hosts.
    Place,
    /// A permit only: a shared connection that drains has given its place to the next one.
    Permit,
    /// Neither: it is dead.
    Nothing,
}

/// What lending, giving back and handing over touch comes first.
#[repr(C)]
pub(crate) struct Entry<P: Parts> {
    pub(crate) state: State,
    pub(crate) holds: Holds,
    /// Its idle time-out has passed, and it stays for the minimum idle, because it has answered since.
    pub(crate) kept: bool,
    /// Its dial is to stop: nobody will use what it makes.
    pub(crate) cut_off: bool,
    /// A borrower has said that it may be dead: it is suspect until it has answered.
    pub(crate) doubted: bool,
    /// The host's suspect generation that its last proof of life belongs to. It is suspect if that has moved on.
    pub(crate) generation: u32,
    /// Heartbeats missed since it last answered.
    pub(crate) missed: u32,
    /// Away while an exclusive connection is lent, pinged, or closed.
    pub(crate) value: Option<Box<Loan<P>>>,
    pub(crate) leases: Leases,
    /// How often it was lent.
    pub(crate) uses: u64,
    /// When its last use ended.
    pub(crate) idle_since: Time,
    /// Its turn at going idle: of two connections of a host, the one with the lower has been idle for longer. While it
    /// is dialed, the host's turn when that began.
    pub(crate) turn: u64,
    /// The end of its lifetime. Of a dial, when the host was retired: that is the end of its connection's.
    pub(crate) expires: Time,
    /// When it last answered a ping, or was made: the last proof of life that is no use.
    pub(crate) checked_at: Time,
    /// When it was made; while it is dialed, when that began.
    pub(crate) created: Time,
    /// Unique in the pool. Given when the dial has succeeded.
    pub(crate) id: u64,
    /// How long its dial took, or its last ping since, in microseconds.
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

    /// Whether it takes leases, and has room for one.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        matches!(self.state, State::Idle | State::InUse) && self.room() > 0
    }

    /// Leases that it could take beside those that are out.
    pub(crate) fn room(&self) -> usize {
        (self.max_leases as usize).saturating_sub(self.leases.len())
    }

    /// Whether it is being dialed, and the dial was not cut off.
    pub(crate) fn is_dialing(&self) -> bool {
        self.state == State::Dialing && !self.cut_off
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.holds == Holds::Nothing
    }

    /// Whether it must answer a ping before it is lent: a peer of it was found dead, or a borrower doubts it.
    #[inline]
    pub(crate) fn is_suspect(&self, generation: u32) -> bool {
        self.generation != generation || self.doubted
    }

    /// Whether it may be lent as it is: neither past its time nor to be pinged first.
    #[inline]
    pub(crate) fn is_fit(&self, generation: u32, now: Time, limits: &Limits) -> bool {
        !self.is_suspect(generation)
            && now < self.expires
            && (!self.leases.is_empty() || self.is_fresh(now, limits))
    }

    /// The same, for one that nobody uses.
    #[inline]
    pub(crate) fn is_fit_idle(&self, generation: u32, now: Time, limits: &Limits) -> bool {
        !self.is_suspect(generation) && now < self.expires && self.is_fresh(now, limits)
    }

    #[inline]
    fn is_fresh(&self, now: Time, limits: &Limits) -> bool {
        now < self.idles_until(self.kept, limits)
            && (limits.ping_after == Span::FOREVER || !self.is_unproven(now, limits))
    }

    /// Whether it must be pinged because nothing has proved it alive for too long.
    fn is_unproven(&self, now: Time, limits: &Limits) -> bool {
        // Always means always: a coarse `now` may lie before the return.
        limits.ping_after == Span::ZERO
            || self.idle_since.max(self.checked_at).after(limits.ping_after) <= now
    }

    /// When it has been idle for too long. One that `stays` for the minimum idle does so while it answers.
    #[inline]
    pub(crate) fn idles_until(&self, stays: bool, limits: &Limits) -> Time {
        let answers = stays && self.missed == 0;
        let from = if answers { self.idle_since.max(self.checked_at) } else { self.idle_since };
        from.after(limits.idle_timeout)
    }

    /// Why its time is over, if it is.
    pub(crate) fn is_over(&self, now: Time, limits: &Limits) -> Option<CloseReason> {
        if self.expires <= now {
            Some(CloseReason::Age)
        } else if self.uses >= limits.max_uses {
            Some(CloseReason::Uses)
        } else {
            None
        }
    }

    /// When its next heartbeat is due, counted from the last proof of life. A use that ended well is none for a
    /// shared connection: it says nothing of the moment when it ended.
    pub(crate) fn next_beat(&self, limits: &Limits, shared: bool) -> Time {
        let Some(beats) = limits.heartbeat else { return Time::NEVER };
        let proof = if shared { self.checked_at } else { self.idle_since.max(self.checked_at) };
        proof.after(beats.every.shortened(BEAT_JITTER * share_of(self.id)))
    }
}

/// A number from 0 to 1 that looks random, and is always the same for an id.
fn share_of(id: u64) -> f64 {
    // The golden ratio's bits spread consecutive numbers evenly.
    let spread = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    spread as f64 / f64::from(1u32 << 24)
}
