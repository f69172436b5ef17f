//! Errors of the system that need a word on what was being done.

use std::error::Error;
use std::{fmt, io};

/// What was being done, and why it failed.
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

/// An error of the same kind that says what failed, with the system's error as its `source()`.
pub(super) fn of(what: String, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Failure { what, source })
}

/// Input that is wrong once is wrong every time; anything else may mend.
pub(crate) fn is_retryable(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}
