//! Pools of WebSocket connections, plain and TLS, by tokio-tungstenite 0.30 (feature `websocket`).
//!
//! [`WebSocketConnector`] dials `"ws://…"` and `"wss://…"`; [`WebSocketOptions`] has headers,
//! subprotocols, TLS and the heartbeat; a [`WebSocketConnection`] sends and receives.
//!
//! # Examples
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf::websocket::{Message, WebSocketConnector};
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
//! reads at all times: so a Ping of the peer is answered, and a close frame or the end of the stream
//! is seen, while the connection idles in the pool. It writes whole messages, whatever becomes of the
//! borrower who sent them. A borrower who does not read holds the peer back: beyond
//! [`max_unread`](WebSocketOptions::max_unread) messages nothing more is read from the socket.
//!
//! # Heartbeats
//!
//! The driver beats, by [`WebSocketHeartbeat`], whether the connection is lent or idle. A missed beat
//! is a warning under the `tracing` target `wharf::websocket`, and is counted:
//! [`WebSocketConnection::heartbeat`], and [`WebSocketConnector::missed_beats`] for all connections.
//! A connection found dead fails whoever uses it, and is never lent again.
//!
//! The pool's own pings (a health check before lending, the ping of a suspect) are Pings too, and ask for
//! their very Pong. Because of the driver's beats a pool needs none. They are worth it where a
//! connection must be known to answer at the moment when it is lent. The pool's
//! [`heartbeat`](crate::Builder::heartbeat) is worth it beside
//! [`min_idle_per_host`](crate::Builder::min_idle_per_host): an idle connection that the peer has closed
//! counts as idle until the pool looks at it, which it does to lend it, or at its heartbeat.
//!
//! # Half-done conversations
//!
//! What is on its way to one borrower must not become the answer to the next. Whenever a connection
//! is lent from the idle list, and whenever it returns, it is closed instead if a message is there that
//! nobody has read, whether it was left by a borrower or came unasked while the connection was idle, or
//! if a [`request`](WebSocketConnection::request) was dropped before its answer came.
//!
//! An answer that has not arrived when a connection is lent cannot be seen. Who uses
//! [`send`](WebSocketConnection::send) and gives up before the answer must
//! [`discard`](crate::PooledConnection::discard) the connection.
//!
//! For the same reason a subscription, to which the server speaks at any time, is nothing to give
//! back: [`detach`](crate::PooledConnection::detach) it, or discard it in the end.
//!
//! # Race window
//!
//! What the peer did a moment ago is still on the network, or waits for the driver to run. A
//! connection that was closed just now may therefore still be lent; its first use fails then.
//!
//! # Limits
//!
//! No compression (`permessage-deflate`), no HTTP proxies, and only HTTP/1.1 for the upgrade.
//!
//! # Runtimes
//!
//! A driver moves only while its runtime is driven. When that runtime has ended, its connections
//! are [`RuntimeEnded`](WebSocketError::RuntimeEnded) and are not lent any more.

mod connection;
mod connector;
mod dial;
mod driver;
mod error;
mod heartbeat;
mod mailbox;
mod meter;
mod options;
mod pulse;
#[cfg(test)]
mod tests;
mod url;

pub use connection::WebSocketConnection;
pub use connector::WebSocketConnector;
pub use error::WebSocketError;
pub use heartbeat::{HeartbeatStatus, WebSocketHeartbeat};
pub use options::WebSocketOptions;

// What the types above are made of.
pub use tokio_rustls::rustls;
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
pub use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
pub use tokio_tungstenite::tungstenite::{self, Message, http};
