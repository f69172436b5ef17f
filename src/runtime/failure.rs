//! How a dial failed.

use std::fmt;
use std::sync::Arc;

/// How a dial failed. Everybody who waited for it shares the error.
#[derive(Debug)]
pub(crate) enum DialFailure<E> {
    Error(Arc<E>),
    TimedOut,
    Panicked,
}

impl<E> Clone for DialFailure<E> {
    fn clone(&self) -> Self {
        match self {
            DialFailure::Error(error) => DialFailure::Error(error.clone()),
            DialFailure::TimedOut => DialFailure::TimedOut,
            DialFailure::Panicked => DialFailure::Panicked,
        }
    }
}

impl<E: fmt::Display> fmt::Display for DialFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialFailure::Error(error) => error.fmt(f),
            DialFailure::TimedOut => f.write_str("connect_timeout passed"),
            DialFailure::Panicked => f.write_str("the connector panicked"),
        }
    }
}
