//! The streams that HTTP, gRPC and WebSocket connections use: TCP or a Unix socket, with or without
//! TLS.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::signs::Signs;
use super::tcp::Trial;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A stream of any kind. It is boxed so that the protocols above are compiled only once; the
/// dynamic call costs little next to the system call that follows it.
pub(crate) type Stream = Box<dyn Io>;

/// A stream as the transport returns it.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    /// The address of the peer. A Unix socket has none.
    pub(crate) peer: Option<SocketAddr>,
    /// What its reads tell about the peer. (A WebSocket keeps a record of its own.)
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) signs: Signs,
    /// To be passed once the handshakes on the stream are over.
    pub(crate) trial: Trial,
}
