//! The numbers of a pool, as the engine reads them.

use std::time::Duration;

use super::backoff::Backoff;
use super::reuse::Reuse;
use super::spread::Spread;
use super::time::Span;

/// The numbers of a pool. `usize::MAX` and `FOREVER` stand for "no limit".
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
    pub(crate) reuse: Reuse,
    pub(crate) spread: Spread,
    pub(crate) acquire_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) max_lifetime: Span,
    pub(crate) lifetime_jitter: f64,
    pub(crate) max_uses: u64,
    pub(crate) backoff: Backoff,
    /// A connection without proof of life for so long is pinged before it is lent.
    pub(crate) ping_after: Span,
    /// A ping that a waiter needs counts as on its way for so long.
    pub(crate) ping_counts: Span,
    /// Pings and resets that no waiter needs, of one host at once.
    pub(crate) pings_at_once: usize,
    pub(crate) heartbeat: Option<Beats>,
    /// The longest that one close takes where its runtime runs.
    pub(crate) close_timeout: Span,
    /// A loan held for longer is reported.
    pub(crate) leak_after: Span,
    /// Whether waiters wait for the next dial after a failed one.
    pub(crate) retry: bool,
}

/// How idle connections are pinged on a timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    pub(crate) every: Span,
    /// The shortest that any connection's own interval is.
    pub(crate) earliest: Span,
    /// In a row, for a connection to be closed.
    pub(crate) max_missed: u32,
}

/// The longest that a ping counts as on its way to a waiter: many round trips, and short compared with an acquire's time-out.
const PING_COUNTS: Duration = Duration::from_millis(250);

/// Enough to look through a host's connections in little time, and too few to be a load on a server.
pub(crate) const PINGS_AT_ONCE: usize = 8;

/// The share of a heartbeat's interval by which each connection's own is shortened, at most: those made together are
/// not pinged together for long.
pub(crate) const BEAT_JITTER: f64 = 0.1;

impl Limits {
    /// Whether a cap spans hosts: then the hosts share a budget.
    pub(crate) fn span_hosts(&self) -> bool {
        [self.max_idle, self.max_total, self.max_dialing].iter().any(|&cap| cap != usize::MAX)
    }

    /// How long a ping counts as on its way, for this `ping_timeout`.
    pub(crate) fn ping_counts(ping_timeout: Option<Duration>) -> Span {
        Span::from(ping_timeout.map_or(PING_COUNTS, |limit| PING_COUNTS.min(limit / 2)))
    }
}
