//! Pools of WebSocket connections, plain and TLS, by tokio-tungstenite 0.30.
//!
//! [`WebSocketConnector`] dials `"ws://…"` and `"wss://…"`. [`WebSocketBuilder`] sets headers,
//! subprotocols, TLS and the heartbeat. A [`WebSocketConnection`] sends and receives. For a whole program
//! and what happens in each fault, see [`guide`].
//!
//! # Examples
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf_websocket::{Message, WebSocketConnector};
//!
//! let pool = Pool::builder().max_per_host(4).build(WebSocketConnector::new())?;
//!
//! let mut socket = pool.acquire("wss://prices.example/v1").await?;
//! let answer = socket.request(Message::text("EUR/USD")).await?;
//! println!("{answer}");
//! # Ok(()) }
//! ```
//!
//! # The driver
//!
//! Each connection has a task of its own, in the runtime that dialed it, which owns the socket. It
//! reads at all times, so it answers the peer's Pings and sees a close frame or the end of the
//! stream while the connection is idle in the pool. It writes messages whole, even if the borrower
//! who sent them gives up. A borrower who does not read holds the peer back: beyond
//! [`max_unread`](WebSocketBuilder::max_unread) messages, nothing more is read from the socket.
//!
//! # Heartbeats
//!
//! The driver sends heartbeats as set by [`WebSocketHeartbeat`], whether the connection is lent or
//! idle. A missed heartbeat is logged as a warning under the `tracing` target `wharf::websocket`,
//! and counted: for one connection in [`WebSocketConnection::heartbeat`], for all in
//! [`WebSocketConnector::missed_beats`]. A connection found dead returns an error from then on, and
//! is never lent again.
//!
//! The pool's own pings (a health check before lending, the ping of a suspect) are Pings too, and
//! wait for their own Pong. Because the driver sends heartbeats, a pool needs no pings; use them
//! where a connection must be known to answer at the moment when it is lent. The pool's
//! [`heartbeat`](wharf::Builder::heartbeat) is useful together with
//! [`min_idle_per_host`](wharf::Builder::min_idle_per_host): an idle connection that the peer has
//! closed counts as idle until the pool checks it, which happens when it is lent or at the pool's
//! heartbeat.
//!
//! # Half-done conversations
//!
//! A message for one borrower must not become the answer to the next. Each time a connection is
//! lent from the idle list, and each time it returns, it is closed instead if its borrower left a
//! message unread, or dropped a [`request`](WebSocketConnection::request) before its answer arrived. A
//! message that arrives while nobody uses the connection ends it at once, with code 1008, and is not
//! stored: it would be nobody's. One that arrives in parts does so once 128 bytes of it are there. That holds from its return until its next borrower first sends or
//! reads.
//!
//! An answer that has not arrived when a connection is lent cannot be detected. If you use
//! [`send`](WebSocketConnection::send) and give up before the answer,
//! [`discard`](wharf::PooledConnection::discard) the connection.
//!
//! For the same reason do not return a connection with a subscription, on which the server sends at
//! any time: [`detach`](wharf::PooledConnection::detach) it, or discard it in the end.
//!
//! # Race window
//!
//! The peer's latest action may still be on the network, or waiting for the driver to run. A
//! connection that was closed a moment ago may therefore still be lent; its first use then fails.
//!
//! # Limits
//!
//! Compression (`permessage-deflate`) is not supported. The upgrade uses HTTP/1.1. Proxies are used
//! only if [`transport`](WebSocketBuilder::transport) is given those of
//! [wharf-proxy](https://docs.rs/wharf-proxy).
//!
//! # Runtimes
//!
//! A driver makes progress only while its runtime is driven. When that runtime has ended, its
//! connections fail with [`RuntimeEnded`](Error::RuntimeEnded) and are not lent any more.
//!
//! # Versions
//!
//! It is made with tokio-tungstenite 0.30, whose types are public here. A new version of it that breaks
//! them is a breaking version of this crate. The feature `tls`, on by default, brings `wss`.
//! With it the types of rustls 0.23 are public, too.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod builder;
mod channel;
mod connection;
mod connector;
mod dial;
mod driver;
mod error;
mod heartbeat;
mod heartbeat_timer;
mod meter;
#[cfg(test)]
mod tests;
mod tls_or_none;
mod url;

pub use builder::WebSocketBuilder;
pub use connection::WebSocketConnection;
pub use connector::WebSocketConnector;
pub use error::Error;
pub use heartbeat::{HeartbeatStatus, WebSocketHeartbeat};

// Re-exports of the types in the public API.
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
pub use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
pub use tokio_tungstenite::tungstenite::{self, Message, http};
#[cfg(feature = "tls")]
pub use wharf_tls as tls;

#[doc = include_str!("guide.md")]
pub mod guide {}

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
