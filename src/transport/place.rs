//! The destination of a stream.

use std::fmt;
use std::io;

use crate::policy::redacted::Redacted;

/// Where a [`Transport`](super::Transport) connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place<'a> {
    /// A host, by name or by address.
    Host(Host<'a>),
    /// The path of a Unix socket.
    Unix(&'a str),
}

/// A host and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// A name or an address. An IPv6 address may be in brackets.
    pub name: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> Host<'a> {
    /// Reads `host:port`. An IPv6 address needs brackets: `[::1]:80`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the text is not of that form. The error does not show the text, which may
    /// hold a password.
    pub fn parse(text: &'a str) -> io::Result<Self> {
        let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let (name, port) =
            text.rsplit_once(':').ok_or_else(|| invalid("it is not of the form host:port"))?;
        let port = port.parse().map_err(|_| invalid("the port is not a number from 0 to 65535"))?;
        if name.is_empty() {
            return Err(invalid("the host is missing"));
        }
        if name.contains(':') && !(name.starts_with('[') && name.ends_with(']')) {
            return Err(invalid("an IPv6 address needs brackets, as in [::1]:80"));
        }
        Ok(Host { name, port })
    }

    /// Returns the name as resolvers and certificates write it: without brackets.
    pub fn bare_name(&self) -> &'a str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }
}

/// `name:port`, without what may be secret in a URL that was given instead of a name.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Redacted(self.name), self.port)
    }
}
