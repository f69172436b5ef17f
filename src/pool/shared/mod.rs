//! Pools of connections that many borrowers use at once.

mod acquire;
mod host;
mod lease;
mod pool;
pub(crate) mod share;
mod warm;

pub use acquire::AcquireLease;
pub use host::SharedHost;
pub use lease::Lease;
pub use pool::SharedPool;
pub use warm::WarmShared;
