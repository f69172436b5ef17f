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
    /// As [`Always`](HealthCheck::Always) if the connector has a
    /// [`ping`](crate::Connector::ping) and its `is_open` does not
    /// [notice](crate::Connector::notices_close) that a peer has closed its connection; otherwise
    /// as [`Never`](HealthCheck::Never).
    ///
    /// So a restart of a server fails no loan for want of a setting. The connectors of this crate
    /// notice it, and are not pinged; the managers of bb8 do not, and are.
    #[default]
    AsNeeded,
    /// Never: only [`Connector::is_open`](crate::Connector::is_open) is called. The cheapest.
    Never,
    /// Before each loan, even when a connection passes directly from one borrower to a waiter. A
    /// new connection is not pinged. A shared one that has other leases is pinged when it has given
    /// no proof of life for three seconds.
    Always,
    /// If its last proof of life is at least this long ago. Zero means `Always`.
    ///
    /// Proof is what the peer says: that the dial succeeded, that it answered a ping, a reset or a
    /// heartbeat, or that [bytes came](crate::Connector::last_heard). That a borrower gives the
    /// connection back is none, because it may do so after its own time-out. Where the connector
    /// does not know when bytes came, a use postpones the ping nevertheless, until the last proof is
    /// three times as long ago. A shared connection that is in use is pinged then, too (or after
    /// once as long, where it is known when bytes came), but not more often than if this were a
    /// second.
    IdleFor(
        #[cfg_attr(feature = "serde", serde(with = "crate::policy::config::written::time"))]
        Duration,
    ),
}
