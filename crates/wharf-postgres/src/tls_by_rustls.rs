//! TLS by rustls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;
use wharf_tls::Tls;

/// How a connector speaks TLS after [`PostgresBuilder::tls`](super::PostgresBuilder::tls).
#[derive(Clone, Debug)]
pub struct PostgresTls(Tls);

impl PostgresTls {
    pub(super) fn new(tls: Tls) -> Self {
        // Servers demand it where TLS comes first (`sslnegotiation=direct`).
        PostgresTls(tls.offering(&[b"postgresql"]))
    }
}

type OfRustls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

impl MakeTlsConnect<Socket> for PostgresTls {
    type Stream = PostgresTlsStream;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake { tls: self.0.clone(), host: host.to_owned() })
    }
}

/// A handshake that is about to begin.
#[allow(unnameable_types)] // Only tokio-postgres uses it.
pub struct Handshake {
    tls: Tls,
    host: String,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = PostgresTlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<PostgresTlsStream>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let config = self.tls.config().await.map_err(final_as_such)?;
            let mut rustls = MakeRustlsConnect::new((*config).clone());
            let Ok(connect): Result<OfRustls, _> =
                MakeTlsConnect::<Socket>::make_tls_connect(&mut rustls, &self.host);
            connect.connect(stream).await.map(PostgresTlsStream).map_err(final_as_such)
        })
    }
}

/// Gives an error after which another handshake is pointless the kind by which that is known.
fn final_as_such(error: io::Error) -> io::Error {
    if wharf_tls::is_retryable(&error) {
        return error;
    }
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// An encrypted session.
#[allow(unnameable_types)] // Only tokio-postgres uses it.
pub struct PostgresTlsStream(Encrypted);

impl TlsStream for PostgresTlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

impl AsyncRead for PostgresTlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PostgresTlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
