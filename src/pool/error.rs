//! What can go wrong, one type an operation.

use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, iter};

use super::status::LoanInfo;
use crate::runtime::failure::DialFailure;

/// Why [`acquire`](crate::Pool::acquire) gave no connection.
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
    /// The time was over. The report says what it was spent on, and `source()` is the last dial's
    /// error, when there is one.
    Timeout(TimeoutReport<E>),
    /// A dial failed, and nothing else could serve the caller. All callers that waited share the error.
    Connect(Arc<E>),
    /// A dial took longer than [`connect_timeout`](crate::Builder::connect_timeout), and nothing
    /// else could serve the caller.
    ConnectTimeout,
    /// The connector's `connect` panicked, and nothing else could serve the caller.
    ConnectorPanicked,
    /// [`max_waiters_per_host`](crate::Builder::max_waiters_per_host) callers wait already.
    QueueFull,
    /// The pool is closed.
    Closed,
    /// A connection had to be dialed, but the future was polled outside a tokio runtime and the
    /// pool has never seen one.
    NoRuntime,
}

impl<E> fmt::Display for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::Timeout(report) => report.fmt(f),
            AcquireError::Connect(_) => f.write_str("the connection could not be made"),
            AcquireError::ConnectTimeout => f.write_str(
                "the dial took longer than connect_timeout; raise it or look at the network",
            ),
            AcquireError::ConnectorPanicked => f.write_str("the connector panicked while dialing"),
            AcquireError::QueueFull => {
                f.write_str("the queue is full: max_waiters_per_host callers wait already")
            }
            AcquireError::Closed => f.write_str("the pool is closed"),
            AcquireError::NoRuntime => {
                f.write_str("a dial needs a tokio runtime, and this thread is in none")
            }
        }
    }
}

impl<E: Error + Send + Sync + 'static> Error for AcquireError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AcquireError::Timeout(report) => report.dial_error().map(as_source),
            AcquireError::Connect(error) => Some(as_source(&**error)),
            _ => None,
        }
    }
}

impl<E> From<DialFailure<E>> for AcquireError<E> {
    fn from(failure: DialFailure<E>) -> Self {
        match failure {
            DialFailure::Error(error) => AcquireError::Connect(error),
            DialFailure::TimedOut => AcquireError::ConnectTimeout,
            DialFailure::Panicked => AcquireError::ConnectorPanicked,
        }
    }
}

/// A dial's error as a plain trait object, for `source()`.
fn as_source<E: Error + 'static>(error: &E) -> &(dyn Error + 'static) {
    error
}

/// What a caller was waiting for when its time was over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Phase {
    /// A connection that returns: none was idle, and neither a dial nor a ping was in flight.
    Queue,
    /// A dial was in flight.
    Dial,
    /// An idle connection was being pinged or reset, and no dial was in flight.
    Ping,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Queue => "a connection",
            Phase::Dial => "a dial",
            Phase::Ping => "a ping",
        })
    }
}

/// Why an acquire timed out. Its parts are the fields of [`TimeoutDetails`], to which it derefs:
/// `report.in_use`.
pub struct TimeoutReport<E>(Box<TimeoutDetails<E>>);

impl<E> TimeoutReport<E> {
    /// In a box, so that what is rare does not make every result large.
    pub(crate) fn new(details: TimeoutDetails<E>) -> Self {
        TimeoutReport(Box::new(details))
    }
}

impl<E> Deref for TimeoutReport<E> {
    type Target = TimeoutDetails<E>;

    fn deref(&self) -> &TimeoutDetails<E> {
        &self.0
    }
}

