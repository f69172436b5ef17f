//! How idle connections are kept alive and found dead.

use std::time::Duration;

use crate::engine::Beats;
use crate::engine::time::Span;
use crate::error::BuildError;

/// Pings that the pool sends to idle connections on a timer, each by
/// [`Connector::ping`](crate::Connector::ping).
///
/// A connection that is asked is not lent meanwhile: who waits for it gets it as soon as it has
/// answered. One that has not answered within [`timeout`](Heartbeat::timeout) has missed a beat. Its
/// ping goes on, and an answer that comes late is an answer, unless somebody is waiting for a
/// connection by then: it is closed to make room. An answer, early or late, sets the count of missed
/// beats back to zero; [`max_missed`](Heartbeat::max_missed) of them in a row close the connection.
///
/// The first missed beat makes the older idle connections of the host suspect: they are asked next,
/// and must answer a ping before they are lent.
///
/// A connection of a [`SharedPool`](crate::SharedPool) is asked while it is leased, too, and goes on
/// taking leases until it has missed a beat.
///
/// A heartbeat does not count as a use: a connection still ends its idle time. At most 8 connections of one host
/// are asked at once. Each has an interval of its own, up to a tenth shorter than the one set, so
/// that those made together are not asked together.
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
    every: Duration,
    timeout: Duration,
    max_missed: u32,
}

#[cfg(feature = "serde")]
crate::config::by_name!(Heartbeat: every, timeout, max_missed);

impl Default for Heartbeat {
    /// Every 30 seconds, with 10 seconds for an answer, and closed when 3 were missed.
    fn default() -> Self {
        Heartbeat::every(Duration::from_secs(30))
    }
}

impl Heartbeat {
    /// From the moment a connection goes idle, or has answered, to the next heartbeat. Below the
    /// time after which the peer, or a firewall on the way, drops a silent connection.
    pub fn every(interval: Duration) -> Self {
        Heartbeat { every: interval, timeout: Duration::from_secs(10), max_missed: 3 }
    }

    /// How long an answer may take. A connection that goes on being silent misses a further beat
    /// after each interval, or after each time-out if that is longer.
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
        Beats { every: Span::from(self.every), max_missed: self.max_missed }
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
