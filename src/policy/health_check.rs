//! When a connection is pinged before it is lent.

use std::time::Duration;

/// Whether a connection is checked with [`Connector::ping`](crate::Connector::ping) before it is lent.
///
/// The ping is a task of the pool. Its caller waits in the queue, within its own time-out, and takes what comes first:
/// this connection, another one that returns, or a dial. A dial begins in addition when the ping is not answered within
/// 250 ms (or half of [`ping_timeout`](crate::Builder::ping_timeout), if that is shorter) and the caps leave room. A
/// caller that gives up does not end the ping.
///
/// Suspect connections are pinged in any case: when one of a host's connections is found dead, by a ping or by a
/// borrower's [`discard`](crate::PooledConnection::discard), older ones must answer before they are lent again, or go
/// from one borrower to the next. So must one that a borrower [suspects](crate::PooledConnection::suspect) itself.
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
    /// Never: [`Connector::is_open`](crate::Connector::is_open) must do. The cheapest.
    #[default]
    Never,
    /// Before each loan, also when a connection goes from one borrower to the next that waits. A new connection is not
    /// pinged, nor is a shared one that others are using.
    Always,
    /// When its last use, or its last answer to a ping or heartbeat, is at least this long ago. Zero means `Always`.
    IdleFor(
        #[cfg_attr(feature = "serde", serde(with = "crate::policy::config::written::time"))]
        Duration,
    ),
}
