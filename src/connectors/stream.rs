//! What HTTP, gRPC and WebSocket connections run on: TCP or a Unix socket, with or without TLS.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::tcp::Trial;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A stream of any kind. Behind a pointer, so that the protocols above are compiled once; the call
/// through it costs little next to that of the system which follows.
pub(crate) type Stream = Box<dyn Io>;

/// A stream as the transport dials it.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    /// The address of the peer. A Unix socket has none.
    pub(crate) peer: Option<SocketAddr>,
    /// Passed when the handshakes on the stream are over.
    pub(crate) trial: Trial,
}
