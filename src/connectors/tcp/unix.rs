//! Unix domain sockets.

use std::io;

use crate::connectors::stream::Dialed;

#[cfg(unix)]
pub(super) async fn connect(path: &str) -> io::Result<Dialed> {
    let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| {
        super::failure::of(format!("\"unix:{path}\" could not be reached"), error)
    })?;
    Ok(noted::Noted::new(stream).dialed())
}

#[cfg(not(unix))]
#[allow(clippy::unused_async)] // As where there are such sockets.
pub(super) async fn connect(path: &str) -> io::Result<Dialed> {
    let message = format!("\"unix:{path}\" cannot be reached: this system has no Unix sockets");
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

#[cfg(unix)]
mod noted {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::UnixStream;

    use crate::connectors::signs::Signs;
    use crate::connectors::stream::Dialed;
    use crate::connectors::tcp::Trial;

    /// A stream that notes what its reads tell about the peer.
    pub(super) struct Noted {
        stream: UnixStream,
        signs: Signs,
    }

    impl Noted {
        pub(super) fn new(stream: UnixStream) -> Self {
            Noted { stream, signs: Signs::default() }
        }

        pub(super) fn dialed(self) -> Dialed {
            let signs = self.signs.clone();
            Dialed { stream: Box::new(self), peer: None, signs, trial: Trial::default() }
        }
    }

    impl AsyncRead for Noted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Noted { stream, signs } = &mut *self;
            signs.read(Pin::new(stream), cx, buffer)
        }
    }

    impl AsyncWrite for Noted {
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
}
