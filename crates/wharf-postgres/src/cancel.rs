//! Cancels what the server is executing for a connection, and finds out when the cancellation is
//! over.
//!
//! A cancellation is a connection of its own, which the server closes when it has interrupted the
//! session. Until then it may hit the session's next request. A connection that is to be used again
//! therefore waits for that close, as libpq does.

use std::any::TypeId;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Error, NoTls, Socket};

use super::dial::Peer;

/// Which server receives the cancellation, and how.
#[derive(Clone)]
pub(super) struct Cancel {
    /// `None` if it is not known which host has answered.
    pub(super) peer: Option<Peer>,
    /// Whether the session is not encrypted.
    pub(super) is_plain: bool,
}

impl Cancel {
    /// Whether connections of this kind are never encrypted.
    pub(super) fn is_never_encrypted<T: 'static>() -> bool {
        TypeId::of::<T>() == TypeId::of::<NoTls>()
    }

    /// Returns whether the server has finished the cancellation. If not, it may still take effect
    /// at any time.
    pub(super) async fn run<T>(&self, token: &CancelToken, tls: T) -> bool
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send,
    {
        match &self.peer {
            Some(peer) if self.is_plain => plain(token, peer).await.is_ok(),
            _ => {
                let is_closed = Arc::default();
                let tls = Lingering { inner: tls, is_closed: Arc::clone(&is_closed) };
                token.cancel_query(tls).await.is_ok() && is_closed.load(Ordering::Relaxed)
            }
        }
    }
}

async fn plain(token: &CancelToken, peer: &Peer) -> io::Result<()> {
    let cancelled = match peer {
        Peer::Tcp(address) => plain_on(token, TcpStream::connect(address).await?).await,
        #[cfg(unix)]
        Peer::Unix(path) => plain_on(token, UnixStream::connect(path).await?).await,
    };
    cancelled.map_err(io::Error::other)
}

async fn plain_on<S>(token: &CancelToken, stream: S) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let is_closed = Arc::default();
    token.cancel_query_raw(LingeringStream { inner: stream, is_closed }, NoTls).await
}

/// TLS whose streams, when shut down, wait for the end from the other side.
struct Lingering<T> {
    inner: T,
    is_closed: Arc<AtomicBool>,
}

impl<S, T: MakeTlsConnect<S>> MakeTlsConnect<S> for Lingering<T> {
    type Stream = LingeringStream<T::Stream>;
    type TlsConnect = Lingering<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, T::Error> {
        let inner = self.inner.make_tls_connect(host)?;
        Ok(Lingering { inner, is_closed: Arc::clone(&self.is_closed) })
    }
}

impl<S, T: TlsConnect<S>> TlsConnect<S> for Lingering<T> {
    type Stream = LingeringStream<T::Stream>;
    type Error = T::Error;
    type Future = Handshake<T::Future>;

    fn connect(self, stream: S) -> Self::Future {
        Handshake { inner: Box::pin(self.inner.connect(stream)), is_closed: self.is_closed }
    }
}

struct Handshake<F> {
    inner: Pin<Box<F>>,
    is_closed: Arc<AtomicBool>,
}

impl<S, E, F: Future<Output = Result<S, E>>> Future for Handshake<F> {
    type Output = Result<LingeringStream<S>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = ready!(self.inner.as_mut().poll(cx))?;
        let is_closed = Arc::clone(&self.is_closed);
        Poll::Ready(Ok(LingeringStream { inner: stream, is_closed }))
    }
}

/// The end of the stream counts only after the peer's: PgBouncer 1.18 gives up if a cancelling
/// client is gone before it.
struct LingeringStream<S> {
    inner: S,
    is_closed: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for LingeringStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LingeringStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Waits for the other side's end; a reset counts as one.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0];
        // The server sends nothing but its end.
        let _end = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut ReadBuf::new(&mut byte)));
        self.is_closed.store(true, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for LingeringStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}
