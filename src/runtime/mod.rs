//! Carries out the engine's decisions: hosts behind their locks, the directory that finds them, the
//! tasks of the pool, clocks and timers.
//!
//! Most of it knows no types of a connector, so that a program with many connectors has it once: [`any_host`] is a
//! host so, `slow_path`, `sections` and `carry_out` are its methods, and the tasks call it. [`cell`] is the host with
//! its types; there and in `lending` are the paths of every hit and return, which are inlined where they are used.

pub(crate) mod any_host;
pub(crate) mod any_pool;
pub(crate) mod carry_out;
pub(crate) mod cell;
pub(crate) mod clock;
mod close;
pub(crate) mod deadline;
mod deadlocks;
mod dial;
pub(crate) mod directory;
mod end;
mod events;
pub(crate) mod failure;
pub(crate) mod handle;
mod held;
pub(crate) mod host_base;
mod lending;
mod maintain;
pub(crate) mod maintenance;
pub(crate) mod observing;
pub(crate) mod overrides;
pub(crate) mod panics;
pub(crate) mod parts;
mod ping;
pub(crate) mod pool_base;
pub(crate) mod pool_core;
pub(crate) mod pool_handle;
pub(crate) mod random;
mod reconfigure;
mod rules;
mod runtimes;
mod scheduled;
mod sections;
pub(crate) mod settings;
pub(crate) mod slow_path;
mod task;
pub(crate) mod timer;
mod told;
mod traced;
