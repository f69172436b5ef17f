//! The errors of a deadpool manager.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use ::deadpool::managed::RecycleError;

use crate::pool::error::AcquireError;

/// Why a deadpool manager did not make or recycle a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeadpoolError<E> {
    /// The manager's own error. `Display` and `source()` are passed through.
    Manager(E),
    /// The manager's reason for not recycling a connection.
    NotRecycled(Cow<'static, str>),
}

impl<E> DeadpoolError<E> {
    pub(super) fn of_recycle<R>(error: RecycleError<R>, map: fn(R) -> E) -> Self {
        match error {
            RecycleError::Backend(error) => DeadpoolError::Manager(map(error)),
            RecycleError::Message(words) => DeadpoolError::NotRecycled(words),
        }
    }
}

/// Lets `?` convert the manager's own error in a function that returns the pool's.
impl<E> From<E> for AcquireError<DeadpoolError<E>> {
    fn from(error: E) -> Self {
        AcquireError::from(DeadpoolError::Manager(error))
    }
}

impl<E: fmt::Display> fmt::Display for DeadpoolError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeadpoolError::Manager(error) => error.fmt(f),
            DeadpoolError::NotRecycled(words) => write!(f, "it was not recycled: {words}"),
        }
    }
}

impl<E: Error> Error for DeadpoolError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            DeadpoolError::Manager(error) => error.source(),
            DeadpoolError::NotRecycled(_) => None,
        }
    }
}
