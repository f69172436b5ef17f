//! The errors of requests and of connections.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use super::Origin;
use super::interim::MAX_INTERIM;
use crate::tls_or_none as tls;
use wharf::AcquireError;
use wharf::connector::with_cause;
use wharf::transport;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request was not answered, or its response was not read to the end.
///
/// `Display` is one line that names the host and the cause; `source()` is the cause.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be sent as it is. The text says why.
    Request(String),
    /// The request's body failed while it was read into memory.
    RequestBody(BoxError),
    /// The pool had no connection for it.
    Acquire {
        /// The host.
        origin: Origin,
        /// Why the pool had none.
        source: AcquireError<ConnectError>,
    },
    /// The request's body failed while it was sent, or its length differs from the declared one.
    Upload {
        /// The host.
        origin: Origin,
        /// The error of the body, of its own type; for a wrong length, a text.
        source: BoxError,
    },
    /// The connection failed before a response began, or the peer refused the request.
    Exchange {
        /// The host.
        origin: Origin,
        /// The error of the exchange.
        source: hyper::Error,
    },
    /// The server does not speak HTTP/2, and [`Protocol::Http2`](super::Protocol::Http2) is set: it
    /// answered in another protocol, or ended the connection before it had sent its settings.
    NoHttp2 {
        /// The host.
        origin: Origin,
    },
    /// The server ended the new connection, or sent a response on it, before a request was sent; on
    /// HTTP/2 several connections one after the other.
    Ended {
        /// The host.
        origin: Origin,
    },
    /// More than eight interim (1xx) responses arrived before the final one; on HTTP/2, of any
    /// request on the connection, which has ended.
    Interim {
        /// The host.
        origin: Origin,
    },
    /// The head of the response exceeds
    /// [`max_response_head`](super::ClientBuilder::max_response_head) or, on HTTP/1.1,
    /// [`http1_max_headers`](super::ClientBuilder::http1_max_headers).
    HeadTooLarge {
        /// The host.
        origin: Origin,
        /// The most bytes.
        bytes: u32,
        /// The most headers.
        headers: usize,
    },
    /// The head of the response did not come within
    /// [`response_header_timeout`](super::ClientBuilder::response_header_timeout).
    HeaderTimeout {
        /// The host.
        origin: Origin,
        /// The limit.
        limit: Duration,
    },
    /// The request, including its response, took longer than
    /// [`timeout`](super::ClientBuilder::timeout).
    Timeout {
        /// The host.
        origin: Origin,
        /// The limit.
        limit: Duration,
    },
    /// The peer reset the stream of its response before the end (HTTP/2, `NO_ERROR` or `CANCEL`).
    Reset {
        /// The host.
        origin: Origin,
    },
    /// The response's body broke off.
    Body {
        /// The host.
        origin: Origin,
        /// The error of the connection.
        source: hyper::Error,
    },
}

