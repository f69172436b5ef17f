//! Servers that are programs of their own, started for a test, an example or a benchmark, and ended with it.
//!
//! What is not installed is installed, or its tests are skipped and named: see [`package`].

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // For tests: what fails, panics.

pub mod browser;
mod owner;
pub mod package;
pub mod postgres;
pub mod redis;

pub use package::Package;
pub use postgres::Server;
pub use redis::RedisServer;
