//! Managers of deadpool, as they are published, on real servers: the same tests for all, and for those of bb8.
//!
//! They need the programs of PostgreSQL and of Redis, and start servers of their own; what is missing
//! is installed, or its tests are skipped, as `tests/servers/src/package.rs` says.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod errors;
mod postgres;
mod recycling;
mod redis;
mod set_up;
#[path = "../../../../tests/servers/managers/suite.rs"]
mod suite;
