//! How errors name a host.

use std::fmt;

/// The host after some words, such as `" to "`: see [`of_host`].
pub(super) struct OfHost<'a> {
    before: &'static str,
    key: &'a str,
}

/// Names a host in an error, and writes nothing for the key `()`, that of a connector for one server: "no connection to
/// ()" says no more than "no connection".
pub(super) fn of_host<'a>(before: &'static str, key: &'a str) -> OfHost<'a> {
    OfHost { before, key }
}

impl fmt::Display for OfHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key == "()" { Ok(()) } else { write!(f, "{}{}", self.before, self.key) }
    }
}
