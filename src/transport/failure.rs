//! System errors with a description of the operation that failed.

use std::error::Error;
use std::{fmt, io};

use crate::policy::redacted::Redacted;

/// The operation that failed, and why.
#[derive(Debug)]
struct Failure {
    what: String,
    source: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Makes an error of the same kind that says what failed, with the system's error as its
/// `source()`.
pub(crate) fn of(what: String, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Failure { what, source })
}

/// Makes the error of a key that is not of the form `host:port`.
pub(crate) fn of_key(key: &str, source: io::Error) -> io::Error {
    of(format!("{:?} could not be resolved", Redacted(key)), source)
}

/// Returns whether another dial may succeed after this error of a
/// [`Transport`](super::Transport): not after `InvalidInput` and `Unsupported`.
pub fn is_retryable(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}
