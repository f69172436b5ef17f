//! Why a connection was not added.

use std::error::Error;
use std::fmt;

use super::shown_host::of_host;

/// Why [`add`](crate::Pool::add) did not take a connection. The error contains the connection.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use wharf::{Pool, connector_fn};
/// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
/// let pool = Pool::builder().max_per_host(1).build(connector)?;
/// pool.add("db-1", "one".to_owned())?;
/// let error = pool.add("db-1", "two".to_owned()).unwrap_err();
/// assert_eq!(error.into_connection(), "two");
/// # Ok(()) }
/// ```
#[non_exhaustive]
pub enum AddError<T> {
    /// A cap leaves no room for it.
    #[non_exhaustive]
    Full {
        /// The connection.
        connection: T,
        /// The host's key, in its `Debug` form.
        key: Box<str>,
        /// The host's cap; `usize::MAX` if it has none.
        max: usize,
    },
    /// The pool is closed.
    Closed(T),
    /// It is dead: [`is_open`](crate::Connector::is_open) returned false or panicked.
    #[non_exhaustive]
    NotOpen {
        /// The connection.
        connection: T,
        /// The host's key, in its `Debug` form.
        key: Box<str>,
    },
}

impl<T> AddError<T> {
    /// Returns the connection.
    pub fn into_connection(self) -> T {
        match self {
            AddError::Full { connection, .. }
            | AddError::Closed(connection)
            | AddError::NotOpen { connection, .. } => connection,
        }
    }

    /// Converts the connection inside the error.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> AddError<U> {
        match self {
            AddError::Full { connection, key, max } => {
                AddError::Full { connection: f(connection), key, max }
            }
            AddError::Closed(connection) => AddError::Closed(f(connection)),
            AddError::NotOpen { connection, key } => {
                AddError::NotOpen { connection: f(connection), key }
            }
        }
    }
}

/// Leaves out the connection, which may not be `Debug`.
impl<T> fmt::Debug for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddError::Full { key, max, .. } => {
                f.debug_struct("Full").field("key", key).field("max", max).finish_non_exhaustive()
            }
            AddError::Closed(_) => f.write_str("Closed(..)"),
            AddError::NotOpen { key, .. } => {
                f.debug_struct("NotOpen").field("key", key).finish_non_exhaustive()
            }
        }
    }
}

impl<T> fmt::Display for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddError::Full { key, max, .. } => {
                write!(f, "no room for another connection{}: ", of_host(" to ", key))?;
                if *max != usize::MAX {
                    write!(f, "max_per_host ({max}), ")?;
                }
                f.write_str("max_total or a limit of idle connections is reached")
            }
            AddError::Closed(_) => f.write_str("the pool is closed"),
            AddError::NotOpen { key, .. } => {
                let host = of_host(" to ", key);
                write!(f, "the connection{host} that was to be added is not open")
            }
        }
    }
}

impl<T> Error for AddError<T> {}
