//! The errors, one type for each operation.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::shown_host::of_host;
use super::timeout_report::TimeoutReport;
use crate::policy::acquire_failure::AcquireFailure;
use crate::runtime::failure::{DialFailure, in_full, limit_in_words, typed};

/// Why [`acquire`](crate::Pool::acquire) returned no connection.
///
/// `Display` is one line that names the host, the limit that was exceeded, and the cause;
/// `source()` is that cause.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use wharf::{Pool, connector_fn};
/// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
/// use std::time::Duration;
/// use wharf::AcquireError;
///
/// # let pool = Pool::builder().max_per_host(1).build(connector)?;
/// # let _held = pool.acquire("db-1").await?;
/// match pool.acquire_timeout("db-1", Duration::from_secs(1)).await {
///     Ok(connection) => println!("{}", *connection),
///     Err(AcquireError::Timeout(report)) => {
///         // Its `Display` says all of this in one line.
///         println!("{} of {} in use", report.in_use, report.max);
///         println!("longest held: {}", report.loans[0].place);
///     }
///     Err(AcquireError::Connect(error)) => println!("the host does not want us: {error}"),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError<E> {
    /// The time-out passed. The report says how the time was spent, and `source()` is the last
    /// dial's error, if there is one.
    Timeout(TimeoutReport<E>),
    /// A dial failed, and nothing else could serve the caller. All callers that waited share the error.
    Connect(ConnectFailed<E>),
    /// A dial took longer than [`connect_timeout`](crate::Builder::connect_timeout), and nothing
    /// else could serve the caller.
    ConnectTimeout(AtHost<Duration>),
    /// The connector's `connect` panicked, and nothing else could serve the caller.
    ConnectorPanicked(AtHost<()>),
    /// [`max_waiters_per_host`](crate::Builder::max_waiters_per_host) callers were waiting already.
    QueueFull(AtHost<usize>),
    /// The pool is closed.
    Closed,
    /// A connection had to be dialed, but the future was polled outside a tokio runtime and the
    /// pool has never seen one.
    NoRuntime,
    /// The borrower's own error: `?` converts the connector's error into it in a function that
    /// returns this type. An acquire never ends with it.
    Borrower(Arc<E>),
}

/// Converts the errors of a connection's methods, in functions that both acquire a connection and
/// use it.
///
/// # Examples
///
/// ```
/// # use std::io::{Error, Read};
/// # use wharf::{AcquireError, Connector, Pool};
/// async fn greeting<C>(pool: &Pool<C>) -> Result<String, AcquireError<Error>>
/// where
///     C: Connector<Key = String, Error = Error>,
///     C::Connection: Read,
/// {
///     let mut connection = pool.acquire("greeter").await?; // why there is no connection
///     let mut words = String::new();
///     connection.read_to_string(&mut words)?; // AcquireError::Borrower
///     Ok(words)
/// }
/// ```
impl<E> From<E> for AcquireError<E> {
    fn from(error: E) -> Self {
        AcquireError::Borrower(Arc::new(error))
    }
}

impl<E: Error> fmt::Display for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::Timeout(report) => report.fmt(f),
            AcquireError::Connect(failed) => failed.fmt(f),
            AcquireError::ConnectTimeout(at) => dial_too_slow(f, at.key(), *at.limit()),
            AcquireError::ConnectorPanicked(at) => dial_panicked(f, at.key()),
            AcquireError::QueueFull(at) => write!(
                f,
                "the queue{} is full: max_waiters_per_host ({}) callers wait already; raise \
                 max_per_host or look for loans that are never returned",
                of_host(" for ", at.key()),
                at.limit()
            ),
            AcquireError::Closed => f.write_str("the pool is closed"),
            AcquireError::NoRuntime => f.write_str(NO_RUNTIME),
            AcquireError::Borrower(error) => f.write_str(&in_full(&**error)),
        }
    }
}

const NO_RUNTIME: &str = "a dial needs a tokio runtime, and this thread is not in one";

fn dial_too_slow(f: &mut fmt::Formatter<'_>, key: &str, limit: Duration) -> fmt::Result {
    write!(
        f,
        "the dial{} took longer than connect_timeout ({}); raise it or look at the network",
        of_host(" to ", key),
        limit_in_words(limit)
    )
}

