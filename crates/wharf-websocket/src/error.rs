//! The errors of connections.

use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use wharf::connector::with_cause;
use wharf::transport;

use super::tls_or_none as tls;

/// Why a connection could not be made, or has ended.
///
/// Clones are cheap: every use of a failed connection gets the same error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The key is not a URL that can be dialed.
    Url {
        /// The key, without user, password and query.
        url: String,
        /// What is wrong with the key.
        reason: String,
    },
    /// The host could not be resolved, or does not answer.
    Connect(Arc<io::Error>),
    /// The TLS handshake failed, for example because of an untrusted certificate.
    Tls(Arc<io::Error>),
    /// The server refused the upgrade. [`status`](Error::status) is its answer, if it sent
    /// one.
    Handshake(Arc<tungstenite::Error>),
    /// The connection broke: it ended without a close frame, or the peer violated the protocol.
    Broken(Arc<tungstenite::Error>),
    /// The peer did not answer several heartbeats in a row and is considered dead.
    Silent {
        /// The number of heartbeats without an answer.
        missed: u32,
    },
    /// One side closed the connection, with this frame if the peer sent one.
    Closed(Option<CloseFrame>),
    /// Unread messages have to be read first: before a request, because its answer could not be
    /// told from them; before a ping, if they fill the connection's buffer.
    Unread,
    /// A message arrived that nobody had asked for: while the connection was idle, or before its borrower
    /// first used it.
    Unasked,
    /// The runtime in which the connection was dialed has ended.
    RuntimeEnded,
}

impl Error {
    /// Returns the HTTP status with which the server refused the upgrade.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Handshake(error) => match &**error {
                tungstenite::Error::Http(response) => Some(response.status()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether another dial may help. It does not help against a bad URL, a rejected
    /// certificate, or a server that says that the request is wrong.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Url { .. } => false,
            Error::Connect(error) => transport::is_retryable(error),
            Error::Tls(error) => tls::is_retryable(error),
            Error::Handshake(_) => self.status().is_none_or(may_mend),
            _ => true,
        }
    }

    /// Returns whether a connection that has ended so has failed, which its peer's other
    /// connections may have, too.
    pub(super) fn is_failure(&self) -> bool {
        use CloseCode::{Again, Protocol, Restart};
        match self {
            Error::Broken(_) | Error::Silent { .. } => true,
            Error::Closed(Some(frame)) => {
                matches!(frame.code, CloseCode::Error | Protocol | Restart | Again)
            }
            _ => false,
        }
    }

    pub(super) fn broken(error: tungstenite::Error) -> Self {
        Error::Broken(Arc::new(error))
    }
}

/// These three client errors are about the moment, not about the request.
fn may_mend(status: StatusCode) -> bool {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || passing.contains(&status)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Url { url, reason } => {
                write!(f, "{url:?} cannot be dialed: it {reason}")
            }
            Error::Connect(cause) => {
                f.write_str(&with_cause("the host could not be reached", &**cause))
            }
            Error::Tls(cause) => f.write_str(&with_cause("the TLS handshake failed", &**cause)),
            Error::Handshake(cause) => match self.status() {
                Some(status) => write!(f, "the server refused the upgrade with status {status}"),
                None => f.write_str(&with_cause("the upgrade to a WebSocket failed", &**cause)),
            },
            Error::Broken(cause) => f.write_str(&with_cause("the connection broke", &**cause)),
            Error::Silent { missed } => {
                write!(f, "the peer is silent: {missed} heartbeats in a row without an answer")
            }
            Error::Closed(None) => f.write_str("the connection is closed"),
            Error::Closed(Some(frame)) => {
                write!(f, "the peer closed the connection with code {}", frame.code)?;
                if frame.reason.is_empty() { Ok(()) } else { write!(f, ": {}", frame.reason) }
            }
            Error::Unread => f.write_str("there are unread messages: read them first"),
            Error::Unasked => f.write_str("a message arrived while nobody used the connection"),
            Error::RuntimeEnded => f.write_str("the runtime that dialed the connection has ended"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Connect(error) | Error::Tls(error) => Some(&**error),
            Error::Handshake(error) | Error::Broken(error) => Some(&**error),
            _ => None,
        }
    }
}
