//! A connection to one of a name's addresses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::addresses::{Balance, Seat};
use super::looked_into::{LookedInto, has_unread};
use crate::policy::signs::Signs;
use crate::transport::Stream;

/// A [`TcpStream`] that counts for [`AddressChoice::Spread`](super::AddressChoice::Spread) as long
/// as it lives. A [`TcpHostConnector`](super::TcpHostConnector) makes it. It derefs to the stream,
/// so `peer_addr` and the stream's other methods can be called on it.
///
/// It notes when bytes come from the peer, for [`last_heard`](crate::Connector::last_heard): where
/// it is read itself (as an [`AsyncRead`], also through [`tokio::io::split`]), and by
/// [`try_read`](Self::try_read) and [`try_read_vectored`](Self::try_read_vectored). Reads by other
/// methods of the stream (`split`, `try_read_buf`, `try_io`) are not noted, so that at worst a ping
/// is sent that was not needed.
pub struct TcpConnection {
    stream: TcpStream,
    peer: SocketAddr,
    seat: Option<Seat>,
    signs: Signs,
    balance: Option<Box<Balance>>,
}

impl TcpConnection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, seat: Option<Seat>) -> Self {
        TcpConnection { stream, peer, seat, signs: Signs::new(), balance: None }
    }

    /// Names all addresses of the name that was dialed.
    pub(super) fn balanced_among(mut self, all: &[SocketAddr]) -> Self {
        let balance = self.seat.as_ref().and_then(|seat| Balance::of(seat, all));
        self.balance = balance.map(Box::new);
        self
    }

    /// Returns the stream alone, which does not count any more.
    pub fn into_inner(self) -> TcpStream {
        drop(self.seat);
        self.stream
    }

    /// Same as [`TcpStream::try_read`].
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there to be read, or the system's own.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.noted(self.stream.try_read(buffer))
    }

    /// Same as [`TcpStream::try_read_vectored`].
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there to be read, or the system's own.
    pub fn try_read_vectored(&self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        self.noted(self.stream.try_read_vectored(buffers))
    }

    fn noted(&self, read: io::Result<usize>) -> io::Result<usize> {
        if read.as_ref().is_ok_and(|n| *n > 0) {
            self.signs.hear();
        }
        read
    }

    /// What its reads tell about the peer.
    pub(super) fn signs(&self) -> &Signs {
        &self.signs
    }

    /// What is to be told whether the address has shown that it works.
    pub(super) fn on_trial(&self) -> impl FnOnce(bool) + Send + Sync + 'static {
        let address = self.seat.as_ref().map(Seat::address);
        move |has_passed| {
            if let Some(address) = address {
                address.tried(has_passed);
            }
        }
    }

    pub(super) fn into_stream(mut self) -> Stream {
        if let Some(balance) = self.balance.take() {
            self.signs.move_by(move || balance.should_move());
        }
        let (peer, on_trial, signs) = (self.peer, self.on_trial(), self.signs.clone());
        let shared = LookedInto::new(self, &signs, |socket| has_unread(&socket.stream));
        Stream::with_signs(shared, signs).with_peer(peer).on_trial(on_trial)
    }

    /// The address that was dialed. It is known even after the peer is gone, when the system no
    /// longer tells it.
    pub(super) fn peer(&self) -> SocketAddr {
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
        let TcpConnection { stream, signs, .. } = &mut *self;
        signs.poll_read(Pin::new(stream), cx, buffer)
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
