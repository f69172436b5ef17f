//! What can go wrong.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use super::Origin;
use super::interim::MAX_INTERIM;
use crate::connectors::tls;
use crate::pool::error::AcquireError;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request was not answered, or its answer was not read to the end.
///
/// The text says which host it was; `source()` and its sources say why.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be sent as it is. The text says what is wrong with it.
    Request(String),
    /// The request's body failed while it was read into memory.
    RequestBody(BoxError),
    /// There was no connection to send it on.
    Acquire {
        /// Where to.
        origin: Origin,
        /// Why not.
        source: AcquireError<ConnectError>,
    },
    /// The request's body failed while it was sent, or was not as long as its `content-length` says.
    Upload {
        /// The peer.
        origin: Origin,
        /// What happened.
        source: BoxError,
    },
    /// The connection failed before an answer began, or the peer refused the request.
    Exchange {
        /// The peer.
        origin: Origin,
        /// What happened.
        source: hyper::Error,
    },
    /// More than eight interim (1xx) answers came, and no answer.
    Interim {
        /// The peer.
        origin: Origin,
    },
    /// The head of the answer did not come within
    /// [`response_header_timeout`](super::ClientBuilder::response_header_timeout).
    HeaderTimeout {
        /// The peer.
        origin: Origin,
        /// How long it had.
        limit: Duration,
    },
    /// The request, with its answer, took longer than [`timeout`](super::ClientBuilder::timeout).
    Timeout {
        /// The peer.
        origin: Origin,
        /// How long it had.
        limit: Duration,
    },
    /// The answer's body broke off.
    Body {
        /// The peer.
        origin: Origin,
        /// What happened.
        source: hyper::Error,
    },
}

impl Error {
    /// Whether a time limit of the client or of its pool ran out: that of the whole request, of the
    /// head of its answer, or of the wait for a connection.
    pub fn is_timeout(&self) -> bool {
        use AcquireError::{ConnectTimeout, Timeout};
        match self {
            Error::HeaderTimeout { .. } | Error::Timeout { .. } => true,
            Error::Acquire { source, .. } => matches!(source, Timeout(_) | ConnectTimeout),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Request(reason) => write!(f, "the request cannot be sent: {reason}"),
            Error::RequestBody(_) => f.write_str("the body of the request failed"),
            Error::Acquire { origin, .. } => write!(f, "no connection to {origin}"),
            Error::Exchange { origin, .. } => write!(f, "{origin} did not answer the request"),
            Error::Upload { origin, .. } => {
                write!(f, "the request to {origin} could not be completed")
            }
            Error::Interim { origin } => {
                write!(f, "{origin} sent more than {MAX_INTERIM} interim answers before its answer")
            }
            Error::HeaderTimeout { origin, limit } => {
                write!(
                    f,
                    "{origin} did not begin its answer within {limit:?} (response_header_timeout)"
                )
            }
            Error::Timeout { origin, limit } => {
                write!(f, "the exchange with {origin} took longer than {limit:?} (timeout)")
            }
            Error::Body { origin, .. } => write!(f, "the answer of {origin} broke off"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Request(_)
            | Error::Interim { .. }
            | Error::HeaderTimeout { .. }
            | Error::Timeout { .. } => None,
            Error::RequestBody(source) | Error::Upload { source, .. } => Some(&**source),
            Error::Acquire { source, .. } => Some(source),
            Error::Exchange { source, .. } | Error::Body { source, .. } => Some(source),
        }
    }
}

/// Why a connection could not be made, or is not open any more.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address, or none answers.
    Tcp(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
    /// The host's name cannot be in a certificate.
    HostName(tokio_rustls::rustls::pki_types::InvalidDnsNameError),
    /// The server did not choose HTTP/2, and [`Protocol::Http2`](super::Protocol::Http2) is set.
    NoHttp2,
    /// The HTTP handshake failed.
    Handshake(hyper::Error),
    /// A connection that was pinged has ended, or its peer has not answered in time.
    Ended,
}

impl ConnectError {
    /// A name that is not valid, a certificate that is not trusted and a server without HTTP/2 stay
    /// so.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            ConnectError::Tcp(error) => error.kind() != io::ErrorKind::InvalidInput,
            ConnectError::Tls(error) => tls::is_retryable(error),
            ConnectError::HostName(_) | ConnectError::NoHttp2 => false,
            ConnectError::Handshake(_) | ConnectError::Ended => true,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectError::Tcp(_) => "the host could not be reached",
            ConnectError::Tls(_) => "the TLS handshake failed",
            ConnectError::HostName(_) => "the host's name cannot be verified",
            ConnectError::NoHttp2 => {
                "the server did not choose HTTP/2, which Protocol::Http2 needs"
            }
            ConnectError::Handshake(_) => "the HTTP handshake failed",
            ConnectError::Ended => "the connection has ended",
        })
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ConnectError::Tcp(error) | ConnectError::Tls(error) => Some(error),
            ConnectError::HostName(error) => Some(error),
            ConnectError::Handshake(error) => Some(error),
            ConnectError::NoHttp2 | ConnectError::Ended => None,
        }
    }
}
