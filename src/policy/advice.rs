//! What a host has shown of the size that it needs.

use std::fmt;
use std::time::Duration;

/// What would help a host's callers, from what the pool has seen: see
/// [`Builder::advice`](crate::Builder::advice). Its `Display` is a sentence to act on.
///
/// It is advice and nothing else: the pool changes no setting by itself. Retries of callers that gave
/// up are seen as demand, so under overload the figures are too high.
///
/// With the feature `serde` it is written as a map of its fields, times as a number of seconds, and its
/// [`label`](Advice::label) under the name `kind`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Advice {
    /// Fewer connections would have been enough.
    TooLarge {
        /// The host's cap; `None` if it has none.
        max: Option<usize>,
        /// With this many, 99.9 % of the acquires would not have waited.
        enough: usize,
        /// How long the pool has watched.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
        watched: Duration,
    },
    /// More connections would be used, and uses would not take longer.
    TooSmall {
        /// The host's cap.
        max: usize,
        /// With this many, waits should vanish.
        enough: usize,
        /// The mean of all waits.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
        mean_wait: Duration,
    },
    /// Uses take longer when all connections are in use: more of them would wait inside the server.
    NotTheCap {
        /// The host's cap.
        max: usize,
        /// The mean time of a use while all connections are in use.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
        when_full: Duration,
        /// The same while at most half of them are.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
        when_few: Duration,
    },
    /// All connections are in use so often that nothing shows whether more would help: how long a use
    /// takes while few are in use is not known.
    AlwaysFull {
        /// The host's cap.
        max: usize,
        /// A cap to try, and to compare.
        next: usize,
    },
    /// Callers leave long before their time-out: they are served too late.
    CallersLeave {
        /// How long those have waited that left.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
        after: Duration,
        /// The acquire time-out; `None` if there is none.
        #[cfg_attr(
            feature = "serde",
            serde(serialize_with = "crate::policy::figures::seconds_or_null")
        )]
        acquire_timeout: Option<Duration>,
    },
}

impl Advice {
    /// The kinds, as metrics show them.
    pub(crate) const KINDS: [&'static str; 5] =
        ["too_large", "too_small", "not_the_cap", "always_full", "callers_leave"];

    /// Returns its kind as metrics show it: `too_large`, `too_small`, `not_the_cap`, `always_full` or
    /// `callers_leave`.
    pub fn label(&self) -> &'static str {
        Self::KINDS[self.gist().0]
    }

    /// Returns the number of its kind, and the number that it advises.
    pub(crate) fn gist(&self) -> (usize, usize) {
        match *self {
            Advice::TooLarge { enough, .. } => (0, enough),
            Advice::TooSmall { enough, .. } => (1, enough),
            Advice::NotTheCap { max, .. } => (2, max),
            Advice::AlwaysFull { next, .. } => (3, next),
            Advice::CallersLeave { after, .. } => {
                (4, usize::try_from(after.as_millis()).unwrap_or(usize::MAX))
            }
        }
    }

    /// Returns whether it says the same: of the same kind, and a number that differs by a tenth at most.
    pub(crate) fn is_like(&self, other: &Advice) -> bool {
        let ((kind, number), (other_kind, other)) = (self.gist(), other.gist());
        kind == other_kind && number.abs_diff(other) * 10 <= number.max(other)
    }
}

/// With three digits.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1000.0;
        match millis {
            _ if millis >= 60_000.0 => write!(f, "{:.0} min", millis / 60_000.0),
            _ if millis >= 1000.0 => write!(f, "{:.1} s", millis / 1000.0),
            _ if millis >= 10.0 => write!(f, "{millis:.0} ms"),
            _ => write!(f, "{millis:.2} ms"),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Advice::TooLarge { max, enough, watched } => {
                match max {
                    Some(max) => write!(f, "max_per_host is {max}; ")?,
                    None => f.write_str("max_per_host is not set; ")?,
                }
                let watched = Rounded(watched);
                write!(
                    f,
                    "{enough} would have served 99.9 % of acquires without a wait in the last {watched}"
                )
            }
            Advice::TooSmall { max, enough, mean_wait } => {
                let wait = Rounded(mean_wait);
                write!(
                    f,
                    "max_per_host is {max}; waits of {wait} on average should vanish with {enough}"
                )
            }
            Advice::NotTheCap { max, when_full, when_few } => {
                let (full, few) = (Rounded(when_full), Rounded(when_few));
                write!(
                    f,
                    "uses take {full} when all {max} are in use, {few} when few are: more connections would \
                     wait inside the server"
                )
            }
            Advice::AlwaysFull { max, next } => {
                write!(
                    f,
                    "{max} of {max} in use, too often to tell whether more would help: try {next}, and compare"
                )
            }
            Advice::CallersLeave { after, acquire_timeout } => {
                write!(f, "callers leave after {}; ", Rounded(after))?;
                match acquire_timeout {
                    Some(limit) => write!(f, "acquire_timeout is {}", Rounded(limit))?,
                    None => f.write_str("acquire_timeout is not set")?,
                }
                write!(f, ": set {}", Rounded(after / 2))
            }
        }
    }
}
