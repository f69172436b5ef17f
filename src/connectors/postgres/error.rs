//! The errors of dials, pings and resets.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::failure;
use crate::pool::error::AcquireError;
use crate::runtime::failure::with_cause;

/// An error of the user's own code.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a connection could not be made, or failed a ping or a reset.
#[derive(Debug)]
#[non_exhaustive]
pub enum PostgresError {
    /// The closure of [`with_config`](super::PostgresConnector::with_config) failed.
    Config(BoxError),
    /// An error of tokio-postgres: the server's answer, or the system's error. `Display` and
    /// `source()` are passed through.
    Postgres(Error),
    /// The closure of [`on_connect`](super::PostgresConnector::on_connect) failed.
    OnConnect(BoxError),
    /// The server has become read-only, and `target_session_attrs` requires one that is not.
    ReadOnly,
    /// [`Reset::Discard`](super::Reset::Discard) was combined with
    /// [`transaction_pooling`](super::PostgresConnector::transaction_pooling), where there is no
    /// session to discard.
    DiscardWithoutSession,
}

impl PostgresError {
    /// Returns the server's SQLSTATE, if the server refused something, also in the closure of
    /// `on_connect`.
    pub fn code(&self) -> Option<&SqlState> {
        self.postgres()?.code()
    }

    /// Returns whether another dial may help. A failure of a user's closure may be temporary.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            PostgresError::DiscardWithoutSession => false,
            _ => self.postgres().is_none_or(failure::is_retryable),
        }
    }

    fn postgres(&self) -> Option<&Error> {
        match self {
            PostgresError::Postgres(error) => Some(error),
            PostgresError::OnConnect(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl From<Error> for PostgresError {
    fn from(error: Error) -> Self {
        PostgresError::Postgres(error)
    }
}

/// Lets `?` convert the errors of acquiring and of queries in one function.
impl From<Error> for AcquireError<PostgresError> {
    fn from(error: Error) -> Self {
        PostgresError::from(error).into()
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PostgresError::Config(cause) => {
                f.write_str(&with_cause("with_config failed", &**cause))
            }
            PostgresError::Postgres(error) => error.fmt(f),
            PostgresError::OnConnect(cause) => {
                f.write_str(&with_cause("on_connect failed", &**cause))
            }
            PostgresError::ReadOnly => f.write_str("the server has become read-only"),
            PostgresError::DiscardWithoutSession => {
                f.write_str("Reset::Discard needs a session, and transaction pooling has none")
            }
        }
    }
}

impl StdError for PostgresError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            PostgresError::Config(error) | PostgresError::OnConnect(error) => Some(&**error),
            PostgresError::Postgres(error) => error.source(),
            PostgresError::ReadOnly | PostgresError::DiscardWithoutSession => None,
        }
    }
}
