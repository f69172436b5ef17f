//! When a connection is pinged before it is lent.

use std::time::Duration;

/// Sets whether a connection is checked with [`Connector::ping`](crate::Connector::ping) before it
/// is lent.
///
/// The ping runs in a task of the pool. Its caller waits in the queue, within its own time-out, and
/// takes the first connection that becomes available: this one, another one that returns, or a new
/// one. If the ping is not answered within 250 ms (or half of
/// [`ping_timeout`](crate::Builder::ping_timeout), if that is shorter) and the caps leave room, a
/// dial starts in parallel. A caller that gives up does not end the ping.
///
/// Suspect connections are pinged in any case. When one of a host's connections is found dead, by a
/// ping or by a borrower's [`discard`](crate::PooledConnection::discard), older connections must
/// answer before they are lent again or handed from one borrower to the next. So must a connection
/// that its borrower [suspects](crate::PooledConnection::suspect).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf::{HealthCheck, Pool};
///
/// let builder = Pool::builder().health_check(HealthCheck::IdleFor(Duration::from_secs(10)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HealthCheck {
    /// Never: only [`Connector::is_open`](crate::Connector::is_open) is called. The cheapest.
    #[default]
    Never,
    /// Before each loan, even when a connection passes directly from one borrower to a waiter. A
    /// new connection is not pinged, nor is a shared one that has other leases.
    Always,
    /// If its last use, or its last answer to a ping or heartbeat, is at least this long ago. Zero
    /// means `Always`.
    IdleFor(
        #[cfg_attr(feature = "serde", serde(with = "crate::policy::config::written::time"))]
        Duration,
    ),
}