impl<E: fmt::Debug> fmt::Debug for TimeoutReport<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a host at the moment when an acquire timed out.
#[derive(Debug)]
#[non_exhaustive]
pub struct TimeoutDetails<E> {
    /// The host's key, in its `Debug` form.
    pub key: String,
    /// How long the caller waited.
    pub waited: Duration,
    /// What it was waiting for.
    pub phase: Phase,
    /// For how long the oldest ping or reset in flight had not been answered, if the caller waited for one.
    pub pinged: Duration,
    /// Connections that were lent.
    pub in_use: usize,
    /// Connections that were idle.
    pub idle: usize,
    /// Dials in flight.
    pub dialing: usize,
    /// Connections being closed that still held their place under the caps.
    pub closing: usize,
    /// Callers that waited, this one included.
    pub waiting: usize,
    /// Callers that waited already when this one came.
    pub ahead: usize,
    /// The host's cap; `usize::MAX` when there is none.
    pub max: usize,
    /// The loans that are held longest, up to 16, the longest held first. An error stays small however many there are;
    /// [`Host::loans`](crate::Host::loans) lists them all.
    pub loans: Vec<LoanInfo>,
    /// How many loans there are besides those in `loans`.
    pub more_loans: usize,
    /// How the last dial failed, if none has succeeded since.
    pub last_dial_error: Option<LastDialError<E>>,
}

/// The failure of a dial, and how long ago it was.
#[derive(Debug)]
#[non_exhaustive]
pub struct LastDialError<E> {
    /// The error. Not present when the dial timed out or panicked.
    pub error: Option<Arc<E>>,
    /// The failure in words: the error's own, and those of its sources that it does not quote, with
    /// `": "` between them.
    pub message: String,
    /// How long ago it was.
    pub age: Duration,
}

impl<E> TimeoutDetails<E> {
    fn dial_error(&self) -> Option<&E> {
        self.last_dial_error.as_ref()?.error.as_deref()
    }

    /// What to look at: the first of these that holds.
    fn hint(&self) -> &'static str {
        if self.waited.is_zero() && self.idle > 0 {
            "what is idle has to answer a ping first, and it was not to wait"
        } else if self.waited.is_zero() {
            "nothing was idle, and it was not to wait"
        } else if self.pinged > self.waited / 2 || self.idle > 0 {
            // What is idle while somebody waits is being pinged.
            "pings are not answered: look at the host, or lower ping_timeout"
        } else if self.in_use >= self.max {
            "raise max_per_host or look for loans that are never returned"
        } else if self.last_dial_error.is_some() {
            "dials fail: look at the host"
        } else if self.dialing > 0 {
            "dials are slow: look at the host, or raise acquire_timeout"
        } else if self.in_use + self.closing >= self.max {
            "closes are slow: look at the host, or lower close_timeout"
        } else {
            "a cap for all hosts leaves no room: raise max_total or max_dialing"
        }
    }
}

impl<E> fmt::Display for TimeoutReport<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeoutDetails { key, phase, in_use, idle, dialing, .. } = &*self.0;
        write!(f, "timed out after {} waiting for {phase} to {key}: {in_use}", secs(self.waited))?;
        if self.max != usize::MAX {
            write!(f, " of {}", self.max)?;
        }
        write!(f, " in use, {idle} idle, {dialing} dialing, ")?;
        if self.closing > 0 {
            write!(f, "{} closing, ", self.closing)?;
        }
        write!(f, "{} waiting", self.waiting)?;
        if self.ahead > 0 {
            write!(f, " ({} when this one came)", self.ahead)?;
        }
        if let Some(longest) = self.loans.first() {
            let (held, place) = (secs(longest.held), longest.place);
            write!(f, "; longest held {held}, acquired at {}:{}", place.file(), place.line())?;
        }
        if let Some(last) = &self.last_dial_error {
            write!(f, "; last dial error {} ago: {}", secs(last.age), last.message)?;
        }
        write!(f, "; {}", self.hint())
    }
}

fn secs(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// An error and its sources in one line, without what is said already. An error may be its own
/// source: beyond some sources nobody looks.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut words = error.to_string();
    for source in iter::successors(error.source(), |&error| error.source()).take(16) {
        let source = source.to_string();
        if !words.contains(&source) {
            words = format!("{words}: {source}");
        }
    }
    words
}

