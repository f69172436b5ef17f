//! Why connections leave the pool.

use std::fmt;

/// Says why the pool closed a connection or released it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use wharf::{Pool, connector_fn};
/// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
/// # let pool = Pool::new(connector);
/// use wharf::{CloseReason, PooledConnection};
///
/// PooledConnection::discard(pool.acquire("db-1").await?);
/// pool.add("db-1", "spare".to_owned())?;
/// pool.close_idle();
/// let closes = pool.status().closes;
/// assert_eq!(closes.of(CloseReason::Discarded), 1);
/// assert_eq!(closes.of(CloseReason::Asked), 1);
/// assert_eq!(closes.total(), 2);
/// # Ok(()) }
/// ```
///
/// With the feature `serde` it is written as its [`label`](CloseReason::label).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CloseReason {
    /// It was idle for longer than `idle_timeout`.
    Idle,
    /// It was older than `max_lifetime`.
    Age,
    /// It was lent `max_uses` times.
    Uses,
    /// The connector reported that it is not open.
    NotOpen,
    /// It did not answer a ping, or the ping was cut off.
    PingFailed,
    /// Its reset failed or took too long, or was cut off.
    ResetFailed,
    /// It missed too many heartbeats, or one while a caller waited.
    HeartbeatMissed,
    /// Its borrower discarded it, or panicked.
    Discarded,
    /// Its borrower detached it; it was not closed.
    Detached,
    /// It returned when the limit on idle connections was reached.
    OverIdleLimit,
    /// The host's cap was lowered below the number of open connections.
    OverCap,
    /// It made room for another host under `max_total`.
    MadeRoom,
    /// Its host was retired.
    Retired,
    /// The closure of `retain` returned false.
    NotRetained,
    /// `close_idle` was called.
    Asked,
    /// The pool was closed, or its last handle dropped.
    PoolClosed,
}

impl CloseReason {
    /// Every reason. A slice, so that its type stays when one is added.
    pub const ALL: &'static [CloseReason] = &CloseReason::EACH;

    pub(crate) const EACH: [CloseReason; 16] = [
        CloseReason::Idle,
        CloseReason::Age,
        CloseReason::Uses,
        CloseReason::NotOpen,
        CloseReason::PingFailed,
        CloseReason::ResetFailed,
        CloseReason::HeartbeatMissed,
        CloseReason::Discarded,
        CloseReason::Detached,
        CloseReason::OverIdleLimit,
        CloseReason::OverCap,
        CloseReason::MadeRoom,
        CloseReason::Retired,
        CloseReason::NotRetained,
        CloseReason::Asked,
        CloseReason::PoolClosed,
    ];

    /// Returns the reason in `snake_case`, for use as a label.
    pub fn label(self) -> &'static str {
        match self {
            CloseReason::Idle => "idle",
            CloseReason::Age => "age",
            CloseReason::Uses => "uses",
            CloseReason::NotOpen => "not_open",
            CloseReason::PingFailed => "ping_failed",
            CloseReason::ResetFailed => "reset_failed",
            CloseReason::HeartbeatMissed => "heartbeat_missed",
            CloseReason::Discarded => "discarded",
            CloseReason::Detached => "detached",
            CloseReason::OverIdleLimit => "over_idle_limit",
            CloseReason::OverCap => "over_cap",
            CloseReason::MadeRoom => "made_room",
            CloseReason::Retired => "retired",
            CloseReason::NotRetained => "not_retained",
            CloseReason::Asked => "asked",
            CloseReason::PoolClosed => "pool_closed",
        }
    }

    /// Returns what follows "it drains": only some reasons let a connection drain.
    pub(crate) fn why_it_drains(self) -> &'static str {
        match self {
            CloseReason::Age => "older than max_lifetime",
            CloseReason::Uses => "lent max_uses times",
            CloseReason::NotOpen => "going away",
            CloseReason::OverCap => "above a lowered cap",
            CloseReason::MadeRoom => "to make room for another host",
            CloseReason::Retired => "retired",
            other => other.label(),
        }
    }
}

/// Counts the connections that have left the pool, by reason.
///
/// With the feature `serde` it is written as a map from the [label](CloseReason::label) of every reason to its count.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CloseCounts([u64; CloseReason::ALL.len()]);

impl CloseCounts {
    /// Returns how many have left for this reason.
    pub fn of(&self, reason: CloseReason) -> u64 {
        self.0[reason as usize]
    }

    /// Returns how many have left in total.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&mut self, reason: CloseReason) {
        self.0[reason as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &CloseCounts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for CloseCounts {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(CloseReason::ALL.iter().map(|&reason| (reason.label(), self.of(reason))))
    }
}

/// Shows only the reasons that occurred.
impl fmt::Debug for CloseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = CloseReason::ALL.iter().map(|&reason| (reason.label(), self.of(reason)));
        f.debug_map().entries(counted.filter(|(_, count)| *count > 0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        let mut counts = CloseCounts::default();
        for (n, &reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(n, reason as usize);
            counts.count(reason);
            assert_eq!(counts.of(reason), 1);
        }
        assert_eq!(counts.total(), 16);
    }
}
