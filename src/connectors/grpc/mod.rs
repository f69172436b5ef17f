//! Pools of gRPC channels, by tonic (feature `grpc`).
//!
//! [`GrpcConnector`] makes them for a [`SharedPool`](crate::SharedPool); how, is in
//! [`GrpcOptions`]. A [`GrpcChannel`] is one connection that carries many calls at once, and a lease
//! is the right to one call on it.
//!
//! A tonic `Channel` by itself is one connection as well, however many clone it: all calls go to one
//! server, wait for one TCP stream, and share its limit of concurrent calls. When it breaks, it
//! reconnects unseen. The pool dials further connections as calls need them, up to
//! [`max_per_host`](crate::Builder::max_per_host), and knows when each has ended.
//!
//! # Examples
//!
//! `EchoClient` stands for a client that tonic 0.14 has generated from your service's description.
//!
//! ```
//! # use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient as EchoClient};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tonic::transport::Uri;
//! use wharf::SharedPool;
//! use wharf::grpc::GrpcConnector;
//!
//! let pool = SharedPool::builder().max_per_host(4).build(GrpcConnector::new())?;
//! let server = Uri::from_static("http://localhost:50051");
//!
//! let lease = pool.acquire(&server).await?;
//! let mut client = EchoClient::new(lease.clone());
//! # let request = HealthCheckRequest::default();
//! let answer = client.check(request).await?;
//! drop(lease); // after the last message of the call
//! # Ok(()) }
//! ```
//!
//! # Leases and calls
//!
//! One lease is one call: the pool counts leases against the number of calls that the server takes
//! at once, and a second call on the same lease would wait inside HTTP/2, unseen. Keep the lease for
//! as long as the call runs, which for a stream is until its last message.
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
//! begin it, and [`is_unprocessed`] tells: make it again on a fresh lease, whatever it does.
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
//!   of HTTP/2, and fails the calls of a connection that is dead. A heartbeat finds the dead
//!   connection too, but calls that run on it are not failed by it: give them a deadline.
//! - **Firewalls that forget idle connections**: an
//!   [`idle_timeout`](crate::Builder::idle_timeout) below their memory, or heartbeats. Keepalive only
//!   with [`keepalive_without_calls`](GrpcOptions::keepalive_without_calls), which servers seldom permit.
//!
//! # Runtimes
//!
//! A channel lives in the runtime that dialed it, and moves only while that runtime is driven.

mod call;
mod channel;
mod connector;
mod dial;
mod error;
mod frames;
mod keepalive;
mod options;
mod unprocessed;
mod wire;

pub use channel::GrpcChannel;
pub use connector::GrpcConnector;
pub use error::GrpcError;
pub use options::GrpcOptions;
pub use unprocessed::is_unprocessed;
