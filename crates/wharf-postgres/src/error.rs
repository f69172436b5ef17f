//! The errors of dials, pings and resets.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::SqlState;
use wharf::connector::with_cause;

use super::failure;

/// An error of the user's own code.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a connection could not be made, or failed a ping or a reset.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The closure of [`builder_by_key`](super::PostgresConnector::builder_by_key) failed.
    Config(BoxError),
    /// An error of tokio-postgres: the server's answer, or the system's error. `Display` and
    /// `source()` are passed through.
    Postgres(tokio_postgres::Error),
    /// The closure of [`on_connect`](super::PostgresBuilder::on_connect) failed.
    OnConnect(BoxError),
    /// The configuration has `sslmode=require`, and the connector has no TLS. Nothing was dialed.
    NoTls,
    /// The server has become read-only, and `target_session_attrs` requires one that is not.
    ReadOnly,
}

const NO_TLS: &str = "sslmode=require needs TLS, and the connector has none: build it with \
                      `tls` (feature `tls` of wharf-postgres) or `tls_by`";

impl Error {
    /// Returns the server's SQLSTATE, if the server refused something, also in the closure of
    /// `on_connect`.
    pub fn code(&self) -> Option<&SqlState> {
        self.postgres()?.code()
    }

    /// Returns whether another dial may help. A failure of a user's closure may be temporary.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::NoTls => false,
            _ => self.postgres().is_none_or(failure::is_retryable),
        }
    }

    fn postgres(&self) -> Option<&tokio_postgres::Error> {
        match self {
            Error::Postgres(error) => Some(error),
            Error::OnConnect(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Error::Postgres(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(cause) => f.write_str(&with_cause("builder_by_key failed", &**cause)),
            Error::Postgres(error) => error.fmt(f),
            Error::OnConnect(cause) => f.write_str(&with_cause("on_connect failed", &**cause)),
            Error::NoTls => f.write_str(NO_TLS),
            Error::ReadOnly => f.write_str("the server has become read-only"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Config(error) | Error::OnConnect(error) => Some(&**error),
            Error::Postgres(error) => error.source(),
            Error::NoTls | Error::ReadOnly => None,
        }
    }
}
