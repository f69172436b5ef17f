//! The errors of connections.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::connectors::{tcp, tls};
use crate::runtime::failure::with_cause;

/// Why a connection could not be made, or has ended.
///
/// Clones are cheap: every use of a failed connection gets the same error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WebSocketError {
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
    /// The server refused the upgrade. [`status`](WebSocketError::status) is its answer, if it sent
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
    /// The runtime in which the connection was dialed has ended.
    RuntimeEnded,
}

impl WebSocketError {
    /// Returns the HTTP status with which the server refused the upgrade.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            WebSocketError::Handshake(error) => match &**error {
                tungstenite::Error::Http(response) => Some(response.status()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether another dial may help. It does not help against a bad URL, a rejected
    /// certificate, or a server that says that the request is wrong.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            WebSocketError::Url { .. } => false,
            WebSocketError::Connect(error) => tcp::is_retryable(error),
            WebSocketError::Tls(error) => tls::is_retryable(error),
            WebSocketError::Handshake(_) => self.status().is_none_or(may_mend),
            _ => true,
        }
    }

    /// Returns whether a connection that has ended so has failed, which its peer's other
    /// connections may have, too.
    pub(super) fn is_failure(&self) -> bool {
        use CloseCode::{Again, Error, Protocol, Restart};
        match self {
            WebSocketError::Broken(_) | WebSocketError::Silent { .. } => true,
            WebSocketError::Closed(Some(frame)) => {
                matches!(frame.code, Error | Protocol | Restart | Again)
            }
            _ => false,
        }
    }

    pub(super) fn broken(error: tungstenite::Error) -> Self {
        WebSocketError::Broken(Arc::new(error))
    }
}

/// These three client errors are about the moment, not about the request.
fn may_mend(status: StatusCode) -> bool {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || passing.contains(&status)
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WebSocketError::Url { url, reason } => {
                write!(f, "{url:?} cannot be dialed: it {reason}")
            }
            WebSocketError::Connect(cause) => {
                f.write_str(&with_cause("the host could not be reached", &**cause))
            }
            WebSocketError::Tls(cause) => {
                f.write_str(&with_cause("the TLS handshake failed", &**cause))
            }
            WebSocketError::Handshake(cause) => match self.status() {
                Some(status) => write!(f, "the server refused the upgrade with status {status}"),
                None => f.write_str(&with_cause("the upgrade to a WebSocket failed", &**cause)),
            },
            WebSocketError::Broken(cause) => {
                f.write_str(&with_cause("the connection broke", &**cause))
            }
            WebSocketError::Silent { missed } => {
                write!(f, "the peer is silent: {missed} heartbeats in a row without an answer")
            }
            WebSocketError::Closed(None) => f.write_str("the connection is closed"),
            WebSocketError::Closed(Some(frame)) => {
                write!(f, "the peer closed the connection with code {}", frame.code)?;
                if frame.reason.is_empty() { Ok(()) } else { write!(f, ": {}", frame.reason) }
            }
            WebSocketError::Unread => f.write_str("there are unread messages: read them first"),
            WebSocketError::RuntimeEnded => {
                f.write_str("the runtime that dialed the connection has ended")
            }
        }
    }
}

impl Error for WebSocketError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WebSocketError::Connect(error) | WebSocketError::Tls(error) => Some(&**error),
            WebSocketError::Handshake(error) | WebSocketError::Broken(error) => Some(&**error),
            _ => None,
        }
    }
}
