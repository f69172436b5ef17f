//! Pools of gRPC connections for tonic's clients.
//!
//! [`GrpcConnector`] makes connections for a [`SharedPool`](wharf::SharedPool), with the settings
//! in [`GrpcBuilder`]. Generated clients run on a [`PooledChannel`]: each of its calls takes a
//! lease on one of the host's connections.
//!
//! A tonic `Channel` is one connection, even when it is cloned: all calls go to one server, wait
//! for one TCP stream, and share its limit of concurrent calls. The pool dials further connections
//! as calls need them, up to [`max_per_host`](wharf::Builder::max_per_host), notices when one ends,
//! and sends a call again that came too late for its connection. For a whole program and what happens
//! in each fault, see [`guide`].
//!
//! # Examples
//!
//! `EchoClient` stands for a client that tonic 0.14 has generated from your service definition.
//!
//! ```
//! # use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient as EchoClient};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use http::Uri;
//! use wharf::SharedPool;
//! use wharf_grpc::{GrpcConnector, PooledChannel};
//!
//! let pool = SharedPool::builder().max_per_host(4).build(GrpcConnector::new())?;
//! let server = Uri::from_static("http://localhost:50051");
//!
//! let mut client = EchoClient::new(PooledChannel::new(pool.host(&server)));
//! # let request = HealthCheckRequest::default();
//! let answer = client.check(request).await?;
//! # Ok(()) }
//! ```
//!
//! # Calls and leases
//!
//! A call through a [`PooledChannel`] first waits for a lease, like every borrower of the pool. It
//! holds the lease until the last message of its answer, or until the answer is dropped. `status`
//! therefore counts running calls as leases, and
//! [`acquire_timeout`](wharf::Builder::acquire_timeout) bounds the wait.
//!
//! To make several calls on one connection, or to decide yourself which calls are sent again,
//! acquire leases: `EchoClient::new(lease.clone())`. A lease is a [`GrpcChannel`], which is one
//! connection. Use one lease for each call: the pool counts leases against the number of calls that
//! the server allows at once, and a second call on the same lease would wait inside HTTP/2, where
//! the pool cannot see it. Keep the lease as long as the call runs; for a stream, until its last
//! message.
//!
//! # When a server goes away
//!
//! A server that shuts down, or ends connections at a certain age, sends GOAWAY. The pool notices
//! when it arrives: it gives no new leases on that connection, the running calls finish, and new
//! calls use another connection, which can be dialed at once because the old one no longer counts.
//! The end of a connection is noticed in the same way. Neither needs a ping.
//!
//! # Race window
//!
//! A call whose lease was given just before the GOAWAY arrived may be too late: the server does not
//! start it. A [`PooledChannel`] sends it again, see [Sending again](PooledChannel#sending-again).
//! A call on a lease fails, and [`is_unprocessed`] tells whether it can be repeated.
//!
//! # Which setting to use
//!
//! - **New servers, and balancers that balance connections (layer 4)**: a connection stays with the
//!   server that it was dialed to. [`max_lifetime`](wharf::Builder::max_lifetime) (30 minutes by
//!   default) moves new calls to a new connection, whose dial resolves the name and is balanced
//!   again. The old connection ends after its last call, and long streams do not delay the new one.
//!   Set a lower lifetime where servers come and go faster, or set the servers' own maximum age.
//!   [`Spread::LeastLoaded`](wharf::Spread::LeastLoaded), after a
//!   [`warm`](wharf::SharedPool::warm), spreads calls over the open connections.
//! - **Servers that hang or do not serve, behind proxies that hide it**:
//!   [`heartbeat`](wharf::Builder::heartbeat) calls the health service on a timer, through
//!   everything on the way. The call needs a stream of its own: see
//!   [`reserved_streams`](GrpcBuilder::reserved_streams). A connection whose server is not serving
//!   is closed.
//! - **Networks that vanish while calls run**: [`keep_alive_interval`](GrpcBuilder::keep_alive_interval) sends HTTP/2
//!   pings (after five and a half minutes of silence by default) and fails the calls of a dead
//!   connection. See [Keepalive](GrpcBuilder#keepalive) for servers that treat pings as abuse. A
//!   heartbeat finds the dead connection too but does not fail its running calls: give them a
//!   deadline.
//! - **Firewalls that forget idle connections**: an [`idle_timeout`](wharf::Builder::idle_timeout)
//!   below the firewall's, or heartbeats. Keepalive helps only with
//!   [`keep_alive_while_idle`](GrpcBuilder::keep_alive_while_idle), which servers seldom
//!   permit.
//!
//! # Runtimes
//!
//! A channel lives in the runtime that dialed it, and makes progress only while that runtime is
//! driven.
//!
//! # Versions
//!
//! It is made with tonic 0.14, whose types are public here. A new version of tonic that breaks them is a
//! breaking version of this crate. The feature `tls`, on by default, brings `https`.
//! With it the types of rustls 0.23 are public, too.
//!
//! tonic has become part of the gRPC project, whose maintainers halt its development in favour of a
//! library that they build there ([announcement](https://grpc.io/blog/grpc-welcomes-tonic/)). This crate
//! follows tonic 0.14, with which clients are generated today, and nothing of that library yet. The
//! pool, its connections and its errors come from wharf, and do not depend on either.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod answer;
mod builder;
mod call;
mod channel;
mod connector;
mod deadline;
mod dial;
mod error;
mod in_flight;
mod messages;
mod pooled_channel;
mod target;
mod unprocessed;

pub use builder::GrpcBuilder;
pub use channel::GrpcChannel;
pub use connector::GrpcConnector;
pub use error::Error;
pub use pooled_channel::PooledChannel;
pub use unprocessed::is_unprocessed;
#[cfg(feature = "tls")]
pub use wharf_http::tls;

#[doc = include_str!("guide.md")]
pub mod guide {}

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
