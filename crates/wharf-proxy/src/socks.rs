//! A tunnel through a SOCKS5 proxy.

use std::io;
use std::net::SocketAddr;

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
    let to = match address {
        Some(address) => TargetAddr::Ip(address),
        // This checks the length, for which SOCKS5 has one byte.
        None => (to.bare_name(), to.port).into_target_addr().map_err(failure)?,
    };
    let opened = match credentials {
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await
        }
        None => Socks5Stream::connect_with_socket(stream, to).await,
    };
    opened.map(Socks5Stream::into_inner).map_err(failure)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Io(error) => Failure::broken(error),
        Error::NoAcceptableAuthMethods
        | Error::AuthorizationRequired
        | Error::PasswordAuthFailure(_)
        | Error::ConnectionNotAllowedByRuleset
        | Error::CommandNotSupported
        | Error::InvalidTargetAddress(_)
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
        Error::InvalidTargetAddress(reason) => format!("the destination is invalid: {reason}"),
        Error::InvalidResponseVersion | Error::UnknownAuthMethod => {
            "it does not answer as a SOCKS5 proxy does".to_owned()
        }
        other => format!("it answered: {}", other.to_string().to_lowercase()),
    }
}
