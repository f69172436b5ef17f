//! When a connection beats, and what its beats came to.

use std::time::Duration;

use tokio::time::Instant;

use crate::policy::build_error::BuildError;

/// How a connection finds out that its peer is gone: with Ping frames, sent whether it is lent or
/// idle.
///
/// A Ping is sent after the peer has been silent for [`every`](WebSocketHeartbeat::every). Any byte
/// from the peer is a sign of life, not only the Pong; so a busy connection sends no Pings at all. When
/// nothing came within [`timeout`](WebSocketHeartbeat::timeout), the beat is missed; after
/// [`max_missed`](WebSocketHeartbeat::max_missed) in a row the connection is dead. A sign of life in
/// between starts the count again.
///
/// With the defaults a peer that vanished is found 100 seconds after its last sign of life.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf::websocket::{WebSocketHeartbeat, WebSocketOptions};
///
/// let heartbeat = WebSocketHeartbeat::every(Duration::from_secs(5))
///     .timeout(Duration::from_secs(2))
///     .max_missed(2);
/// let options = WebSocketOptions::new().heartbeat(heartbeat);
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
    /// Beats when the peer has been silent for so long. Defaults to 30 seconds, which is less than
    /// most proxies on the way wait before they cut an idle connection (60).
    pub fn every(period: Duration) -> Self {
        WebSocketHeartbeat { every: period, timeout: Duration::from_secs(10), max_missed: 3 }
    }

    /// How long a beat waits for a sign of life. Defaults to 10 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// After so many missed beats in a row the connection is dead. Defaults to 3, so that a pause of
    /// the peer, or of the network, costs no connection.
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

/// What the beats of one connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeartbeatStatus {
    /// Beats begun.
    pub beats: u64,
    /// Beats that nothing answered in time, since the connection was made.
    pub missed: u64,
    /// The missed beats since the last sign of life.
    pub missed_in_a_row: u32,
    /// How long ago the last sign of life was, or the dial, if there was none.
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
