//! The failure of a dial.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, iter};

/// The failure of a dial. All its waiters share the error.
#[derive(Clone, Debug)]
pub(crate) enum DialFailure {
    Error(DialError),
    /// It took longer than this `connect_timeout`.
    TimedOut(Duration),
    Panicked,
}

/// An error of a connector, without its type, and whether the connector says that another dial may
/// succeed.
#[derive(Clone, Debug)]
pub(crate) struct DialError {
    pub(crate) error: Arc<dyn Error + Send + Sync>,
    pub(crate) is_retryable: bool,
}

impl DialFailure {
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            DialFailure::Error(failed) => failed.is_retryable,
            DialFailure::TimedOut(_) => true,
            DialFailure::Panicked => false,
        }
    }
}

/// In one line, with all of its sources.
impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialFailure::Error(failed) => f.write_str(&in_full(&*failed.error)),
            DialFailure::TimedOut(limit) => {
                write!(f, "the dial took longer than connect_timeout ({})", limit_in_words(*limit))
            }
            DialFailure::Panicked => f.write_str("the connector panicked while dialing"),
        }
    }
}

/// Formats an error and its sources in one line, without repetitions. It stops after a number of
/// sources, because an error may be its own source.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut words = one_line(error);
    for source in iter::successors(error.source(), |&error| error.source()).take(16) {
        let source = one_line(source);
        if !words.contains(&source) {
            words = format!("{words}: {source}");
        }
    }
    words
}

/// `10 s`, `2.5 s` or `250 ms`.
pub(crate) fn limit_in_words(limit: Duration) -> String {
    if limit < Duration::from_secs(1) {
        format!("{} ms", limit.as_secs_f64() * 1e3)
    } else {
        format!("{} s", limit.as_secs_f64())
    }
}

/// Formats an event and its cause in one line, with all sources of the cause and without
/// repetitions: for the `Display` of a connector's errors, so that a log needs no more than that.
///
/// # Examples
///
/// ```
/// use std::io;
/// use wharf::connector::with_cause;
///
/// let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "the peer hung up");
/// assert_eq!(with_cause("the login failed", &cause), "the login failed: the peer hung up");
/// ```
pub fn with_cause(what: &str, cause: &dyn Error) -> String {
    let cause = in_full(cause);
    if cause.is_empty() { what.to_owned() } else { format!("{what}: {cause}") }
}

fn one_line(error: &dyn Error) -> String {
    let words = error.to_string();
    if words.contains('\n') {
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        words
    }
}

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
            self.1.as_deref().map(|link| link as &(dyn Error + 'static))
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
            (&["refused:\n  no such user", "code 7\n"], "refused: no such user: code 7"),
        ] {
            assert_eq!(in_full(&chain(links)), words);
        }
        assert_eq!(in_full(&Itself), "turtles");
    }
}