/// Why [`warm`](crate::Pool::warm) did not reach the number it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum WarmError<E> {
    /// A dial failed: one of these, or the last one before, while the host backs off from that and
    /// nothing is dialed. With room for no more than there are, [`NoRoom`](Self::NoRoom) is the cause.
    Connect(Arc<E>),
    /// A dial took longer than [`connect_timeout`](crate::Builder::connect_timeout); see
    /// [`Connect`](Self::Connect).
    ConnectTimeout,
    /// The connector's `connect` panicked; see [`Connect`](Self::Connect).
    ConnectorPanicked,
    /// The caps leave no room for so many connections, or the runtime of a dial has ended. Those that
    /// could be made are there.
    NoRoom,
    /// The pool is closed.
    Closed,
    /// It was polled outside a tokio runtime, and the pool has never seen one.
    NoRuntime,
}

impl<E> fmt::Display for WarmError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WarmError::Connect(_) => "the connection could not be made",
            WarmError::ConnectTimeout => "the dial took longer than connect_timeout",
            WarmError::ConnectorPanicked => "the connector panicked while dialing",
            WarmError::NoRoom => "the caps leave no room for so many connections",
            WarmError::Closed => "the pool is closed",
            WarmError::NoRuntime => "a dial needs a tokio runtime, and this thread is in none",
        })
    }
}

impl<E: Error + Send + Sync + 'static> Error for WarmError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WarmError::Connect(error) => Some(as_source(&**error)),
            _ => None,
        }
    }
}

impl<E> From<DialFailure<E>> for WarmError<E> {
    fn from(failure: DialFailure<E>) -> Self {
        match failure {
            DialFailure::Error(error) => WarmError::Connect(error),
            DialFailure::TimedOut => WarmError::ConnectTimeout,
            DialFailure::Panicked => WarmError::ConnectorPanicked,
        }
    }
}

/// Why [`add`](crate::Pool::add) did not take a connection. It is inside.
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
    Full(T),
    /// The pool is closed.
    Closed(T),
    /// It is dead: [`is_open`](crate::Connector::is_open) says no, or panics.
    NotOpen(T),
}

impl<T> AddError<T> {
    /// Gives the connection back.
    pub fn into_connection(self) -> T {
        match self {
            AddError::Full(connection)
            | AddError::Closed(connection)
            | AddError::NotOpen(connection) => connection,
        }
    }

    /// The same error, with another form of the connection.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> AddError<U> {
        match self {
            AddError::Full(connection) => AddError::Full(f(connection)),
            AddError::Closed(connection) => AddError::Closed(f(connection)),
            AddError::NotOpen(connection) => AddError::NotOpen(f(connection)),
        }
    }
}

impl<T> fmt::Debug for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddError::Full(_) => "Full(..)",
            AddError::Closed(_) => "Closed(..)",
            AddError::NotOpen(_) => "NotOpen(..)",
        })
    }
}

impl<T> fmt::Display for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddError::Full(_) => "the caps leave no room for another connection",
            AddError::Closed(_) => "the pool is closed",
            AddError::NotOpen(_) => "the connection is not open",
        })
    }
}

impl<T> Error for AddError<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(as_source)
        }
    }

    #[derive(Debug)]
    struct Itself;

    impl fmt::Display for Itself {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("turtles")
        }
    }

    impl Error for Itself {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Itself)
        }
    }

    fn chain(words: &[&'static str]) -> Link {
        let (first, rest) = words.split_first().unwrap();
        Link(first, (!rest.is_empty()).then(|| Box::new(chain(rest))))
    }

    #[test]
    fn an_error_in_full_has_all_its_sources_and_says_nothing_twice() {
        for (links, words) in [
            (&["db error"][..], "db error"),
            (&["db error", "FATAL: too many clients"], "db error: FATAL: too many clients"),
            (&["a", "b", "c"], "a: b: c"),
            (&["cannot dial: refused", "refused"], "cannot dial: refused"),
            (&["dial: refused", "refused", "os error 111"], "dial: refused: os error 111"),
        ] {
            assert_eq!(in_full(&chain(links)), words);
        }
        assert_eq!(in_full(&Itself), "turtles");
    }
}
