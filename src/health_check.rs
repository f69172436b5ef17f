//! When a connection is pinged before it is lent.

use std::time::Duration;

/// Whether an idle connection is checked with [`Connector::ping`](crate::Connector::ping) before it
/// is lent. A ping costs a round trip, within the acquire's own time.
///
/// Whatever is chosen here, a connection that has become suspect is pinged first: once one of a
/// host's connections is found dead, by a ping or by a borrower's
/// [`discard`](crate::PooledConnection::discard), those made before are not trusted until they answer.
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
    /// Each time an idle connection is lent.
    Always,
    /// When it has been idle for so long; one used a moment ago is lent as it is.
    IdleFor(#[cfg_attr(feature = "serde", serde(with = "crate::config::written::time"))] Duration),
}