impl Error {
    /// Returns whether a time limit of the client or of its pool expired: that of the whole
    /// request, of the head of its response, or of the wait for a connection.
    pub fn is_timeout(&self) -> bool {
        use AcquireError::{ConnectTimeout, Timeout};
        match self {
            Error::HeaderTimeout { .. } | Error::Timeout { .. } => true,
            Error::Acquire { source, .. } => matches!(source, Timeout(_) | ConnectTimeout { .. }),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Request(reason) => write!(f, "the request cannot be sent: {reason}"),
            Error::RequestBody(cause) => {
                f.write_str(&with_cause("the body of the request failed", &**cause))
            }
            // The cause does not name the host, so the text does.
            Error::Acquire {
                origin,
                source: source @ (AcquireError::Closed | AcquireError::NoRuntime),
            } => {
                let what = format!("no connection to {origin}");
                f.write_str(&with_cause(&what, source))
            }
            Error::Acquire { source, .. } => source.fmt(f),
            Error::Exchange { origin, source } => {
                let what = format!("{origin} did not answer the request");
                f.write_str(&with_cause(&what, source))
            }
            Error::Upload { origin, source } => {
                let what = format!("the request to {origin} could not be completed");
                f.write_str(&with_cause(&what, &**source))
            }
            Error::NoHttp2 { origin } => write!(
                f,
                "{origin} sent no HTTP/2: it may not speak it on this port, or expect TLS"
            ),
            Error::Ended { origin } => write!(
                f,
                "{origin} ended the new connection, or sent something on it, before a request was sent"
            ),
            Error::Interim { origin } => {
                write!(
                    f,
                    "{origin} sent more than {MAX_INTERIM} interim responses before its response"
                )
            }
            Error::HeadTooLarge { origin, bytes, headers } => {
                write!(
                    f,
                    "the head of the response of {origin} is larger than {bytes} bytes \
                     (max_response_head), or has more than {headers} headers (http1_max_headers)"
                )
            }
            Error::HeaderTimeout { origin, limit } => {
                write!(
                    f,
                    "{origin} did not begin its response within {limit:?} (response_header_timeout)"
                )
            }
            Error::Timeout { origin, limit } => {
                write!(f, "the exchange with {origin} took longer than {limit:?} (timeout)")
            }
            Error::Reset { origin } => {
                write!(f, "the response of {origin} broke off: its stream was reset")
            }
            Error::Body { origin, source } => {
                f.write_str(&with_cause(&format!("the response of {origin} broke off"), source))
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Request(_)
            | Error::NoHttp2 { .. }
            | Error::Ended { .. }
            | Error::Interim { .. }
            | Error::HeadTooLarge { .. }
            | Error::Reset { .. }
            | Error::HeaderTimeout { .. }
            | Error::Timeout { .. } => None,
            Error::RequestBody(source) | Error::Upload { source, .. } => Some(&**source),
            Error::Acquire { source, .. } => Some(source),
            Error::Exchange { source, .. } | Error::Body { source, .. } => Some(source),
        }
    }
}

/// Why a connection could not be made, or is no longer open.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host could not be reached: its name has no address, or none of them answers.
    Transport(io::Error),
    /// The TLS handshake failed, for example because of an untrusted certificate.
    Tls(io::Error),
    /// The server does not speak HTTP/2, and nothing else is allowed: it does not offer it over TLS,
    /// or answered in another protocol.
    NoHttp2,
    /// The HTTP handshake failed.
    Handshake(hyper::Error),
    /// The server ended the connection before it had sent its settings: it does not speak HTTP/2,
    /// or it is shutting down.
    NoSettings,
    /// A pinged connection has ended, or its peer did not answer in time.
    Ended,
}

impl ConnectError {
    /// Returns whether another dial may succeed. An invalid name, an untrusted certificate or a
    /// server without HTTP/2 will fail again.
    pub fn is_retryable(&self) -> bool {
        match self {
            ConnectError::Transport(error) => transport::is_retryable(error),
            ConnectError::Tls(error) => tls::is_retryable(error),
            ConnectError::NoHttp2 => false,
            ConnectError::Handshake(_) | ConnectError::NoSettings | ConnectError::Ended => true,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, cause): (_, Option<&dyn StdError>) = match self {
            ConnectError::Transport(cause) => ("the host could not be reached", Some(cause)),
            ConnectError::Tls(cause) => ("the TLS handshake failed", Some(cause)),
            ConnectError::NoHttp2 => ("the server does not speak HTTP/2 on this port", None),
            ConnectError::Handshake(cause) => ("the HTTP handshake failed", Some(cause)),
            ConnectError::NoSettings => (
                "the server ended the connection before it sent HTTP/2 settings; \
                 it may not speak HTTP/2 on this port, or expect TLS",
                None,
            ),
            ConnectError::Ended => ("the connection has ended", None),
        };
        f.write_str(&cause.map_or_else(|| what.to_owned(), |cause| with_cause(what, cause)))
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ConnectError::Transport(error) | ConnectError::Tls(error) => Some(error),
            ConnectError::Handshake(error) => Some(error),
            ConnectError::NoHttp2 | ConnectError::NoSettings | ConnectError::Ended => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_error_that_no_retry_mends_is_not_retryable() {
        let is_retryable =
            |kind: io::ErrorKind| ConnectError::Transport(kind.into()).is_retryable();
        assert!(!is_retryable(io::ErrorKind::Unsupported));
        assert!(!is_retryable(io::ErrorKind::InvalidInput));
        assert!(is_retryable(io::ErrorKind::ConnectionRefused));
    }
}
