//! An async connection pool for tokio: many hosts, fair queues, exact limits, and errors that say why.
//!
//! A [`Connector`] makes any kind of connection, says whether it is still open, pings it and closes it. A
//! [`Pool`] lends each connection to one borrower at a time; a [`SharedPool`] puts many borrowers on one connection,
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
//! # Overview
//!
//! | for | see |
//! | --- | --- |
//! | every setting and its default | [below](#settings), [`Builder`], or [`Config`] from a file (feature `serde`) |
//! | what to implement | [`Connector`], [`SharedConnector`], or closures: [`connector_fn()`] |
//! | errors | [`AcquireError`], [`guide::errors`], and [`guide::timed_out`] for time-outs |
//! | the state of a pool | [`Pool::status`], [`Pool::loans`], [`Observer`]; in a browser: feature `page` |
//! | how to choose settings, test, and move from another pool | [`guide`], with a page for each question |
//! | what is promised, and what is not | [`guide::trust`] |
//!
//! # Backends
//!
//! Each is a package of its own, made only of what is public here, so that this crate follows no other's versions.
//!
//! HTTP/1.1 and HTTP/2 ([`wharf-http`](https://docs.rs/wharf-http)):
//!
//! ```text
//! let client = Client::new();
//! let request = Request::get("https://example.com/").body(String::new())?;
//! let response = client.request(request).await?;
//! ```
//!
//! gRPC, for tonic's clients ([`wharf-grpc`](https://docs.rs/wharf-grpc)):
//!
//! ```text
//! let pool = SharedPool::builder().build(GrpcConnector::new())?;
//! let channel = PooledChannel::new(pool.host(&server));
//! let mut client = OrdersClient::new(channel);
//! ```
//!
//! PostgreSQL ([`wharf-postgres`](https://docs.rs/wharf-postgres)):
//!
//! ```text
//! let connector: PostgresConnector = "host=localhost user=app".parse()?;
//! let shop = Pool::builder().build(connector)?.host(&());
//! let row = shop.acquire().await?.query_one_cached("SELECT 1", &[]).await?;
//! ```
//!
//! WebSocket ([`wharf-websocket`](https://docs.rs/wharf-websocket)):
//!
//! ```text
//! let pool = Pool::builder().build(WebSocketConnector::new())?;
//! let mut socket = pool.acquire("wss://prices.example/v1").await?;
//! let answer = socket.request(Message::text("EUR/USD")).await?;
//! ```
//!
//! TCP (feature `tcp`):
//!
//! ```
//! # #[cfg(feature = "tcp")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # use {tokio::io::{AsyncReadExt, AsyncWriteExt}, wharf::Pool, wharf::tcp::{TcpConnection, TcpHostConnector}};
//! # async fn ping(stream: &mut TcpConnection) -> std::io::Result<[u8; 7]> {
//! #     stream.write_all(b"PING\r\n").await?;
//! #     let mut answer = [0; 7];
//! #     stream.read_exact(&mut answer).await?;
//! #     Ok(answer)
//! # }
//! let pool = Pool::builder().build(TcpHostConnector::new())?;
//! let stream = pool.acquire("localhost:6379").await?;
//! let pong = stream.exchange(ping).await?;
//! # Ok(()) }
//! ```
//!
//! A manager written for bb8 ([`wharf-bb8`](https://docs.rs/wharf-bb8)). For deadpool's managers
//! ([`wharf-deadpool`](https://docs.rs/wharf-deadpool)), write `Deadpool` instead of `Bb8`:
//!
//! ```text
//! let connector = Bb8::new(manager);
//! let pool = Pool::builder().build(connector)?;
//! let connection = pool.acquire(&()).await?;
//! ```
//!
//! # How an acquire goes
//!
//! ```text
//! acquire(key) ──► an idle connection, not expired, no ping needed? ──yes──► still open? ──yes──► loan
//!                      │ no                                                   │ no: closed, the next one
//!                      ▼
//!      the host's queue, first come first served; the caller takes what comes first:
//!        ├─ a connection that any borrower returns
//!        ├─ an idle one, after a ping if it needs one
//!        └─ a dial, if the caps leave room and no dial in flight will serve this caller
//!      what comes later serves the next caller, or goes idle; nothing is thrown away
//!
//! drop(loan) ──► still open, not expired, under its caps? ──yes──► oldest waiter (after a ping if
//!                      │ no                                        it needs one), or the idle list
//!                      └──► closed in the background; its slot is free
//! ```
//!
//! Dials, pings and closes are tasks of the pool. A caller that gives up does not end them.
//!
//! # Settings
//!
//! [`Builder::build`] rejects invalid settings; none is adjusted silently. Choose the first three for your servers.
//!
//! | setting | default | meaning |
//! | --- | --- | --- |
//! | [`max_per_host`](Builder::max_per_host) | 10 | the most connections of a host, dials included |
//! | [`acquire_timeout`](Builder::acquire_timeout) | 30 s | the longest that an acquire may take |
//! | [`idle_timeout`](Builder::idle_timeout) | 90 s | how long a connection may be idle; keep it below the server's limit |
//! | [`max_lifetime`](Builder::max_lifetime), [`lifetime_jitter`](Builder::lifetime_jitter) | 30 min, 0.1 | the age at which a connection is closed; the next dial finds new addresses and backends |
//! | [`connect_timeout`](Builder::connect_timeout) | 10 s | the longest that a dial may take |
//! | [`min_idle_per_host`](Builder::min_idle_per_host) | 0 | idle connections that the pool keeps ready |
//! | [`max_idle_per_host`](Builder::max_idle_per_host), [`max_idle`](Builder::max_idle) | no limit | idle connections of a host, and of all |
//! | [`max_total`](Builder::max_total) | no limit | connections of all hosts |
//! | [`health_check`](Builder::health_check), [`ping_timeout`](Builder::ping_timeout) | where a close is not noticed otherwise, 5 s | ping before lending |
//! | [`heartbeat`](Builder::heartbeat) | none | ping on a timer |
//! | [`retry`](Builder::retry) | none | dial again for callers that wait |
//! | [`observer`](Builder::observer), [`slow_acquire`](Builder::slow_acquire), [`leak_after`](Builder::leak_after) | none | report what happens |
//! | [`advice`](Builder::advice) | none | says which size is right |
//! | [`deadlock_warnings`](Builder::deadlock_warnings) | on in debug builds | report tasks that hold a connection and wait for another |
//! | [`settings_for`](Builder::settings_for) | none | settings of single hosts, by key |
//! | [`initial_per_host`](Builder::initial_per_host) | 0 | connections dialed when a host is first used |
//! | [`max_waiters_per_host`](Builder::max_waiters_per_host) | no limit | waiting callers; further ones get an error at once |
//! | [`max_dialing_per_host`](Builder::max_dialing_per_host), [`max_dialing`](Builder::max_dialing) | no limit | dials in flight |
//! | [`max_uses`](Builder::max_uses) | no limit | loans of one connection |
//! | [`order`](Builder::order) | first come, first served, while waits are served | which waiter gets the next connection |
//! | [`reuse`](Builder::reuse) | most recent first | which idle connection is lent next |
//! | [`close_timeout`](Builder::close_timeout) | 5 s | the longest that a close may take |
//! | [`spread`](Builder::spread) | the oldest is filled first | which shared connection takes the next borrower |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it brings | what it pulls in |
//! | --- | --- | --- |
//! | `tcp` | connections by address or by name, with keepalive, a local address and an application's ping; the hook through which clients make their streams | tokio's `net` and `io-util`, socket2 |
//! | `metrics` | a pool's figures under OpenTelemetry's names | the `metrics` facade |
//! | `page` | a live page of a pool for operators, in one HTML document: `wharf::page` | feature `serde`, `serde_json` |
//! | `serde` | [`Config`] is read and written: `idle_timeout = "90s"`; figures are written for scripts: [`PoolStatus`], [`HostStatus`], [`LoanInfo`], [`Advice`], [`CloseReport`] and others | serde, humantime |
//! | `test-util` | a connector for tests that follows a script | nothing |
//!
//! wharf needs Rust 1.85, tokio 1.49, and a runtime with its timers enabled.

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

