//! Which of several shared connections carries the next lease.

/// Where a [`SharedPool`](crate::SharedPool) puts the next lease when several connections have room.
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
    /// On the oldest connection with room, so that those that are not needed go idle and end.
    #[default]
    OldestFirst,
    /// On the one with the fewest leases, idle ones first: for work that keeps a connection busy.
    LeastLoaded,
}
