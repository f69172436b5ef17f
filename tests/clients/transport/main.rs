//! The way to a connection, which TCP, HTTP, gRPC and WebSocket have in common: addresses, sockets and trust.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod addresses;
mod balance;
mod early;
mod half_dead;
mod in_memory;
mod moves;
mod names;
#[path = "../../../crates/wharf-proxy/tests/proxy/proxies.rs"]
mod proxies;
mod refusals;
mod signs;
mod support;
#[cfg(target_os = "linux")]
mod trust;
mod tunnels;
#[cfg(unix)]
mod unix;
