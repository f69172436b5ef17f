//! Why a builder rejects a setting.

use std::error::Error;
use std::fmt;

/// A setting that is invalid.
///
/// # Examples
///
/// ```
/// use wharf::{Pool, connector_fn};
///
/// let connector = connector_fn(|()| async { Ok::<_, std::io::Error>("a connection") });
/// let error = Pool::builder().max_per_host(0).build(connector).unwrap_err();
/// assert_eq!(error.to_string(), "max_per_host is 0: it must be at least 1; `None` means no limit");
/// assert_eq!((error.field, &*error.value), ("max_per_host", "0"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildError {
    /// The setting's name, as in a configuration file: `retry.initial` is
    /// [`Backoff`](crate::Backoff)'s `initial`.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What the value must be.
    pub reason: String,
}

impl BuildError {
    /// Makes an error for a setting of a connector: the setting's name, the value that was given,
    /// and what it must be, as in "must be at least 1".
    pub fn new(field: &'static str, value: impl fmt::Display, reason: impl Into<String>) -> Self {
        BuildError { field, value: value.to_string(), reason: reason.into() }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: it {}", self.field, self.value, self.reason)
    }
}

impl Error for BuildError {}
