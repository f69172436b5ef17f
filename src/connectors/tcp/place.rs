//! The destination of a connection.

use std::fmt;
use std::io;

use crate::connectors::shown::Shown;

/// A host and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host<'a> {
    /// A name or an address. An IPv6 address may be in brackets.
    pub(crate) name: &'a str,
    pub(crate) port: u16,
}

impl<'a> Host<'a> {
    /// Reads `host:port`.
    pub(super) fn read(key: &'a str) -> io::Result<Self> {
        let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let (name, port) =
            key.rsplit_once(':').ok_or_else(|| invalid("it is not of the form host:port"))?;
        let port = port.parse().map_err(|_| invalid("the port is not a number from 0 to 65535"))?;
        Ok(Host { name, port })
    }

    /// The name as resolvers and certificates write it: without brackets.
    pub(crate) fn bare_name(&self) -> &'a str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }
}

/// As errors show it.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Shown(self.name), self.port)
    }
}

/// The destination that an HTTP, gRPC or WebSocket client dials.
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Host(Host<'a>),
    /// The path of a Unix socket.
    Unix(&'a str),
}
