//! The bytes of an HTTP/2 connection: records that the peer was heard, and what hyper does not report.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::heads::{Heads, Unacceptable};
use super::peer::Peer;

pub(super) struct ObservedIo<T> {
    io: T,
    peer: Arc<Peer>,
    heads: Heads,
}

impl<T> ObservedIo<T> {
    pub(super) fn new(io: T, peer: Arc<Peer>) -> Self {
        ObservedIo { io, peer, heads: Heads::default() }
    }

    fn look_at(&mut self, bytes: &[u8]) -> Result<(), Unacceptable> {
        self.peer.hear();
        let looked = self.heads.look_at(bytes, self.peer.streams());
        looked.inspect_err(|fault| self.peer.note_fault(*fault))?;
        if !self.peer.has_greeted() && self.heads.has_begun() {
            self.peer.greet();
        }
        Ok(())
    }
}

impl<T> Drop for ObservedIo<T> {
    fn drop(&mut self) {
        self.peer.end();
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ObservedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.look_at(&buffer.filled()[before..])?;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ObservedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
