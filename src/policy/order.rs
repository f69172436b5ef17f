//! The order in which waiters are served.

/// Selects the waiter that gets the next connection.
///
/// A queue in strict order answers nobody under overload: everybody who is served has waited for so long
/// that their own caller has just left. So the default changes the order while waits are being lost, and
/// only then.
///
/// # Examples
///
/// ```
/// use wharf::{Order, Pool};
///
/// let builder = Pool::builder().order(Order::Fifo);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Order {
    /// First in, first out, always.
    Fifo,
    /// First in, first out, while waits are served. While more than one in eight is lost, because its
    /// time-out passes or its caller leaves after at least a millisecond, the newest waiter is served
    /// whenever the oldest has waited half as long as the lost ones did. One connection in four still
    /// goes to an oldest that has waited twice as long. Nobody is refused sooner than in strict order.
    #[default]
    Adaptive,
    /// Like `Adaptive`, and the newest is also served while the oldest has used three quarters of a
    /// time limit that came with its own call ([`Acquire::at_most`](crate::Acquire::at_most), or
    /// `acquire_timeout` of a pool). For callers whose leaving frees their connection at once, so that
    /// overload shows in uses that are cut off, not in lost waits. Not for callers whose waits
    /// come near to their limits as a rule, such as closed loops: some of them would be lost.
    Deadlines,
}
