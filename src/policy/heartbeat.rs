//! Keeps connections alive and finds dead ones without a caller.

use std::time::Duration;

use super::limits::Beats;
use crate::policy::build_error::BuildError;
use crate::policy::time::Span;

/// Sets the pings that the pool sends on a timer, with [`Connector::ping`](crate::Connector::ping).
///
/// A heartbeat is due when a connection has given no proof of life for an interval. Every answered
/// ping is proof, and so is that [bytes came](crate::Connector::last_heard) from the peer: then
/// none is sent, but for one in each third interval, because a program may hang while a proxy, or
/// its own stack, goes on to talk. That a borrower gives a connection back is no proof. A [`Pool`](crate::Pool)
/// pings only connections that are not lent; where the connector does not know when bytes came, a
/// use postpones the heartbeat, until the last proof is three intervals ago: then the connection is
/// pinged as it returns, before anybody else gets it. A connection of a
/// [`SharedPool`](crate::SharedPool) is also pinged while it is in use, and takes new leases until
/// it misses a heartbeat. A connector without a ping has no heartbeats.
///
/// A [`Pool`](crate::Pool) does not lend a connection while it is being pinged; a caller that waits
/// for it gets it as soon as it answers. A connection that does not answer within
/// [`timeout`](Heartbeat::timeout) has missed a heartbeat. Its ping continues, and a late answer
/// counts, unless a caller is waiting for a connection by then: it is then closed to make room. An
/// answer, even a late one, resets the count of missed heartbeats;
/// [`max_missed`](Heartbeat::max_missed) of them in a row close the connection.
///
/// The first missed heartbeat makes the older connections of the host suspect: the idle ones are
/// pinged next, and all must answer before they are lent again.
///
/// A heartbeat does not count as a use, so the idle time-out of a connection keeps running. For one
/// host, at most 8 pings that no caller waits for run at once, or as many as it takes to ping each
/// connection once in an interval if their answers are slow. Each connection has an interval of
/// its own, up to a tenth shorter than the configured one, so that connections that were made
/// together are not pinged together.
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
    /// Every 30 seconds, with 10 seconds for an answer, and closed after 3 misses.
    fn default() -> Self {
        Heartbeat::every(Duration::from_secs(30))
    }
}

impl Heartbeat {
    /// Makes a heartbeat with this time from the last proof of life (see above) to the next ping.
    /// It should be shorter than the time after which the peer, or a firewall on the way, drops a
    /// silent connection.
    pub fn every(interval: Duration) -> Self {
        Heartbeat { every: interval, timeout: Duration::from_secs(10), max_missed: 3 }
    }

    /// Sets how long an answer may take. A connection that stays silent misses another heartbeat
    /// after each interval, or after each time-out if that is longer.
    ///
    /// Defaults to 10 seconds.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how many missed heartbeats in a row close a connection.
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

    /// The time from one missed heartbeat to the next of a connection that stays silent.
    pub(crate) fn next_wait(&self) -> Duration {
        self.every.max(self.timeout)
    }
}
