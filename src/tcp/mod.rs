//! Pools of plain TCP connections (feature `tcp`).
//!
//! [`TcpConnector`] dials a socket address. [`TcpHostConnector`] dials `"host:port"` and resolves
//! the name at every dial. [`TcpBuilder`] has the settings of their sockets. [`TcpTransport`] dials for the
//! clients of HTTP, gRPC and WebSocket, with the same settings. For a whole program and
//! what happens in each fault, see [`guide::tcp`](crate::guide::tcp).
//!
//! # Examples
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::io;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use wharf::Pool;
//! use wharf::tcp::{TcpConnection, TcpHostConnector};
//!
//! async fn ping(stream: &mut TcpConnection) -> io::Result<[u8; 7]> {
//!     stream.write_all(b"PING\r\n").await?;
//!     let mut answer = [0; 7];
//!     stream.read_exact(&mut answer).await?;
//!     Ok(answer)
//! }
//!
//! let pool = Pool::builder().max_per_host(8).build(TcpHostConnector::new())?;
//! let stream = pool.acquire("localhost:6379").await?;
//! let answer = stream.exchange(ping).await?; // if it does not end well, the stream is closed
//! # Ok(()) }
//! ```
//!
//! # Addresses
//!
//! A name is resolved at every dial, and all of its addresses are tried if necessary, as in RFC
//! 8305 ("Happy Eyeballs"). IPv6 and IPv4 alternate. The next attempt starts at once when one
//! fails, and in parallel when one is silent for 250 milliseconds. The first to connect is used;
//! the others are closed. Where the pool's [`connect_timeout`](crate::Builder::connect_timeout) is
//! short for the number of addresses, the attempts start sooner after each other, so that each
//! address gets one. An address that swallows packets therefore costs a dial 250 milliseconds and
//! not all of its time.
//!
//! [`TcpBuilder::address_choice`] selects the first address: by default, the one with the fewest
//! connections. Open connections stay where they are until they end, except in shared pools: there one
//! of two makes room for an address that has none. Dials that begin together resolve a name once.
//! [`max_lifetime`](crate::Builder::max_lifetime) is therefore the time within which the
//! connections of a name whose addresses have changed move over, without an error.
//!
//! HTTP, gRPC and WebSocket dial in the same way, through a [`TcpTransport`], unless they are given
//! another [transport](crate::transport).
//!
//! # Half-done conversations
//!
//! A connection returns to the pool when its guard is dropped, in whichever state it is. If a
//! request was given up before its answer was read (for example because its future was cancelled),
//! the next borrower would read that answer as its own: the pool cannot know that it is still to
//! come. Use [`exchange`](crate::PooledConnection::exchange), which returns a connection only after
//! a conversation that ended well. Without it, give the connection to
//! [`discard`](crate::PooledConnection::discard) wherever an answer may be due.
//!
//! # How dead peers are detected
//!
//! Each time a connection is lent from the idle list, and each time it returns, it is checked. It
//! is closed if its peer has closed it, if it has failed, if it has unread bytes that nobody asked
//! for, or if its runtime has ended. The check asks what tokio knows already. It makes a system
//! call only where tokio considers the socket readable: after an end, after unread bytes, and after
//! a read that filled its buffer to the last byte. No ping is needed for this.
//!
//! A connection that was reset makes the others to its host answer a ping before they are lent. One
//! that its peer has only closed does not: servers close idle connections so.
//!
//! A [`TcpConnection`] notes when bytes come from its peer, and is not pinged soon after that. Of
//! the plain sockets of a [`TcpConnector`] this is not known.
//!
//! # Race window
//!
//! tokio learns what a peer did when the runtime's I/O driver runs next, and the packet takes its
//! time on the network. A connection that was closed a moment ago may therefore still be lent; its
//! first use then fails. A peer that vanished silently (a pulled cable, a firewall that dropped its
//! state) is not detected at all, except through [`TcpBuilder::keepalive`]. Requests that must not
//! fail because of this have to be safe to send twice, or need a ping of their protocol.
//!
//! # Runtimes
//!
//! A socket belongs to the runtime that dialed it, and makes progress only while that runtime is
//! driven. Where several runtimes use one pool, each may be lent a connection that another has
//! dialed: keep them all running, or give each its own pool.

mod addresses;
mod builder;
mod connection;
mod connector;
mod host_connector;
mod keepalive;
mod looked_into;
mod lookups;
mod ping;
mod race;
mod resolve;
mod settings;
mod socket;
mod tcp_transport;
mod unix;

pub use addresses::AddressChoice;
pub use builder::TcpBuilder;
pub use connection::TcpConnection;
pub use connector::TcpConnector;
pub use host_connector::TcpHostConnector;
pub use resolve::Resolve;
pub use tcp_transport::TcpTransport;
