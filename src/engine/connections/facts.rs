//! What is known of a connection. Everybody reads it; an [`Entry`](super::entry::Entry) changes it.

use crate::policy::close_reason::CloseReason;
use crate::policy::limits::{Beats, Limits};
use crate::policy::time::{Span, Time};

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A task of the pool dials: see [`Dials`](crate::engine::work::dials::Dials). Next: `Idle`, or gone.
    Dialing,
    /// Not in use. Next: `InUse`, `Pinging`, `Draining`.
    Idle,
    /// Lent. Next: `Idle` after its last lease, `Pinging` (a shared one), `AwaitsReset` (an
    /// exclusive one), `Draining`.
    InUse,
    /// A task of the pool pings or resets it, and it takes no new leases until that has succeeded.
    /// Existing leases on a shared connection continue. Next: `Idle`, `InUse`, `Draining`.
    Pinging,
    /// Its borrower has left state to undo, and its reset has not started. Next: `Pinging`,
    /// `Draining`.
    AwaitsReset,
    /// Takes no new leases, and is closed after its last lease and its ping. Next: `Closing`; a
    /// shared one that only made room, or was above a lowered cap, returns to `InUse` when it may
    /// stay, and one that is too old when nothing else has room.
    Draining(CloseReason),
    /// A task of the pool closes it. Next: gone.
    Closing,
}

impl State {
    /// Returns whether a connection may take leases again after draining for this reason: the room
    /// is not needed, the cap is raised, its last use did not count, or nothing else has room.
    pub(crate) fn may_come_back(self) -> bool {
        matches!(self.finality(), 1 | 2)
    }

    /// Returns whether it drains, and may still become too old.
    pub(crate) fn drains_young(self) -> bool {
        self.finality() == 1
    }

    /// Returns how final it is that it drains: zero if it does not.
    pub(super) fn finality(self) -> u8 {
        match self {
            State::Draining(CloseReason::MadeRoom | CloseReason::OverCap | CloseReason::Uses) => 1,
            State::Draining(CloseReason::Age) => 2,
            State::Draining(_) | State::Closing => 3,
            _ => 0,
        }
    }
}

/// What an entry counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A place under the host's cap, and a permit under the caps across hosts.
    Place,
    /// A permit only: a draining shared connection has given up its place.
    Permit,
    /// Neither: the connection is dead, or its task does not end where its runtime is not driven.
    Nothing,
}

/// What can prove that the peer lives. It is the same for all connections of a connector, or of a
/// kind of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing: the connector has no ping.
    Nothing,
    /// The answer to a ping.
    Ping,
    /// The same, or that the peer was heard lately, which the connector knows.
    Heard,
}

/// Uses postpone a ping until the last proof of life is this many intervals ago.
const POSTPONED: u64 = 3;

/// A shared connection that is in use is not pinged more often than if this were the interval.
pub(super) const IN_USE: Span = Span::from_nanos(1_000_000_000);

/// What is known of a connection. The fields that lending, returning and handing over use come
/// first.
#[repr(C)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(crate) struct Facts {
    pub(crate) state: State,
    pub(crate) holds: Holds,
    /// Its idle time-out has passed, and it is kept for the minimum idle because it has answered
    /// since.
    pub(crate) kept: bool,
    /// A borrower has reported that it may be dead: it is suspect until it has answered.
    pub(crate) doubted: bool,
    /// A ping is in flight.
    pub(crate) pinged: bool,
    /// It is lent to be looked at, which is no use.
    pub(crate) looked_at: bool,
    pub(crate) proof: Proof,
    /// The host's suspect generation at its last proof of life. It is suspect if the host's is
    /// newer.
    pub(crate) generation: u32,
    pub(crate) max_leases: u32,
    /// How often it was lent.
    pub(crate) uses: u64,
    /// When its last use ended.
    pub(crate) idle_since: Time,
    /// The end of its lifetime.
    pub(crate) expires: Time,
    /// When it was made, last answered a ping or was last known to be heard: the last proof of life.
    /// That a borrower gives it back is none.
    pub(crate) checked_at: Time,
    /// When it was made or last answered a ping.
    pub(crate) answered_at: Time,
    /// Orders idle connections: of two connections of a host, the one with the lower number has been
    /// idle for longer.
    pub(crate) last_use: u64,
    /// Unique in the pool. Assigned when the dial has succeeded.
    pub(crate) id: u64,
    pub(crate) created: Time,
    /// The duration of its dial or of its latest ping, in microseconds.
    pub(crate) proof_micros: u32,
    /// Heartbeats missed since its last answer.
    pub(crate) missed: u32,
}

impl Facts {
    pub(crate) fn is_dead(&self) -> bool {
        self.holds == Holds::Nothing
    }

    /// Returns whether it must answer a ping before it is lent: a peer of it was found dead, or its
    /// borrower suspects it.
    #[inline]
    pub(crate) fn is_suspect(&self, generation: u32) -> bool {
        self.generation != generation || self.doubted
    }

    /// Returns whether it may be lent as it is, if it is not in use.
    #[inline]
    pub(crate) fn is_fit_idle(&self, generation: u32, now: Time, limits: &Limits) -> bool {
        !self.is_suspect(generation) && now < self.expires && self.is_fresh(now, limits)
    }