fn dial_panicked(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    let host = of_host(" ", key);
    write!(f, "the connector panicked while dialing{host}; the panic hook has said why")
}

impl<E: Error + Send + Sync + 'static> Error for AcquireError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AcquireError::Timeout(report) => report.dial_error().map(as_source),
            AcquireError::Connect(failed) => Some(as_source(&**failed)),
            AcquireError::Borrower(error) => Some(as_source(&**error)),
            _ => None,
        }
    }
}

impl<E> AcquireError<E> {
    /// Returns the kind that observers and metrics count.
    pub(super) fn kind(&self) -> AcquireFailure {
        match self {
            AcquireError::Timeout(_) => AcquireFailure::TimedOut,
            AcquireError::QueueFull { .. } => AcquireFailure::QueueFull,
            AcquireError::Closed => AcquireFailure::Closed,
            AcquireError::NoRuntime => AcquireFailure::NoRuntime,
            _ => AcquireFailure::Dial,
        }
    }

    pub(super) fn of_dial(failure: DialFailure, key: Box<str>) -> Self
    where
        E: Send + Sync + 'static,
    {
        match failure {
            DialFailure::Error(error) => {
                AcquireError::Connect(ConnectFailed::new(key, typed(error)))
            }
            DialFailure::TimedOut(limit) => AcquireError::ConnectTimeout(AtHost::new(key, limit)),
            DialFailure::Panicked => AcquireError::ConnectorPanicked(AtHost::new(key, ())),
        }
    }
}

/// Returns a dial's error as a trait object, for `source()`.
fn as_source<E: Error + 'static>(error: &E) -> &(dyn Error + 'static) {
    error
}

/// The host that an error is about, and the limit that was exceeded.
#[derive(Debug)]
pub struct AtHost<L>(Box<(Box<str>, L)>);

impl<L> AtHost<L> {
    /// Boxed, so that a rare variant does not enlarge every result.
    pub(super) fn new(key: Box<str>, limit: L) -> Self {
        AtHost(Box::new((key, limit)))
    }

    /// Returns the host's key, in its `Debug` form.
    pub fn key(&self) -> &str {
        &self.0.0
    }

    /// Returns the limit as it was set.
    pub fn limit(&self) -> &L {
        &self.0.1
    }
}

/// A failed dial: the host, and the connector's error, to which it derefs.
#[derive(Debug)]
pub struct ConnectFailed<E> {
    /// Boxed, so that a rare variant does not enlarge every result.
    failed: Box<(Box<str>, Arc<E>)>,
}

impl<E> ConnectFailed<E> {
    fn new(key: Box<str>, error: Arc<E>) -> Self {
        ConnectFailed { failed: Box::new((key, error)) }
    }

    /// Returns the host's key, in its `Debug` form.
    pub fn key(&self) -> &str {
        &self.failed.0
    }

    /// Returns the connector's error, which all waiting callers share.
    pub fn error(&self) -> &Arc<E> {
        &self.failed.1
    }
}

impl<E> Deref for ConnectFailed<E> {
    type Target = E;

    fn deref(&self) -> &E {
        self.error()
    }
}

impl<E: Error> fmt::Display for ConnectFailed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection{}: {}", of_host(" to ", self.key()), in_full(&**self))
    }
}

/// Why [`warm`](crate::Pool::warm) did not reach the requested number.
#[derive(Debug)]
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

impl<E: Error> fmt::Display for WarmError<E> {
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

impl<E: Error + Send + Sync + 'static> Error for WarmError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WarmError::Connect(failed) => Some(as_source(&**failed)),
            _ => None,
        }
    }
}

impl<E> WarmError<E> {
    pub(super) fn of_dial(failure: DialFailure, key: Box<str>) -> Self
    where
        E: Send + Sync + 'static,
    {
        match failure {
            DialFailure::Error(error) => WarmError::Connect(ConnectFailed::new(key, typed(error))),
            DialFailure::TimedOut(limit) => WarmError::ConnectTimeout { key, limit },
            DialFailure::Panicked => WarmError::ConnectorPanicked { key },
        }
    }
}

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
