//! The errors of a deadpool manager.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use deadpool::managed::RecycleError;

/// Why a deadpool manager did not make or recycle a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The manager's own error. `Display` and `source()` are passed through.
    Manager(E),
    /// The manager's reason for not recycling a connection.
    NotRecycled(Cow<'static, str>),
}

impl<E> Error<E> {
    pub(super) fn of_recycle<R>(error: RecycleError<R>, map: fn(R) -> E) -> Self {
        match error {
            RecycleError::Backend(error) => Error::Manager(map(error)),
            RecycleError::Message(words) => Error::NotRecycled(words),
        }
    }
}

/// For a borrower's function that returns this error or, after `map_err(Error::from)`, the pool's.
impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Error::Manager(error)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Manager(error) => error.fmt(f),
            Error::NotRecycled(words) => write!(f, "it was not recycled: {words}"),
        }
    }
}

impl<E: StdError> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Manager(error) => error.source(),
            Error::NotRecycled(_) => None,
        }
    }
}
