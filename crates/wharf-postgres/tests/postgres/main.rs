//! Pools of PostgreSQL connections, with real servers that the tests start and stop.
//!
//! Nothing here asserts how long something takes. Every test ends by comparing what the pool says it
//! has with what the server does.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod borrowers;
mod bouncer;
mod cuts;
mod dialing;
mod failover;
mod faults;
mod load;
mod log;
#[path = "../../../../tests/faults/proxy.rs"]
#[allow(dead_code)] // It can do more than is asked of it here.
mod proxy;
mod set_up;
#[cfg(feature = "serde")]
mod settings;
mod signs;
mod silence;
mod slow;
mod statements;
mod support;
mod tls;
mod undone;
