//! Why a host was not warmed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::error::{ConnectFailed, NO_RUNTIME, dial_panicked, dial_too_slow};
use super::shown_host::of_host;
use crate::runtime::failure::DialFailure;

/// Why [`warm`](crate::Pool::warm) did not reach the requested number.
#[non_exhaustive]
pub enum WarmError<E> {
    /// A dial failed: one of this call, or an earlier one while the host still backs off from it
    /// and does not dial. If the caps leave no room for more connections, the error is
    /// [`NoRoom`](Self::NoRoom).
    Connect(ConnectFailed<E>),
    /// A dial took longer than [`connect_timeout`](crate::Builder::connect_timeout); see
    /// [`Connect`](Self::Connect).
    #[non_exhaustive]
    ConnectTimeout {
        /// The host's key, in its `Debug` form.
        key: Box<str>,
        /// The pool's `connect_timeout`.
        limit: Duration,
    },
    /// The connector's `connect` panicked; see [`Connect`](Self::Connect).
    #[non_exhaustive]
    ConnectorPanicked {
        /// The host's key, in its `Debug` form.
        key: Box<str>,
    },
    /// The caps leave no room for this many connections, or the runtime of a dial has ended. The
    /// connections that could be made are kept.
    #[non_exhaustive]
    NoRoom {
        /// The host's key, in its `Debug` form.
        key: Box<str>,
        /// The requested number.
        wanted: usize,
        /// The host's cap; `usize::MAX` if it has none.
        max: usize,
    },
    /// The pool is closed.
    Closed,
    /// It was polled outside a tokio runtime, and the pool has never seen one.
    NoRuntime,
}

impl<E> fmt::Display for WarmError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WarmError::Connect(failed) => failed.fmt(f),
            WarmError::ConnectTimeout { key, limit } => dial_too_slow(f, key, *limit),
            WarmError::ConnectorPanicked { key } => dial_panicked(f, key),
            WarmError::NoRoom { key, wanted, max } if wanted > max => {
                let host = of_host(" to ", key);
                write!(f, "no room for {wanted} connections{host}: max_per_host is {max}")
            }
            WarmError::NoRoom { key, wanted, .. } => write!(
                f,
                "no room for {wanted} connections{}: max_total or max_dialing leaves none, or the \
                 runtime of a dial has ended",
                of_host(" to ", key)
            ),
            WarmError::Closed => f.write_str("the pool is closed"),
            WarmError::NoRuntime => f.write_str(NO_RUNTIME),
        }
    }
}

/// Its text: that has all there is to know.
impl<E> fmt::Debug for WarmError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WarmError").field(&format_args!("{self}")).finish()
    }
}

impl<E> Error for WarmError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WarmError::Connect(failed) => Some(failed.as_source()),
            _ => None,
        }
    }
}

impl<E> WarmError<E> {
    pub(super) fn of_dial(failure: DialFailure, key: Box<str>) -> Self {
        match failure {
            DialFailure::Error(failed) => WarmError::Connect(ConnectFailed::new(key, failed)),
            DialFailure::TimedOut(limit) => WarmError::ConnectTimeout { key, limit },
            DialFailure::Panicked => WarmError::ConnectorPanicked { key },
        }
    }
}
