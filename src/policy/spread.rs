//! The choice among shared connections for the next lease.

/// Selects the connection for a [`SharedPool`](crate::SharedPool)'s next lease when several have
/// room.
///
/// # Examples
///
/// ```
/// use wharf::{SharedPool, Spread};
///
/// let builder = SharedPool::builder().max_per_host(4).spread(Spread::LeastLoaded);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Spread {
    /// The oldest connection with room, so that surplus ones become idle and are closed. Connections
    /// that carry a single lease each are lent as [`Reuse`](crate::Reuse) says, like exclusive ones.
    #[default]
    OldestFirst,
    /// The one with the fewest leases, idle ones first: for work that keeps a connection busy.
    LeastLoaded,
}