pub mod guide;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "page")]
pub mod page;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(feature = "tcp")]
pub mod transport;

/// What connectors are made of, for those who write one. A connector needs none of it; those of the
/// packages for each backend use all of it, and nothing else.
pub mod connector {
    pub use crate::policy::redacted::Redacted;
    pub use crate::policy::signs::Signs;
    pub use crate::runtime::deadline::dial_deadline;
    pub use crate::runtime::failure::with_cause;
}

#[cfg(all(test, wharf_loom))]
mod models;

pub use async_trait::async_trait;
pub use policy::acquire_failure::AcquireFailure;
pub use policy::advice::Advice;
pub use policy::backoff::Backoff;
pub use policy::build_error::BuildError;
pub use policy::call_site::CallSite;
pub use policy::close_reason::{CloseCounts, CloseReason};
pub use policy::config::{Config, HostConfig};
pub use policy::connector::Connector;
pub use policy::health_check::HealthCheck;
pub use policy::heartbeat::Heartbeat;
pub use policy::observer::{
    AcquireFailed, Acquired, Closed, Deadlocked, DialDone, DialFailed, HeartbeatMissed, Leaked,
    Observer, Overloaded, PingAnswered, PingFailed, Returned, SlowAcquire, TimedOut,
};
pub use policy::order::Order;
pub use policy::reuse::Reuse;
pub use policy::shared_connector::SharedConnector;
pub use policy::spread::Spread;
pub use policy::wrapper::Wrapper;
pub use pool::acquire::Acquire;
pub use pool::add_error::AddError;
pub use pool::builder::{Builder, Exclusive, Shared};
pub use pool::close::{Close, CloseReport};
pub use pool::connector_error::ConnectorError;
pub use pool::connector_fn::{ConnectorFn, connector_fn};
pub use pool::error::{AcquireError, AtHost, ConnectFailed};
pub use pool::host::Host;
pub use pool::no_connector::NoConnector;
pub use pool::pool::Pool;
pub use pool::pooled_connection::{ConnectionInfo, PooledConnection};
pub use pool::shared::{AcquireLease, Lease, SharedHost, SharedPool, WarmShared};
pub use pool::status::{HostStatus, LoanInfo, PoolStatus};
pub use pool::timeout_report::{
    Draining, FullServer, LastDialError, Phase, SlowDials, TimeoutDetails, TimeoutReport,
};
pub use pool::warm::Warm;
pub use pool::warm_error::WarmError;

#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_engine(bytes: &[u8]) {
    engine::programs::Program::read(bytes).run();
}

/// Runs the README's examples as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
