//! A connection to one of a name's addresses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::addresses::{Seat, Trial};

/// A [`TcpStream`] that counts for [`AddressChoice::Spread`](super::AddressChoice::Spread) as long
/// as it lives. A [`TcpHostConnector`](super::TcpHostConnector) makes it. It derefs to the stream,
/// so `peer_addr` and the stream's other methods can be called on it.
pub struct TcpConnection {
    stream: TcpStream,
    peer: SocketAddr,
    seat: Option<Seat>,
}

impl TcpConnection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, seat: Option<Seat>) -> Self {
        TcpConnection { stream, peer, seat }
    }

    /// Returns the stream alone, which does not count any more.
    pub fn into_inner(self) -> TcpStream {
        drop(self.seat);
        self.stream
    }

    /// The proof that the address still owes.
    pub(super) fn trial(&self) -> Trial {
        Trial::of(self.seat.as_ref())
    }

    /// The address that was dialed. It is known even after the peer is gone, when the system no
    /// longer tells it.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl Deref for TcpConnection {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl DerefMut for TcpConnection {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl fmt::Debug for TcpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpConnection").field(&self.stream).finish()
    }
}

impl AsyncRead for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
