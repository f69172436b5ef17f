//! The settings and results of a connection's heartbeats.

use std::time::Duration;

use tokio::time::Instant;

use wharf::BuildError;

/// Sets how a connection finds out that its peer is gone: with Ping frames, which are sent whether
/// the connection is lent or idle.
///
/// A Ping is sent after the peer has been silent for [`every`](WebSocketHeartbeat::every). Any byte
/// from the peer counts as a sign of life, not only the Pong, so a busy connection sends no Pings
/// at all. If nothing arrives within [`timeout`](WebSocketHeartbeat::timeout), the heartbeat is
/// missed. After [`max_missed`](WebSocketHeartbeat::max_missed) missed heartbeats in a row the
/// connection is dead. A sign of life resets the count.
///
/// With the defaults a vanished peer is found 100 seconds after its last sign of life.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf_websocket::{WebSocketConnector, WebSocketHeartbeat};
///
/// let heartbeat = WebSocketHeartbeat::every(Duration::from_secs(5))
///     .timeout(Duration::from_secs(2))
///     .max_missed(2);
/// let options = WebSocketConnector::builder().heartbeat(heartbeat);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a heartbeat does nothing until options take it"]
pub struct WebSocketHeartbeat {
    pub(super) every: Duration,
    pub(super) timeout: Duration,
    pub(super) max_missed: u32,
}

impl Default for WebSocketHeartbeat {
    fn default() -> Self {
        WebSocketHeartbeat::every(Duration::from_secs(30))
    }
}

impl WebSocketHeartbeat {
    /// Sends a heartbeat after the peer has been silent for this long. Defaults to 30 seconds, less
    /// than the 60 seconds after which most proxies cut an idle connection.
    pub fn every(period: Duration) -> Self {
        WebSocketHeartbeat { every: period, timeout: Duration::from_secs(10), max_missed: 3 }
    }

    /// Sets how long a heartbeat waits for a sign of life. Defaults to 10 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many heartbeats in a row must be missed before the connection is dead. Defaults to
    /// 3, so that a pause of the peer or of the network does not cost the connection.
    pub fn max_missed(mut self, beats: u32) -> Self {
        self.max_missed = beats;
        self
    }

    pub(super) fn check(&self) -> Result<(), BuildError> {
        for (field, value) in [("heartbeat every", self.every), ("heartbeat timeout", self.timeout)]
        {
            if value.is_zero() {
                return Err(BuildError::new(field, "0ns", "must be longer than zero"));
            }
        }
        if self.max_missed == 0 {
            return Err(BuildError::new("heartbeat max_missed", 0, "must be at least 1"));
        }
        Ok(())
    }
}

/// The results of one connection's heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeartbeatStatus {
    /// The heartbeats that were sent.
    pub beats: u64,
    /// The heartbeats that were not answered in time, since the connection was made.
    pub missed: u64,
    /// The heartbeats missed since the last sign of life.
    pub missed_in_a_row: u32,
    /// The time since the last sign of life, or since the dial if there was none.
    pub silent_for: Duration,
}

/// The counters behind a [`HeartbeatStatus`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) beats: u64,
    pub(super) missed: u64,
    pub(super) missed_in_a_row: u32,
    pub(super) heard: Instant,
}

impl Record {
    pub(super) fn new(now: Instant) -> Self {
        Record { beats: 0, missed: 0, missed_in_a_row: 0, heard: now }
    }

    pub(super) fn status(&self) -> HeartbeatStatus {
        HeartbeatStatus {
            beats: self.beats,
            missed: self.missed,
            missed_in_a_row: self.missed_in_a_row,
            silent_for: self.heard.elapsed(),
        }
    }
}
