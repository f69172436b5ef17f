//! The errors of dials and calls.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::Uri;
use tonic::{Code, Status};
use wharf::AcquireError;
use wharf::connector::with_cause;
use wharf_http::ConnectError;
use wharf_http::conn::reset_code;

/// Why a dial or a health check failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The URI cannot be dialed.
    InvalidUri {
        /// The key, without credentials and query.
        uri: Uri,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The connection could not be made. `Display` and `source()` are passed through.
    Connect(ConnectError),
    /// The server did not answer an HTTP/2 ping, or the connection has ended.
    Silent,
    /// The health check failed.
    Check(Status),
    /// The server reports that the service is not serving.
    NotServing {
        /// The service in the request; empty for the server as a whole.
        service: String,
    },
}

impl Error {
    /// Returns whether another dial may succeed. A bad URI, an untrusted certificate or a server
    /// without HTTP/2 will fail again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::InvalidUri { .. } => false,
            Error::Connect(error) => error.is_retryable(),
            _ => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidUri { uri, reason } => write!(f, "the URI {uri} {reason}"),
            Error::Connect(cause) => cause.fmt(f),
            Error::Silent => f.write_str("the server does not answer any more"),
            Error::Check(cause) => f.write_str(&with_cause("the health check failed", cause)),
            Error::NotServing { service } if service.is_empty() => {
                f.write_str("the server says that it does not serve")
            }
            Error::NotServing { service } => {
                write!(f, "the server says that {service} does not serve")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Connect(error) => error.source(),
            Error::Check(status) => Some(status),
            Error::InvalidUri { .. } | Error::Silent | Error::NotServing { .. } => None,
        }
    }
}

/// The codes of HTTP/2 (RFC 9113, section 7) that gRPC gives a meaning.
mod codes {
    pub(super) const REFUSED_STREAM: u32 = 7;
    pub(super) const CANCEL: u32 = 8;
    pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
    pub(super) const INADEQUATE_SECURITY: u32 = 12;
}

/// Returns the status of a call whose connection failed. The status of a stream that the server
/// reset follows gRPC's protocol.
pub(super) fn status(error: hyper::Error) -> Status {
    let reset = reset_code(&error);
    let code = match reset {
        None | Some(codes::REFUSED_STREAM) => Code::Unavailable,
        Some(codes::CANCEL) => Code::Cancelled,
        Some(codes::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(codes::INADEQUATE_SECURITY) => Code::PermissionDenied,
        Some(_) => Code::Internal,
    };
    let message = if reset.is_some() {
        "the server reset the call's stream"
    } else {
        "the connection ended during the call"
    };
    with_source(Status::new(code, message), error)
}

/// Returns the status of a call that got no lease.
pub(super) fn no_lease(error: AcquireError<Error>) -> Status {
    with_source(Status::unavailable(error.to_string()), error)
}

fn with_source(mut status: Status, source: impl StdError + Send + Sync + 'static) -> Status {
    status.set_source(Arc::new(source));
    status
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_error_says_what_it_is_and_names_its_cause_once() {
        let uri = Uri::from_static("ftp://files.example");
        let not_serving = |service: &str| Error::NotServing { service: service.to_owned() };
        let connect = |error: ConnectError| Error::Connect(error);
        let cases = [
            (
                Error::InvalidUri { uri, reason: "is wrong" },
                "the URI ftp://files.example/ is wrong",
                false,
            ),
            (
                connect(ConnectError::Transport(io::ErrorKind::ConnectionRefused.into())),
                "the host could not be reached: connection refused",
                true,
            ),
            (
                connect(ConnectError::Tls(io::ErrorKind::InvalidData.into())),
                "the TLS handshake failed: invalid data",
                true,
            ),
            (
                connect(ConnectError::NoHttp2),
                "the server does not speak HTTP/2 on this port",
                false,
            ),
            (
                connect(ConnectError::NoSettings),
                "the server ended the connection before it sent HTTP/2 settings; \
                 it may not speak HTTP/2 on this port, or expect TLS",
                false,
            ),
            (Error::Silent, "the server does not answer any more", false),
            (
                Error::Check(Status::internal("no")),
                "the health check failed: code: 'Internal error', message: \"no\"",
                true,
            ),
            (not_serving(""), "the server says that it does not serve", false),
            (not_serving("a.B"), "the server says that a.B does not serve", false),
        ];
        for (error, message, has_source) in cases {
            assert_eq!(error.to_string(), message);
            assert_eq!(error.source().is_some(), has_source, "{error:?}");
        }
    }

    #[test]
    fn errors_that_no_retry_mends_are_not_retryable() {
        let uri = Uri::from_static("/no/host");
        assert!(!Error::InvalidUri { uri, reason: "is wrong" }.is_retryable());
        let is_retryable = |error| Error::Connect(error).is_retryable();
        assert!(!is_retryable(ConnectError::NoHttp2));
        assert!(!is_retryable(ConnectError::Tls(io::ErrorKind::InvalidData.into())));
        #[cfg(feature = "tls")] // Without it nothing but "https needs it" is an error of TLS.
        assert!(is_retryable(ConnectError::Tls(io::ErrorKind::UnexpectedEof.into())));
        assert!(!is_retryable(ConnectError::Transport(io::ErrorKind::Unsupported.into())));
        assert!(is_retryable(ConnectError::NoSettings));
        let refused = io::ErrorKind::ConnectionRefused;
        assert!(is_retryable(ConnectError::Transport(refused.into())));
    }
}
