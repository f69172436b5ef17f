//! How failed acquires end.

/// Says how an acquire ended without a connection.
///
/// With the feature `serde` it is written as its [`label`](AcquireFailure::label).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AcquireFailure {
    /// The caller's time-out passed, or it found nothing idle and did not wait.
    TimedOut,
    /// A dial failed, took too long or panicked, and nothing else could serve the caller.
    Dial,
    /// [`max_waiters_per_host`](crate::Builder::max_waiters_per_host) callers waited already.
    QueueFull,
    /// The pool is closed.
    Closed,
    /// The caller dropped its future while it waited.
    Cancelled,
    /// There was no tokio runtime to dial or wait in.
    NoRuntime,
}

impl AcquireFailure {
    /// All variants. A slice, so that its type stays when one is added.
    pub const ALL: &'static [AcquireFailure] = &AcquireFailure::EACH;

    pub(crate) const EACH: [AcquireFailure; 6] = [
        AcquireFailure::TimedOut,
        AcquireFailure::Dial,
        AcquireFailure::QueueFull,
        AcquireFailure::Closed,
        AcquireFailure::Cancelled,
        AcquireFailure::NoRuntime,
    ];

    /// Returns the name in metrics: `timed_out`, `dial`, `queue_full`, `closed`, `cancelled` or
    /// `no_runtime`.
    pub fn label(self) -> &'static str {
        match self {
            AcquireFailure::TimedOut => "timed_out",
            AcquireFailure::Dial => "dial",
            AcquireFailure::QueueFull => "queue_full",
            AcquireFailure::Closed => "closed",
            AcquireFailure::Cancelled => "cancelled",
            AcquireFailure::NoRuntime => "no_runtime",
        }
    }
}
