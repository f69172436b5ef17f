//! The limits of a pool, as the engine reads them.

use std::time::Duration;

use super::backoff::Backoff;
use super::order::Order;
use super::reuse::Reuse;
use super::spread::Spread;
use super::time::Span;

/// The limits of a pool. `usize::MAX` and `FOREVER` stand for "no limit".
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_per_host: usize,
    pub(crate) initial_per_host: usize,
    pub(crate) min_idle_per_host: usize,
    pub(crate) max_idle_per_host: usize,
    pub(crate) max_idle: usize,
    pub(crate) max_total: usize,
    pub(crate) max_waiters_per_host: usize,
    pub(crate) max_dialing_per_host: usize,
    pub(crate) max_dialing: usize,
    pub(crate) order: Order,
    pub(crate) reuse: Reuse,
    pub(crate) spread: Spread,
    pub(crate) acquire_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) max_lifetime: Span,
    pub(crate) lifetime_jitter: f64,
    pub(crate) max_uses: u64,
    /// The time limit of one dial, while things are well.
    pub(crate) connect_timeout: Span,
    pub(crate) backoff: Backoff,
    /// A connection without proof of life for this long is pinged before it is lent.
    pub(crate) ping_after: Span,
    /// How long a ping that a waiter needs counts as on its way to that waiter.
    pub(crate) ping_counts: Span,
    /// The most pings and resets of one host that run at once without a waiter.
    pub(crate) pings_at_once: usize,
    pub(crate) heartbeat: Option<Beats>,
    /// The time limit of one close, while its runtime runs.
    pub(crate) close_timeout: Span,
    /// A loan that is held for longer is reported.
    pub(crate) leak_after: Span,
    /// A deadlock that lasts for so long is reported. `FOREVER` where none is looked for.
    pub(crate) deadlock_after: Span,
    /// How long samples count that advice is made of. `FOREVER` where none are taken.
    pub(crate) advice: Span,
    /// Whether waiters wait for the next dial after a failed one.
    pub(crate) retry: bool,
}

/// How idle connections are pinged on a timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    pub(crate) every: Span,
    /// Misses in a row that close a connection.
    pub(crate) max_missed: u32,
}

/// Returns a number below 2^32 for a connection with this id: consecutive ones are spread evenly, by the golden
/// ratio's bits.
#[inline]
pub(crate) fn spread(id: u64) -> u64 {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

impl Beats {
    /// Returns the interval of the connection with this id: `every` less up to a tenth of it, so
    /// that connections made together do not stay synchronized.
    #[inline]
    pub(crate) fn interval_of(&self, id: u64) -> Span {
        if self.every == Span::FOREVER {
            return self.every;
        }
        let share = spread(id);
        let tenth = u128::from(self.every.nanos() / 10);
        #[allow(clippy::cast_possible_truncation)] // It is shorter than a tenth.
        let less = ((tenth * u128::from(share)) >> 32) as u64;
        Span::from_nanos(self.every.nanos() - less)
    }
}

/// The longest time for which a ping counts as on its way to a waiter: many round trips, but short
/// compared with an acquire's time-out.
const PING_COUNTS: Duration = Duration::from_millis(250);

/// The longest that a deadlock lasts before it is reported: longer than most uses of a connection, so that a connection
/// which comes back although its task waits is seen to do so.
const DEADLOCK_AFTER: Duration = Duration::from_secs(1);

/// Enough to look through a host's connections in little time, and too few to be a load on a server.
pub(crate) const PINGS_AT_ONCE: usize = 8;

impl Limits {
    /// Returns whether a cap spans hosts: the hosts then share a budget.
    pub(crate) fn span_hosts(&self) -> bool {
        [self.max_idle, self.max_total, self.max_dialing].iter().any(|&cap| cap != usize::MAX)
    }

    /// Returns how long a ping counts as on its way, for this `ping_timeout`.
    pub(crate) fn ping_counts(ping_timeout: Option<Duration>) -> Span {
        Span::from(ping_timeout.map_or(PING_COUNTS, |limit| PING_COUNTS.min(limit / 2)))
    }

    /// How long a deadlock lasts before it is reported, for this `acquire_timeout`. Where it is zero, those who wait have
    /// a time-out of their own.
    pub(crate) fn deadlock_after(acquire_timeout: Option<Duration>) -> Span {
        let waits = acquire_timeout.filter(|limit| !limit.is_zero());
        Span::from(waits.map_or(DEADLOCK_AFTER, |limit| DEADLOCK_AFTER.min(limit / 2)))
    }
}
