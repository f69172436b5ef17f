//! Why there is no tunnel.

use std::error::Error;
use std::{fmt, io};

/// Why a handshake with a proxy failed.
pub(crate) struct Failure {
    /// The proxy works: the answer is what it refused with.
    pub(crate) has_answered: bool,
    pub(crate) error: io::Error,
}

impl Failure {
    /// The proxy refused. A refusal that is final has the kind of which no dial is repeated.
    pub(crate) fn refused(is_final: bool, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let kind = if is_final { io::ErrorKind::InvalidInput } else { io::ErrorKind::Other };
        Failure { has_answered: true, error: io::Error::new(kind, reason) }
    }

    /// The proxy did not answer, or not as a proxy does.
    pub(crate) fn broken(error: io::Error) -> Self {
        Failure { has_answered: false, error }
    }
}

/// The operation that failed, and why.
#[derive(Debug)]
struct Described {
    what: String,
    source: io::Error,
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl Error for Described {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Makes an error of the same kind that says what failed.
pub(crate) fn described(what: String, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Described { what, source })
}
