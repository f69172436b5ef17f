//! Points and spans of time as the engine counts them: nanoseconds since the pool began.
//!
//! The engine never reads a clock. `now` is read before the lock is taken, so a time stored by
//! another thread may be ahead of it: every subtraction saturates.

use std::ops::AddAssign;
use std::time::Duration;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u64);

/// A length of time; `FOREVER` stands for "no limit".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

impl Time {
    pub(crate) const START: Time = Time(0);
    pub(crate) const NEVER: Time = Time(u64::MAX);

    pub(crate) const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// Returns the point `span` later, or `NEVER`.
    pub(crate) fn after(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }

    /// Returns how long ago `earlier` was; zero if it is ahead.
    pub(crate) fn since(self, earlier: Time) -> Duration {
        self.span_since(earlier).into()
    }

    /// Same as `since`, as a `Span`.
    pub(crate) fn span_since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub(crate) const ZERO: Span = Span(0);
    pub(crate) const FOREVER: Span = Span(u64::MAX);

    pub(crate) const fn from_nanos(nanos: u64) -> Span {
        Span(nanos)
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// Returns the span shortened by the given share of itself (0 to 1).
    pub(crate) fn shortened(self, share: f64) -> Span {
        if self == Span::FOREVER || share <= 0.0 {
            return self;
        }
        Span::from(Duration::from_nanos(self.0).mul_f64((1.0 - share).max(0.0)))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        Duration::from_nanos(span.0)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Span> for Option<Duration> {
    fn from(span: Span) -> Option<Duration> {
        (span != Span::FOREVER).then(|| span.into())
    }
}

impl From<Option<Duration>> for Span {
    fn from(limit: Option<Duration>) -> Span {
        limit.map_or(Span::FOREVER, Span::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_lies_ahead_is_no_time_ago() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(9).since(Time(5)), Duration::from_nanos(4));
    }

    #[test]
    fn forever_stays_forever() {
        assert_eq!(Time(5).after(Span::FOREVER), Time::NEVER);
        assert_eq!(Span::FOREVER.shortened(0.5), Span::FOREVER);
        assert_eq!(Span(100).shortened(0.1), Span(90));
    }
}
