//! The bytes of one connection, on their way between the socket and tonic.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use super::frames::{Frames, Notice};

/// What a server has said of its connection. The channel that it is told through closes with the
/// connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    /// Its first settings have come: it speaks HTTP/2, and its limits are known.
    pub(super) greeted: bool,
    /// It takes no new calls.
    pub(super) leaving: bool,
    /// Calls that it takes at once, if it has a limit.
    pub(super) max_streams: Option<u32>,
}

impl Peer {
    fn note(&mut self, notice: Notice) {
        match notice {
            Notice::GoAway => self.leaving = true,
            Notice::Settings { max_streams } => {
                self.greeted = true;
                self.max_streams = max_streams.or(self.max_streams);
            }
        }
    }
}

/// A stream whose incoming frames are read along. HTTP/2 drops it as soon as the connection has
/// ended, for whatever reason, and with it the sender.
pub(super) struct Wire<T> {
    stream: T,
    frames: Frames,
    peer: watch::Sender<Peer>,
}

impl<T> Wire<T> {
    pub(super) fn new(stream: T) -> (Self, watch::Receiver<Peer>) {
        let (peer, seen) = watch::channel(Peer::default());
        (Wire { stream, frames: Frames::default(), peer }, seen)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut fresh = &buffer.filled()[before..];
        while let Some(notice) = self.frames.next(&mut fresh) {
            self.peer.send_modify(|peer| peer.note(notice));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
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
