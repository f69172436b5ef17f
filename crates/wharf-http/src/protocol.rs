//! The versions of HTTP.

/// Selects the version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// With `https`, the server's choice of HTTP/2 and HTTP/1.1 (by ALPN); with `http`, HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only. With `http` the server must expect it ("prior knowledge"); with `https` the
    /// dial fails if the server does not choose it.
    Http2,
}

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

impl Protocol {
    /// Returns the ALPN protocols to offer, the preferred one first.
    pub(super) fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Protocol::Negotiated => &[HTTP2, HTTP1],
            Protocol::Http1 => &[HTTP1],
            Protocol::Http2 => &[HTTP2],
        }
    }
}
