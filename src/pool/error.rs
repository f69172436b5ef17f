//! Why an acquire returned no connection.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::connector_error::ConnectorError;
use super::shown_host::of_host;
use super::timeout_report::TimeoutReport;
use crate::policy::acquire_failure::AcquireFailure;
use crate::runtime::failure::{DialError, DialFailure, in_full, limit_in_words};

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
/// match pool.acquire_within("db-1", Duration::from_secs(1)).await {
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
#[non_exhaustive]
pub enum AcquireError<E> {
    /// The time-out passed. The report says how the time was spent, and `source()` is the last
    /// dial's error, if there is one.
    Timeout(TimeoutReport),
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
    Borrower(ConnectorError<E>),
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
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for AcquireError<E> {
    fn from(error: E) -> Self {
        AcquireError::Borrower(ConnectorError::from(error))
    }
}

impl<E> fmt::Display for AcquireError<E> {
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
            AcquireError::Borrower(error) => f.write_str(&in_full(error.as_error())),
        }
    }
}

pub(super) const NO_RUNTIME: &str = "a dial needs a tokio runtime, and this thread is not in one";

pub(super) fn dial_too_slow(f: &mut fmt::Formatter<'_>, key: &str, limit: Duration) -> fmt::Result {
    write!(
        f,
        "the dial{} took longer than connect_timeout ({}); raise it or look at the network",
        of_host(" to ", key),
        limit_in_words(limit)
    )
}

pub(super) fn dial_panicked(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    let host = of_host(" ", key);
    write!(f, "the connector panicked while dialing{host}; the panic hook has said why")
}

impl<E> Error for AcquireError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AcquireError::Timeout(report) => report.dial_error(),
            AcquireError::Connect(failed) => Some(failed.as_source()),
            AcquireError::Borrower(error) => Some(error.as_error()),
            _ => None,
        }
    }
}

impl<E> AcquireError<E> {
    /// Returns whether the same acquire may succeed later: after a time-out, a full queue, a dial that
    /// was too slow, and a dial's error of which the connector says
    /// [so](crate::Connector::is_retryable). Not after a panic of the connector, nor in a closed pool or
    /// without a runtime. False for [`Borrower`](Self::Borrower): only the borrower knows.
    pub fn is_retryable(&self) -> bool {
        match self {
            AcquireError::Timeout(_)
            | AcquireError::ConnectTimeout(_)
            | AcquireError::QueueFull(_) => true,
            AcquireError::Connect(failed) => failed.is_retryable(),
            AcquireError::ConnectorPanicked(_)
            | AcquireError::Closed
            | AcquireError::NoRuntime
            | AcquireError::Borrower(_) => false,
        }
    }

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

    pub(super) fn of_dial(failure: DialFailure, key: Box<str>) -> Self {
        match failure {
            DialFailure::Error(failed) => AcquireError::Connect(ConnectFailed::new(key, failed)),
            DialFailure::TimedOut(limit) => AcquireError::ConnectTimeout(AtHost::new(key, limit)),
            DialFailure::Panicked => AcquireError::ConnectorPanicked(AtHost::new(key, ())),
        }
    }
}

/// Whether `E` can be cloned does not matter: its error is shared.
impl<E> Clone for AcquireError<E> {
    fn clone(&self) -> Self {
        match self {
            AcquireError::Timeout(report) => AcquireError::Timeout(report.clone()),
            AcquireError::Connect(failed) => AcquireError::Connect(failed.clone()),
            AcquireError::ConnectTimeout(at) => AcquireError::ConnectTimeout(at.clone()),
            AcquireError::ConnectorPanicked(at) => AcquireError::ConnectorPanicked(at.clone()),
            AcquireError::QueueFull(at) => AcquireError::QueueFull(at.clone()),
            AcquireError::Closed => AcquireError::Closed,
            AcquireError::NoRuntime => AcquireError::NoRuntime,
            AcquireError::Borrower(error) => AcquireError::Borrower(error.clone()),
        }
    }
}

impl<E> fmt::Debug for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::Timeout(report) => f.debug_tuple("Timeout").field(report).finish(),
            AcquireError::Connect(failed) => f.debug_tuple("Connect").field(failed).finish(),
            AcquireError::ConnectTimeout(at) => f.debug_tuple("ConnectTimeout").field(at).finish(),
            AcquireError::ConnectorPanicked(at) => {
                f.debug_tuple("ConnectorPanicked").field(at).finish()
            }
            AcquireError::QueueFull(at) => f.debug_tuple("QueueFull").field(at).finish(),
            AcquireError::Closed => f.write_str("Closed"),
            AcquireError::NoRuntime => f.write_str("NoRuntime"),
            AcquireError::Borrower(error) => f.debug_tuple("Borrower").field(error).finish(),
        }
    }
}

/// The host that an error is about, and the limit that was exceeded.
#[derive(Clone, Debug)]
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

/// A failed dial: the host, and the connector's error. It derefs to the error's type, if that implements
/// [`Error`].
pub struct ConnectFailed<E> {
    /// Boxed, so that a rare variant does not enlarge every result.
    failed: Box<Failed<E>>,
}

struct Failed<E> {
    key: Box<str>,
    error: ConnectorError<E>,
    is_retryable: bool,
}

impl<E> ConnectFailed<E> {
    pub(super) fn new(key: Box<str>, failed: DialError) -> Self {
        let DialError { error, is_retryable } = failed;
        let failed = Failed { key, error: ConnectorError::new(error), is_retryable };
        ConnectFailed { failed: Box::new(failed) }
    }

    /// Returns the host's key, in its `Debug` form.
    pub fn key(&self) -> &str {
        &self.failed.key
    }

    /// Returns the connector's error, which all waiting callers share.
    pub fn error(&self) -> &ConnectorError<E> {
        &self.failed.error
    }

    /// Returns whether another dial may succeed, as the connector says:
    /// [`Connector::is_retryable`](crate::Connector::is_retryable).
    pub fn is_retryable(&self) -> bool {
        self.failed.is_retryable
    }

    pub(super) fn as_source(&self) -> &(dyn Error + 'static) {
        self.error().as_error()
    }
}

impl<E: Error + Send + Sync + 'static> Deref for ConnectFailed<E> {
    type Target = E;

    fn deref(&self) -> &E {
        self.error()
    }
}

impl<E> Clone for ConnectFailed<E> {
    fn clone(&self) -> Self {
        let Failed { key, error, is_retryable } = &*self.failed;
        let failed = Failed { key: key.clone(), error: error.clone(), is_retryable: *is_retryable };
        ConnectFailed { failed: Box::new(failed) }
    }
}

impl<E> fmt::Debug for ConnectFailed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectFailed")
            .field("key", &self.failed.key)
            .field("error", &self.failed.error)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Display for ConnectFailed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, error) = (of_host(" to ", self.key()), in_full(self.error().as_error()));
        write!(f, "no connection{host}: {error}")
    }
}
