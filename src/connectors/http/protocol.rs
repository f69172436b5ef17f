//! Which versions of HTTP are spoken.

/// Which version of HTTP a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// With `https` what the server chooses from HTTP/2 and HTTP/1.1 (ALPN); with `http` HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only. With `http` the server must expect it ("prior knowledge"); with `https` a server
    /// that does not choose it is refused.
    Http2,
}

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

impl Protocol {
    /// What is offered in a TLS handshake, the preferred first.
    pub(super) fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Protocol::Negotiated => &[HTTP2, HTTP1],
            Protocol::Http1 => &[HTTP1],
            Protocol::Http2 => &[HTTP2],
        }
    }
}
