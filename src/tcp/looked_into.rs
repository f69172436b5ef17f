//! A socket that can be looked into while something else reads it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::policy::signs::Signs;

/// Shares a socket with its [`Signs`], which can tell what lies in it unread. The lock is taken for
/// each read and each write, next to whose system call it costs nothing.
pub(super) struct LookedInto<S>(Arc<Mutex<S>>);

impl<S: Send + 'static> LookedInto<S> {
    pub(super) fn new(socket: S, signs: &Signs, has_unread: fn(&S) -> bool) -> Self {
        let shared = Arc::new(Mutex::new(socket));
        // Signs may be kept longer than the socket.
        let seen = Arc::downgrade(&shared);
        signs.look_by(move || seen.upgrade().is_some_and(|socket| has_unread(&socket.lock())));
        LookedInto(shared)
    }
}

/// Returns whether bytes, the end or an error lie in the socket. It makes one system call, and does not
/// depend on what tokio has noticed.
pub(super) fn has_unread<'a, S>(socket: &'a S) -> bool
where
    SockRef<'a>: From<&'a S>,
{
    let mut byte = [MaybeUninit::uninit()];
    let peeked = SockRef::from(socket).peek(&mut byte);
    !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl<S: AsyncRead + Unpin> AsyncRead for LookedInto<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LookedInto<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(cx)
    }
}
