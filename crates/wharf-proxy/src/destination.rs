//! What a proxy is chosen by.

use wharf::transport::Host;

/// A destination that may be reached through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination<'a> {
    /// The scheme, in lower case, such as `https`. `None` where it is not known: a
    /// [`ProxyTransport`](crate::ProxyTransport) is told host and port.
    pub scheme: Option<&'a str>,
    /// The host and its port.
    pub host: Host<'a>,
}

impl<'a> Destination<'a> {
    /// Makes a destination whose scheme is not known.
    pub fn new(host: Host<'a>) -> Self {
        Destination { scheme: None, host }
    }

    /// Names the scheme.
    pub fn with_scheme(self, scheme: &'a str) -> Self {
        Destination { scheme: Some(scheme), ..self }
    }
}
