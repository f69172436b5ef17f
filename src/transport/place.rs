//! The destination of a stream.

use std::fmt;
use std::io;
use std::net::Ipv6Addr;

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
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number);
        let port = port.ok_or_else(|| invalid("the port is not a number from 0 to 65535"))?;
        check_name(name).map_err(invalid)?;
        Ok(Host { name, port })
    }

    /// Returns the name as resolvers and certificates write it: without brackets.
    pub fn bare_name(&self) -> &'a str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }
}

/// Says what is wrong with a name: it is missing, part of a URL, or an IPv6 address without its brackets.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("the host is missing");
    }
    if name.contains(['/', '@']) {
        return Err("it is not of the form host:port");
    }
    let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match in_brackets {
        Some(address) if address.split('%').next().is_some_and(is_ipv6) => Ok(()),
        None if !name.contains([':', '[', ']']) => Ok(()),
        _ => Err("an IPv6 address needs brackets, as in [::1]:80"),
    }
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// `name:port`, without what may be secret in a URL that was given instead of a name.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Redacted(self.name), self.port)
    }
}
