//! Pools of gRPC connections for tonic's clients (feature `grpc`).
//!
//! [`GrpcConnector`] makes connections for a [`SharedPool`](crate::SharedPool); how, is in
//! [`GrpcOptions`]. A [`PooledChannel`] is what clients are made of: each of its calls takes a lease on one
//! of the host's connections.
//!
//! A tonic `Channel` is one connection, however many clone it: all calls go to one server, wait for one TCP
//! stream, and share its limit of concurrent calls. The pool dials further connections as calls need them, up
//! to [`max_per_host`](crate::Builder::max_per_host), knows when each has ended, and a call that came too late
//! for its connection is sent again.
//!
//! # Examples
//!
//! `EchoClient` stands for a client that tonic 0.14 has generated from your service's description.
//!
//! ```
//! # use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient as EchoClient};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use http::Uri;
//! use wharf::SharedPool;
//! use wharf::grpc::{GrpcConnector, PooledChannel};
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
//! A call through a [`PooledChannel`] waits for a lease first, as every borrower of the pool does, and holds it
//! until the last message of its answer, or until the answer is dropped. So `status` counts running calls as
//! leases, and [`acquire_timeout`](crate::Builder::acquire_timeout) bounds the wait.
//!
//! Who needs several calls on one connection, or wants to decide by himself what is sent again, acquires
//! leases: `EchoClient::new(lease.clone())`. A lease is a [`GrpcChannel`], which is one connection. One lease
//! is one call: the pool counts leases against the number of calls that the server takes at once, and a second
//! call on the same lease would wait inside HTTP/2, unseen. Keep the lease for as long as the call runs, which
//! for a stream is until its last message.
//!
//! # When a server goes away
//!
//! A server that shuts down, or ends connections at a certain age, sends GOAWAY. It is noticed as it
//! arrives: no new leases are given on that connection, the calls that run on it finish, and new ones
//! go to another, whose dial has room at once. A connection that ends is noticed likewise. Neither
//! needs a ping.
//!
//! # Race window
//!
//! A call whose lease was given just before the GOAWAY came may be too late. The server does not
//! begin it. A [`PooledChannel`] sends it again, see [there](PooledChannel#sending-again); a call on a lease
//! fails, and [`is_unprocessed`] tells that it can be made again.
//!
//! # Which setting for what
//!
//! - **New servers, and balancers that balance connections (layer 4)**: a connection stays with the
//!   server that it was dialed to. [`max_lifetime`](crate::Builder::max_lifetime) (30 minutes by
//!   default) sends new calls to a new connection, whose dial resolves the name and is balanced anew;
//!   the old one ends after its last call, and long streams do not hold up the new one.
//!   Lower it where servers come and go faster than that, or set the servers' own maximum age.
//!   [`Spread::LeastLoaded`](crate::Spread::LeastLoaded), after a
//!   [`warm`](crate::SharedPool::warm), spreads calls over the connections that are there.
//! - **Servers that hang, not serving, behind proxies that hide it**:
//!   [`heartbeat`](crate::Builder::heartbeat) asks the health service on a timer, a real call through
//!   everything on the way. It needs a stream of its own: see
//!   [`reserved_streams`](GrpcOptions::reserved_streams). A connection whose server is not serving
//!   is closed.
//! - **Networks that vanish while calls run**: [`keepalive`](GrpcOptions::keepalive) pings on the level
//!   of HTTP/2 (after five and a half minutes of silence by default), and fails the calls of a connection that is dead. See
//!   [there](GrpcOptions#keepalive) for servers that take pings for abuse. A heartbeat finds the dead
//!   connection too, but calls that run on it are not failed by it: give them a deadline.
//! - **Firewalls that forget idle connections**: an
//!   [`idle_timeout`](crate::Builder::idle_timeout) below their memory, or heartbeats. Keepalive only
//!   with [`keepalive_without_calls`](GrpcOptions::keepalive_without_calls), which servers seldom permit.
//!
//! # Runtimes
//!
//! A channel lives in the runtime that dialed it, and moves only while that runtime is driven.

mod answer;
mod call;
mod channel;
mod connector;
mod deadline;
mod dial;
mod error;
mod keepalive;
mod messages;
mod options;
mod pooled_channel;
mod target;
mod turn;
mod unprocessed;

pub use channel::GrpcChannel;
pub use connector::GrpcConnector;
pub use error::GrpcError;
pub use options::GrpcOptions;
pub use pooled_channel::PooledChannel;
pub use unprocessed::is_unprocessed;
