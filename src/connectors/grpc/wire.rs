//! The bytes of one connection, on their way between the socket and tonic.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use super::frames::{Frames, Notice};
use crate::connectors::late_write::unless_the_peer_is_gone;

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
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        unless_the_peer_is_gone(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        unless_the_peer_is_gone(written, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        unless_the_peer_is_gone(Pin::new(&mut self.stream).poll_flush(cx), ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Has something to read, and takes nothing any more.
    struct Closed(&'static [u8], io::ErrorKind);

    impl AsyncRead for Closed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Closed {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(self.1.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.1.into()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.1.into()))
        }
    }

    #[tokio::test]
    async fn what_a_peer_sent_before_it_closed_is_read_after_a_write_has_failed() {
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset] {
            let (mut wire, _) = Wire::new(Closed(b"the last words", kind));
            assert_eq!(wire.write(b"too late").await.unwrap(), 8);
            wire.flush().await.unwrap();
            let mut heard = String::new();
            wire.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "the last words");
        }
    }

    #[tokio::test]
    async fn another_failure_of_a_write_is_told() {
        let (mut wire, _) = Wire::new(Closed(b"", io::ErrorKind::TimedOut));
        assert_eq!(wire.write(b"words").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
