//! The order in which idle connections are lent.

/// Selects the idle connection that is lent first.
///
/// # Examples
///
/// ```
/// use wharf::{Pool, Reuse};
///
/// let builder = Pool::builder().reuse(Reuse::LeastRecent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Reuse {
    /// The most recently used one: it is the most likely to be alive, and surplus ones reach the
    /// idle time-out.
    #[default]
    MostRecent,
    /// The least recently used one: all are used in rotation.
    LeastRecent,
}
