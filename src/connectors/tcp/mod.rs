//! Pools of plain TCP connections (feature `tcp`).
//!
//! [`TcpConnector`] dials a socket address; [`TcpHostConnector`] dials `"host:port"`, and resolves
//! the name at every dial. What they set on their sockets is in [`TcpOptions`].
//!
//! # Examples
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use wharf::Pool;
//! use wharf::tcp::TcpHostConnector;
//!
//! let pool = Pool::builder().max_per_host(8).build(TcpHostConnector::new())?;
//!
//! let mut stream = pool.acquire("localhost:6379").await?;
//! stream.write_all(b"PING\r\n").await?;
//! let mut answer = [0; 7];
//! stream.read_exact(&mut answer).await?;
//! # Ok(()) }
//! ```
//!
//! # Addresses
//!
//! A name is resolved at every dial, and all of its addresses are tried if need be, as in RFC 8305
//! ("Happy Eyeballs"): IPv6 and IPv4 take turns, the next begins at once when one fails and beside it
//! when it is silent for 250 milliseconds, and the first to connect is taken; the others are closed.
//! Where the pool's [`connect_timeout`](crate::Builder::connect_timeout) is short for the number of
//! addresses the turns are shorter, so that each has one. So an address that swallows packets costs
//! a dial 250 milliseconds, and not all of its time.
//!
//! Which address is the first is the choice of [`TcpOptions::address_choice`]: that with the fewest
//! connections, by default. Connections that are there stay where they are until they end, so
//! [`max_lifetime`](crate::Builder::max_lifetime) is the time in which a name whose addresses have
//! changed moves over, without an error.
//!
//! HTTP, gRPC and WebSocket dial in the same way, with the same options.
//!
//! # Half-done conversations
//!
//! A connection goes back when its loan is dropped, in whatever state it is. One that was left in
//! the middle of an exchange (a future that was cancelled between a request and its answer) must be
//! given to [`PooledConnection::discard`](crate::PooledConnection::discard): the pool cannot know
//! that an answer is still to come.
//!
//! # What is seen of a dead peer
//!
//! Each time a connection is lent from the idle list, and each time it returns, it is checked: one
//! whose peer has closed it, that has failed, that has unread bytes nobody asked for, or whose
//! runtime has ended is closed instead. The check asks what tokio knows already and makes a system
//! call only where tokio holds the socket to be readable: after an end, after unread bytes, and
//! after a read that filled its buffer to the last byte.
//!
//! # Race window
//!
//! tokio learns of what a peer did when the runtime's I/O driver runs next, and the news needs its
//! time on the network. A connection that was closed a moment ago may therefore still be lent; its
//! first use fails then. A peer that vanished without a word (a pulled cable, a firewall that
//! forgot) is not seen at all, except through [`TcpOptions::keepalive`]. What must not fail because
//! of this has to be safe to send twice, or needs a ping of its protocol.
//!
//! # Runtimes
//!
//! A socket belongs to the runtime that dialed it, and moves only while that runtime is driven.
//! Where several runtimes use one pool, each may be lent what another has dialed: keep them all
//! running, or give each a pool.

mod addresses;
mod connection;
mod connector;
mod failure;
mod host_connector;
mod keepalive;
mod options;
mod ping;
mod place;
mod race;
mod resolve;
mod socket;
mod transport;
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
mod unix;

pub use addresses::AddressChoice;
pub use connection::TcpConnection;
pub use connector::TcpConnector;
pub use host_connector::TcpHostConnector;
pub use options::TcpOptions;
pub use resolve::Resolve;

#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
pub(crate) use {
    addresses::Trial,
    failure::is_retryable,
    place::{Host, Place},
    transport::Transport,
};