    #[inline]
    pub(super) fn is_fresh(&self, now: Time, limits: &Limits) -> bool {
        now < self.idles_until(self.kept, limits)
            && (limits.ping_after == Span::FOREVER || !self.is_unproven(now, limits))
    }

    /// Returns whether it must be pinged before it is lent, because its last proof of life is too
    /// old. It counts for an interval at least.
    #[inline]
    fn is_unproven(&self, now: Time, limits: &Limits) -> bool {
        // With `Always`, a coarse `now` may be earlier than the proof.
        let counts =
            limits.ping_after != Span::ZERO && now < self.checked_at.after(limits.ping_after);
        !counts && self.is_unproven_longer(now, limits)
    }

    /// The same for a proof that is older than an interval. `Always` means always.
    #[cold]
    fn is_unproven_longer(&self, now: Time, limits: &Limits) -> bool {
        let always = limits.ping_after == Span::ZERO && self.proof != Proof::Nothing;
        always || self.counts_until(limits.ping_after) <= now
    }

    /// Returns until when the last proof of life counts if pings are sent at this interval. Where
    /// the connector does not know when the peer was heard, the last use postpones the next one.
    fn counts_until(&self, interval: Span) -> Time {
        let proven = self.checked_at.after(interval);
        match self.proof {
            Proof::Nothing => Time::NEVER,
            Proof::Heard => proven,
            Proof::Ping => {
                proven.max(self.idle_since.after(interval).min(self.postponed_to(interval)))
            }
        }
    }

    /// The same for a connection that is in use, or was until now.
    fn counts_in_use(&self, interval: Span) -> Time {
        match self.proof {
            Proof::Nothing => Time::NEVER,
            Proof::Heard => self.checked_at.after(interval),
            Proof::Ping => self.postponed_to(interval),
        }
    }

    #[inline]
    fn postponed_to(&self, interval: Span) -> Time {
        self.checked_at.after(Span::from_nanos(interval.nanos().saturating_mul(POSTPONED)))
    }

    /// Returns whether a shared connection that is in use takes no more leases until it has
    /// answered.
    pub(super) fn is_unproven_in_use(&self, now: Time, limits: &Limits) -> bool {
        limits.ping_after != Span::FOREVER
            && self.counts_in_use(limits.ping_after.max(IN_USE)) <= now
    }

    /// Returns whether it need not be pinged before its next loan if its only use ends now.
    #[inline]
    pub(crate) fn returns_proven(&self, now: Time, limits: &Limits) -> bool {
        let answers = limits.ping_after == Span::FOREVER
            || (limits.ping_after != Span::ZERO && now < self.counts_in_use(limits.ping_after))
            || self.proof == Proof::Nothing;
        answers && !self.returns_overdue(now, limits)
    }

    /// Returns whether its heartbeat is overdue if its only use ends now.
    #[inline]
    pub(crate) fn returns_overdue(&self, now: Time, limits: &Limits) -> bool {
        limits.heartbeat.is_some_and(|beats| self.counts_in_use(beats.interval_of(self.id)) <= now)
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
    #[inline]
    pub(crate) fn is_over(&self, now: Time, limits: &Limits) -> Option<CloseReason> {
        if self.expires <= now {
            Some(CloseReason::Age)
        } else if self.uses >= limits.max_uses {
            Some(CloseReason::Uses)
        } else {
            None
        }
    }

    /// Returns when its next heartbeat is due. A shared connection is pinged while it is used.
    pub(crate) fn next_beat(&self, limits: &Limits, shared: bool) -> Time {
        limits.heartbeat.map_or(Time::NEVER, |beats| {
            let interval = beats.interval_of(self.id);
            match self.proof {
                Proof::Ping if shared => self.checked_at.after(interval),
                _ => self.counts_until(interval),
            }
        })
    }

    /// Returns when its heartbeat is due if its only use ends now.
    #[inline]
    pub(crate) fn beat_after_use(&self, now: Time, beats: &Beats) -> Time {
        let interval = beats.interval_of(self.id);
        match self.proof {
            // No multiplication: measured.
            Proof::Ping => now.min(self.checked_at.after(interval).after(interval)).after(interval),
            Proof::Heard => self.checked_at.after(interval),
            Proof::Nothing => Time::NEVER,
        }
    }

    /// Returns whether its last answer is less than three intervals old.
    pub(crate) fn was_answered_lately(&self, interval: Span, now: Time) -> bool {
        now < self.answered_at.after(interval).after(interval).after(interval)
    }

    /// Returns since when the peer must have been heard for this ping to be needless, if it can be.
    pub(crate) fn heard_is_enough(
        &self,
        interval: Span,
        suspected_at: Option<Time>,
        now: Time,
    ) -> Option<Time> {
        // Without an interval, only what makes it suspect needs an answer.
        let is_asked = suspected_at.is_some() || interval != Span::FOREVER;
        if self.proof != Proof::Heard || self.doubted || interval == Span::ZERO || !is_asked {
            return None;
        }
        let lately = Time::from_nanos(now.nanos().saturating_sub(interval.nanos()));
        Some(suspected_at.map_or(lately, |at| lately.max(at)))
    }
}
