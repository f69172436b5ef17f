#![doc = include_str!("../README.md")]
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
