//! A connection and what the pool knows of it.

use super::time::{Span, Time};

/// Travels in one box from the dial to the close: idle list, waiter's hand, guard.
///
/// In the order of use, as [`Host`](super::host::Host): what a hit and a return touch stands together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tracked<T> {
    pub(crate) created: Time,
    /// How long its dial took.
    pub(crate) took: Span,
    /// Unique in the pool.
    pub(crate) id: u64,
    /// The end of its lifetime.
    pub(crate) expires: Time,
    pub(crate) idle_since: Time,
    /// When it was last lent.
    pub(crate) lent: Time,
    /// Not lent from this time on: the end of its life or of its idle time, the earlier one.
    pub(crate) deadline: Time,
    /// How often it was lent.
    pub(crate) uses: u64,
    /// The host's epoch when its dial began; an older one than the host's means retired.
    pub(crate) epoch: u32,
    pub(crate) health: Health,
    /// Its place among the host's loans.
    pub(crate) loan: u32,
    /// Leases that it takes at once, as it told last. One that is not shared takes one.
    pub(crate) max_leases: usize,
    /// This is a lease, or a heartbeat, on the carrier with this key.
    pub(crate) carrier: Option<u32>,
    /// Its turn at going idle: a lower one has been idle for longer, across hosts.
    pub(crate) turn: u64,
    pub(crate) connection: T,
}

/// What is known of a connection's health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    /// The host's doubts when its dial began, or when it last answered a ping: if they have grown
    /// since, it is suspect.
    pub(crate) doubts: u32,
    /// Heartbeats missed since it last answered.
    pub(crate) missed: u32,
    /// It has been asked, has missed that beat, and may still answer.
    pub(crate) late: bool,
    /// From one heartbeat to the next. Each connection has its own, so that those made together are
    /// not asked together for long.
    pub(crate) every: Span,
    /// When it is asked next, if it is idle then.
    pub(crate) next_beat: Time,
}

impl Health {
    /// It has answered: the doubts that the host had when it was asked do not concern it.
    pub(crate) fn answered(&mut self, doubts: u32) {
        self.doubts = doubts;
        self.missed = 0;
    }

    /// It is idle, or goes on being it, from now on.
    #[inline]
    pub(crate) fn rest(&mut self, now: Time) {
        self.next_beat = now.after(self.every);
    }
}

impl<T> Tracked<T> {
    /// Notes that it goes idle now, to be closed after `timeout`.
    pub(crate) fn rest(&mut self, now: Time, timeout: Span, turn: u64) {
        self.idle_since = now;
        self.deadline = now.after(timeout).min(self.expires);
        self.health.rest(now);
        self.turn = turn;
    }

    pub(crate) fn carrier_key(&self) -> Option<usize> {
        self.carrier.map(|key| key as usize)
    }
}
