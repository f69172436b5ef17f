//! How connections are kept alive, and dead ones found, without a caller.

use std::time::Duration;

use super::limits::{BEAT_JITTER, Beats};
use crate::policy::build_error::BuildError;
use crate::policy::time::Span;

/// Pings that the pool sends on a timer, each by [`Connector::ping`](crate::Connector::ping).
///
/// A heartbeat is due when a connection has given no proof of life for an interval. Every answered ping is proof. A
/// use that ended well is proof for a connection that one borrower had, so a [`Pool`](crate::Pool) pings only idle
/// connections. It is none for a connection of a [`SharedPool`](crate::SharedPool), which is pinged while it is in
/// use, too, and goes on taking leases until it has missed a beat.
///
/// A [`Pool`](crate::Pool) does not lend a connection while it is pinged; a caller that waits for it gets it as
/// soon as it has answered. A connection that has not answered within [`timeout`](Heartbeat::timeout) has missed a
/// beat. Its ping goes on, and a late answer counts, unless a caller is waiting for a connection by then: it is
/// closed to make room. An answer, early or late, sets the count of missed beats back to zero;
/// [`max_missed`](Heartbeat::max_missed) of them in a row close the connection.
///
/// The first missed beat makes the older connections of the host suspect: those that are idle are pinged next, and all
/// must answer before they are lent again.
///
/// A heartbeat does not count as a use: the idle time-out of a connection goes on. At most 8 pings that no caller needs
/// run for one host at a time. Each connection has an interval of its own, up to a tenth shorter than the one set, so that
/// connections made together are not pinged together.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf::{Heartbeat, Pool};
///
/// let builder = Pool::builder()
///     .heartbeat(Heartbeat::every(Duration::from_secs(20)).timeout(Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "it does nothing until it is given to a builder"]
pub struct Heartbeat {
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_missed: u32,
}

impl Default for Heartbeat {
    /// Every 30 seconds, with 10 seconds for an answer, and closed when 3 were missed.
    fn default() -> Self {
        Heartbeat::every(Duration::from_secs(30))
    }
}

impl Heartbeat {
    /// The time from the last proof of life (see above) to the next heartbeat. It should be shorter than the time after
    /// which the peer, or a firewall on the way, drops a silent connection.
    pub fn every(interval: Duration) -> Self {
        Heartbeat { every: interval, timeout: Duration::from_secs(10), max_missed: 3 }
    }

    /// How long an answer may take. A connection that stays silent misses a further beat after each interval, or after
    /// each time-out if that is longer.
    ///
    /// Defaults to 10 seconds.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Missed beats in a row after which the connection is closed.
    ///
    /// Defaults to 3.
    pub fn max_missed(mut self, n: u32) -> Self {
        self.max_missed = n;
        self
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let field = match self {
            Heartbeat { every: Duration::ZERO, .. } => "heartbeat.every",
            Heartbeat { timeout: Duration::ZERO, .. } => "heartbeat.timeout",
            Heartbeat { max_missed: 0, .. } => {
                return Err(BuildError::new("heartbeat.max_missed", 0, "must be at least 1"));
            }
            _ => return Ok(()),
        };
        Err(BuildError::new(field, "0s", "must be longer than zero"))
    }

    pub(crate) fn beats(&self) -> Beats {
        let every = Span::from(self.every);
        Beats { every, earliest: every.shortened(BEAT_JITTER), max_missed: self.max_missed }
    }

    /// How long the first answer may take.
    pub(crate) fn first_wait(&self) -> Duration {
        self.timeout
    }

    /// From a missed beat to the next one that a late connection misses.
    pub(crate) fn next_wait(&self) -> Duration {
        self.every.max(self.timeout)
    }
}
