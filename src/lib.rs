//! A generic async connection pool for tokio: many hosts, fair, fast, and plain about what it is doing.
//!
//! A [`Connector`] makes any kind of connection, says whether it is still open, pings it and closes it. A
//! [`Pool`] lends each to one borrower at a time; a [`SharedPool`] puts many borrowers on one connection,
//! as HTTP/2 and gRPC do.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = server.local_addr()?.to_string();
//! use std::io::ErrorKind::WouldBlock;
//!
//! use tokio::net::TcpStream;
//! use wharf::{Pool, connector_fn};
//!
//! let connector = connector_fn(|host: String| TcpStream::connect(host))
//!     .with_is_open(|stream| stream.try_read(&mut [0]).is_err_and(|e| e.kind() == WouldBlock));
//! let pool = Pool::builder().max_per_host(5).build(connector)?;
//!
//! let first = pool.acquire(&address).await?; // dials
//! drop(first); // goes back to the pool
//! let again = pool.acquire(&address).await?; // the same connection
//! assert_eq!((again.peer_addr()?.to_string(), pool.status().dials), (address, 1));
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! | for | there is |
//! | --- | --- |
//! | every setting and its default | [`Builder`], or [`Config`] from a file (feature `serde`) |
//! | what to implement | [`Connector`], [`SharedConnector`], or closures: [`connector_fn()`] |
//! | what can go wrong | [`AcquireError`], and [`guide::timed_out`] |
//! | what is going on | [`Pool::status`], [`Pool::loans`], [`Observer`] |
//! | how to choose, to test, to move here | [`guide`], a page for each |
//! | what is promised, and how that is tested | [`guide::trust`] |
//!
//! # Features
//!
//! None is on by default.
//!
//! - `tcp`, `http`, `grpc`, `postgres`, `websocket`: pools of these, as modules of those names.
//! - `bb8`, `deadpool`: managers written for those pools, in `compat`.
//! - `metrics`: a pool's figures under OpenTelemetry's names, in `metrics`.
//! - `serde`: [`Config`] is read and written.
//! - `test-util`: a connector for tests that does as it is told, in `test_util`.
//!
//! It needs Rust 1.88 and a tokio runtime with its timers enabled.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Here, and not for the tests: an `unwrap` in the pool needs a reason, which `expect` gives.
#![warn(clippy::unwrap_used)]

// The public surface, one noun a file.
mod acquire;
mod builder;
mod close;
mod close_reason;
mod config;
mod connector;
mod connector_fn;
mod error;
mod health_check;
mod heartbeat;
mod host;
mod observer;
mod pool;
mod pooled_connection;
mod reuse;
mod shared;
mod spread;
mod status;
mod warm;

#[cfg(any(feature = "bb8", feature = "deadpool"))]
pub mod compat;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(feature = "websocket")]
pub mod websocket;

// The engine: what the pool decides. No await, no clock, no tokio.
mod engine;

// The shell: what carries the engine's decisions out.
mod closing;
mod core;
mod dial;
mod out_of_time;
mod ping;
mod target;
mod upkeep;
mod waiting;

// Support.
mod clock;
#[cfg(any(feature = "grpc", feature = "http"))]
mod late_write;
mod panics;
mod runtime;
mod sync;
mod timer;

#[cfg(all(test, wharf_loom))]
mod models;

pub use acquire::Acquire;
pub use async_trait::async_trait;
pub use builder::{Builder, Exclusive, Shared};
pub use close::{Close, CloseReport};
pub use close_reason::{CloseCounts, CloseReason};
pub use config::Config;
pub use connector::Connector;
pub use connector_fn::{ConnectorFn, connector_fn};
pub use engine::Backoff;
pub use error::{AcquireError, AddError, BuildError, TimeoutReport, WarmError};
pub use error::{LastDialError, Phase, TimeoutDetails};
pub use health_check::HealthCheck;
pub use heartbeat::Heartbeat;
pub use host::Host;
pub use observer::{
    Acquired, Closed, DialDone, DialFailed, HeartbeatMissed, Observer, PingFailed, Returned,
    TimedOut,
};
pub use pool::{NoConnector, Pool};
pub use pooled_connection::{ConnectionInfo, PooledConnection};
pub use reuse::Reuse;
pub use shared::{AcquireLease, Lease, SharedConnector, SharedHost, SharedPool};
pub use spread::Spread;
pub use status::{HostStatus, LoanInfo, PoolStatus};
pub use warm::Warm;

/// What a fuzzer runs.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_engine(bytes: &[u8]) {
    engine::programs::Program::read(bytes).run();
}

/// Its examples are tests as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
