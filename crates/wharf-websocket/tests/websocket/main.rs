//! Pools of WebSocket connections, over real sockets of this machine, to a server that is
//! tungstenite's, and in part through a proxy that refuses, cuts and goes silent.
//!
//! Nothing here asserts how long something takes: times that are set are short, so that a test does
//! not.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

// Some of its faults and servers are for others.
#[allow(dead_code)]
#[path = "../../../../tests/faults/proxy.rs"]
mod proxy;
mod server;

mod borrowers;
mod dials;
mod faults;
mod heartbeats;
mod idling;
mod races;
mod signs;
mod unnoticed;
