//! The errors of dials and calls.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use http::Uri;
use tonic::{Code, Status};

use crate::connectors::http::retry::cause;
use crate::pool::error::AcquireError;

use crate::connectors::{tcp, tls};

use crate::runtime::failure::with_cause;

/// Why a dial or a health check failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum GrpcError {
    /// The URI cannot be dialed.
    InvalidUri {
        /// The key, without credentials and query.
        uri: Uri,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The TCP connection could not be made.
    Connect(io::Error),
    /// The TLS handshake failed, for example because of an untrusted certificate.
    Tls(io::Error),
    /// The server does not offer HTTP/2 over TLS.
    NoHttp2,
    /// The HTTP/2 handshake failed.
    Handshake(hyper::Error),
    /// The server ended the connection before it had sent its settings: it does not speak HTTP/2,
    /// or it is shutting down.
    NoSettings,
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

impl GrpcError {
    /// A bad URI, an untrusted certificate or a server without HTTP/2 will fail again.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            GrpcError::InvalidUri { .. } | GrpcError::NoHttp2 => false,
            GrpcError::Connect(error) => tcp::is_retryable(error),
            GrpcError::Tls(error) => tls::is_retryable(error),
            _ => true,
        }
    }
}

impl fmt::Display for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrpcError::InvalidUri { uri, reason } => write!(f, "the URI {uri} {reason}"),
            GrpcError::Connect(cause) => {
                f.write_str(&with_cause("the server could not be reached", cause))
            }
            GrpcError::Tls(cause) => f.write_str(&with_cause("the TLS handshake failed", cause)),
            GrpcError::NoHttp2 => f.write_str("the server does not offer HTTP/2 over TLS"),
            GrpcError::Handshake(cause) => {
                f.write_str(&with_cause("the HTTP/2 handshake failed", cause))
            }
            GrpcError::NoSettings => f.write_str(
                "the server ended the connection before it sent HTTP/2 settings; \
                 it may not speak HTTP/2 on this port, or expect TLS",
            ),
            GrpcError::Silent => f.write_str("the server does not answer any more"),
            GrpcError::Check(cause) => f.write_str(&with_cause("the health check failed", cause)),
            GrpcError::NotServing { service } if service.is_empty() => {
                f.write_str("the server says that it does not serve")
            }
            GrpcError::NotServing { service } => {
                write!(f, "the server says that {service} does not serve")
            }
        }
    }
}

impl Error for GrpcError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            GrpcError::Connect(error) | GrpcError::Tls(error) => Some(error),
            GrpcError::Handshake(error) => Some(error),
            GrpcError::Check(status) => Some(status),
            GrpcError::InvalidUri { .. }
            | GrpcError::NoHttp2
            | GrpcError::NoSettings
            | GrpcError::Silent
            | GrpcError::NotServing { .. } => None,
        }
    }
}

/// Returns the status of a call whose connection failed. The status of a stream that the server
/// reset follows gRPC's protocol.
pub(super) fn status(error: hyper::Error) -> Status {
    let reset = cause::<h2::Error>(&error).filter(|error| error.is_reset());
    let code = match reset.and_then(h2::Error::reason) {
        None | Some(h2::Reason::REFUSED_STREAM) => Code::Unavailable,
        Some(h2::Reason::CANCEL) => Code::Cancelled,
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(h2::Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
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
pub(super) fn no_lease(error: AcquireError<GrpcError>) -> Status {
    with_source(Status::unavailable(error.to_string()), error)
}

fn with_source(mut status: Status, source: impl Error + Send + Sync + 'static) -> Status {
    status.set_source(Arc::new(source));
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_it_is_and_names_its_cause_once() {
        let uri = Uri::from_static("ftp://files.example");
        let not_serving = |service: &str| GrpcError::NotServing { service: service.to_owned() };
        let cases = [
            (
                GrpcError::InvalidUri { uri, reason: "is wrong" },
                "the URI ftp://files.example/ is wrong",
                false,
            ),
            (
                GrpcError::Connect(io::ErrorKind::ConnectionRefused.into()),
                "the server could not be reached: connection refused",
                true,
            ),
            (
                GrpcError::Tls(io::ErrorKind::InvalidData.into()),
                "the TLS handshake failed: invalid data",
                true,
            ),
            (GrpcError::NoHttp2, "the server does not offer HTTP/2 over TLS", false),
            (
                GrpcError::NoSettings,
                "the server ended the connection before it sent HTTP/2 settings; \
                 it may not speak HTTP/2 on this port, or expect TLS",
                false,
            ),
            (GrpcError::Silent, "the server does not answer any more", false),
            (
                GrpcError::Check(Status::internal("no")),
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
    fn what_no_retry_mends_is_told() {
        let uri = Uri::from_static("/no/host");
        assert!(!GrpcError::InvalidUri { uri, reason: "is wrong" }.is_retryable());
        assert!(!GrpcError::NoHttp2.is_retryable());
        assert!(!GrpcError::Tls(io::ErrorKind::InvalidData.into()).is_retryable());
        assert!(GrpcError::Tls(io::ErrorKind::UnexpectedEof.into()).is_retryable());
        assert!(!GrpcError::Connect(io::ErrorKind::Unsupported.into()).is_retryable());
        assert!(GrpcError::NoSettings.is_retryable());
        assert!(GrpcError::Connect(io::ErrorKind::ConnectionRefused.into()).is_retryable());
    }
}
