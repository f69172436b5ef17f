//! Streams through proxies, against real sockets: proxies that work, that refuse, and that misbehave.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod handshakes;
mod hostile;
mod http;
mod proxies;
mod signs;
mod socks;
mod support;
