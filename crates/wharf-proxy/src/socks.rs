//! A tunnel through a SOCKS5 proxy.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_socks::tcp::Socks5Stream;
use tokio_socks::{Error, IntoTargetAddr, TargetAddr};
use wharf::transport::{Host, Stream};

use crate::failure::Failure;

/// Asks the proxy at the other end of the stream for a tunnel to this address of the host, or to its
/// name. It reads no byte too many.
pub(crate) async fn open(
    stream: Stream,
    to: Host<'_>,
    address: Option<SocketAddr>,
    credentials: Option<(&str, &str)>,
) -> Result<Stream, Failure> {
    let name = || (to.bare_name(), to.port).into_target_addr();
    let to = address.map_or_else(name, |address| Ok(TargetAddr::Ip(address)));
    let to = to.map_err(|error| Failure::refused(true, error.to_string()))?;
    let stream = Flushed { stream, is_unflushed: false };
    let opened = match credentials {
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await
        }
        None => Socks5Stream::connect_with_socket(stream, to).await,
    };
    opened.map(|opened| opened.into_inner().stream).map_err(failure)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Io(error) => Failure::broken(error),
        Error::NoAcceptableAuthMethods
        | Error::AuthorizationRequired
        | Error::PasswordAuthFailure(_)
        | Error::ConnectionNotAllowedByRuleset
        | Error::CommandNotSupported
        | Error::InvalidAuthValues(_) => Failure::refused(true, said(&error)),
        Error::GeneralSocksServerFailure
        | Error::NetworkUnreachable
        | Error::HostUnreachable
        | Error::ConnectionRefused
        | Error::TtlExpired
        | Error::AddressTypeNotSupported => Failure::refused(false, said(&error)),
        _ => Failure::broken(io::Error::new(io::ErrorKind::InvalidData, said(&error))),
    }
}

/// The library's words in the form of an error's source: with a small letter.
fn said(error: &Error) -> String {
    match error {
        Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
            "it asks for a user and a password, or for others than these".to_owned()
        }
        Error::PasswordAuthFailure(_) => "it does not accept the user and the password".to_owned(),
        Error::GeneralSocksServerFailure => "it answered: general failure".to_owned(),
        Error::TtlExpired => "it answered: TTL expired".to_owned(),
        Error::InvalidResponseVersion
        | Error::UnknownAuthMethod
        | Error::InvalidTargetAddress(_) => "it does not answer as a SOCKS5 proxy does".to_owned(),
        other => format!("it answered: {}", other.to_string().to_lowercase()),
    }
}

/// A stream that is flushed before it is read: what speaks SOCKS5 flushes nothing.
struct Flushed {
    stream: Stream,
    is_unflushed: bool,
}

impl AsyncRead for Flushed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Flushed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_unflushed = true;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
