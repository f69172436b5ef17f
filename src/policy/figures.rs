//! How figures are written with the feature `serde`: as numbers that a script can use, while
//! [`Config`](crate::Config) writes settings as people do.

#![allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // As serde's derive calls them.

use std::fmt::Display;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Writes a time in seconds.
pub(crate) fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// Writes a time in seconds, or null.
pub(crate) fn seconds_or_null<S: Serializer>(
    time: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(to)
}

/// Writes a cap, or null if there is none.
pub(crate) fn cap<S: Serializer>(cap: &usize, to: S) -> Result<S::Ok, S::Error> {
    Some(*cap).filter(|cap| *cap != usize::MAX).serialize(to)
}

/// Writes a value as it is displayed.
pub(crate) fn text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}
