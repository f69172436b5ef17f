//! A byte stream of any kind.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use super::noted::Noted;
use super::trial::{Trial, Verdict};
use crate::policy::signs::Signs;

/// What a stream is made from.
trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A byte stream, as a [`Transport`](super::Transport) makes it.
///
/// It is boxed, so that the protocols above are compiled once; the dynamic call costs little next
/// to the system call that follows it.
pub struct Stream {
    io: Box<dyn Io>,
    peer: Option<SocketAddr>,
    signs: Signs,
    verdict: Option<Verdict>,
}

/// # Making one
impl Stream {
    /// Makes a stream from anything that reads and writes bytes.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let signs = Signs::new();
        Stream::with_signs(Noted { io, signs: signs.clone() }, signs)
    }

    /// Makes a stream from something that notes itself, in these signs, what its reads tell.
    pub fn with_signs(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        signs: Signs,
    ) -> Self {
        Stream { io: Box::new(io), peer: None, signs, verdict: None }
    }

    /// Names the address that the stream leads to.
    pub fn with_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Has this called when the [trial](Stream::trial) of the stream's server is over, with whether
    /// it was passed: for a transport that chooses among several servers. It is not called if no
    /// trial is held.
    pub fn on_trial(mut self, verdict: impl FnOnce(bool) + Send + Sync + 'static) -> Self {
        self.verdict = Some(Box::new(verdict));
        self
    }
}

/// # Using one
impl Stream {
    /// Returns the address that the stream leads to. `None` if there is none, as for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns what the reads of the stream tell about its peer. A clone of it can be kept while
    /// something else reads the stream.
    pub fn signs(&self) -> &Signs {
        &self.signs
    }

    /// Puts the server on trial until it has answered a first time, for example in a handshake. The
    /// second trial of a stream tells nobody.
    pub fn trial(&mut self) -> Trial {
        Trial::of(self.verdict.take())
    }

    /// Returns whether nothing at all is to be read: no end, no error, no byte. A stream on which it
    /// has returned false must not be used any more: it may have read a byte.
    ///
    /// It makes a system call only where tokio considers the socket readable.
    pub fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let read = poll_fn(|cx| Pin::new(&mut *self.io).poll_read(cx, &mut byte));
        // Without this, a task that has used up its coop budget would get `Pending` regardless of
        // the socket.
        let read = pin!(coop::unconstrained(read));
        let is_silent = read.poll(&mut Context::from_waker(Waker::noop())).is_pending();
        // Where its runtime was busy meanwhile, tokio has not noticed yet what the system knows.
        is_silent && !self.signs.has_unread()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("peer", &self.peer).finish_non_exhaustive()
    }
}
