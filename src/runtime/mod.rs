//! Carries out the engine's decisions: hosts behind their locks, the directory that finds them, the
//! tasks of the pool, clocks and timers.

pub(crate) mod caps;
pub(crate) mod cell;
pub(crate) mod clock;
mod close;
pub(crate) mod deadline;
mod deadlocks;
mod dial;
pub(crate) mod directory;
pub(crate) mod failure;
pub(crate) mod handle;
pub(crate) mod held;
mod maintenance;
pub(crate) mod news;
pub(crate) mod observing;
pub(crate) mod panics;
pub(crate) mod parts;
mod ping;
pub(crate) mod pool_core;
mod runtimes;
mod scheduled;
pub(crate) mod settings;
mod task;
pub(crate) mod timer;
mod traced;
