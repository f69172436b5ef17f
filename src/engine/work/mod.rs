//! What the pool's tasks do for one host: dials, pings and closes.
//!
//! Each is a machine with private fields that knows what is in flight, and what of it still counts.
//! None calls another or the host: the host asks them, and acts.

pub(crate) mod closes;
pub(crate) mod dials;
pub(crate) mod pings;
