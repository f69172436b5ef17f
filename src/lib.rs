//! A generic async connection pool for tokio: many hosts, fair, fast, and easy to diagnose.
//!
//! A [`Connector`] makes any kind of connection, tells whether it is still open, pings it and
//! closes it. A [`Pool`] lends each connection to one borrower at a time. A [`SharedPool`] lends
//! one connection to many borrowers, as HTTP/2 and gRPC allow.
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
//! # Overview
//!
//! | topic | where |
//! | --- | --- |
//! | every setting and its default | [`Builder`], or [`Config`] from a file (feature `serde`) |
//! | what to implement | [`Connector`], [`SharedConnector`], or closures: [`connector_fn()`] |
//! | errors | [`AcquireError`], and [`guide::timed_out`] |
//! | the state of a pool | [`Pool::status`], [`Pool::loans`], [`Observer`] |
//! | how to choose, to test, to migrate | [`guide`], a page for each |
//! | the guarantees, and how they are tested | [`guide::trust`] |
//!
//! # Features
//!
//! None is on by default.
//!
//! - `tcp`, `http`, `grpc`, `postgres`, `websocket`: pools of these connections, in modules of the
//!   same names.
//! - `bb8`, `deadpool`: adapters for managers written for those pools, in `compat`.
//! - `metrics`: a pool's metrics under OpenTelemetry's names, in `metrics`.
//! - `serde`: reads and writes [`Config`].
//! - `test-util`: a connector that a test controls, in `test_util`.
//!
//! It needs Rust 1.88 and a tokio runtime with its timers enabled.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Here and not in Cargo.toml, because tests may use it: an `unwrap` in the pool needs a reason,
// which `expect` gives.
#![warn(clippy::unwrap_used)]

// The layers: each imports only from those before it. (`tests/layers.rs` checks this.)
//
// Settings and reasons as data, and the traits that users implement.
mod policy;
// The pool's decisions: no await, no clock, no tokio.
mod engine;
// Carries out the engine's decisions: hosts behind locks, tasks, clocks.
mod runtime;
// The public handles and futures, one noun a file.
mod pool;
// Connectors for particular protocols.
mod connectors;

#[cfg(any(feature = "bb8", feature = "deadpool"))]
pub mod compat;
pub mod guide;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "test-util")]
pub mod test_util;

#[cfg(all(test, wharf_loom))]
mod models;

#[cfg(feature = "grpc")]
pub use connectors::grpc;
#[cfg(feature = "http")]
pub use connectors::http;
#[cfg(feature = "postgres")]
pub use connectors::postgres;
#[cfg(feature = "tcp")]
pub use connectors::tcp;
#[cfg(feature = "websocket")]
pub use connectors::websocket;

pub use async_trait::async_trait;
pub use policy::acquire_failure::AcquireFailure;
pub use policy::backoff::Backoff;
pub use policy::build_error::BuildError;
pub use policy::close_reason::{CloseCounts, CloseReason};
pub use policy::config::Config;
pub use policy::connector::Connector;
pub use policy::health_check::HealthCheck;
pub use policy::heartbeat::Heartbeat;
pub use policy::observer::{
    AcquireFailed, Acquired, Closed, DialDone, DialFailed, HeartbeatMissed, Leaked, Observer,
    PingAnswered, PingFailed, Returned, SlowAcquire, TimedOut,
};
pub use policy::reuse::Reuse;
pub use policy::spread::Spread;
pub use pool::acquire::Acquire;
pub use pool::builder::{Builder, Exclusive, Shared};
pub use pool::close::{Close, CloseReport};
pub use pool::connector_fn::{ConnectorFn, connector_fn};
pub use pool::error::{AcquireError, AddError, AtHost, ConnectFailed, WarmError};
pub use pool::host::Host;
pub use pool::pool::{NoConnector, Pool};
pub use pool::pooled_connection::{ConnectionInfo, PooledConnection};
pub use pool::shared::{AcquireLease, Lease, SharedConnector, SharedHost, SharedPool};
pub use pool::status::{HostStatus, LoanInfo, PoolStatus};
pub use pool::timeout_report::{LastDialError, Phase, TimeoutDetails, TimeoutReport};
pub use pool::warm::Warm;

#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_engine(bytes: &[u8]) {
    engine::programs::Program::read(bytes).run();
}

/// Runs the README's examples as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
