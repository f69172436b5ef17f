//! Pools of gRPC channels, against tonic's server and against raw HTTP/2 peers.
//!
//! The service that is called is the standard health service. A running call is a `Watch`: a stream
//! that stays open and tells each change of the status.
//!
//! Nothing here asserts how long something takes; times that are set are short, so that a test is.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod answers;
mod dialing;
mod going_away;
mod health;
mod leases;
mod pooled;
#[path = "../../../../tests/faults/proxy.rs"]
#[allow(dead_code)] // It can do more than is asked of it here.
mod proxy;
mod raw_peer;
mod server;
mod signs;
mod silence;
mod tls;
