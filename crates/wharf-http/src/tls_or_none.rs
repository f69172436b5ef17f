//! TLS, where the feature `tls` is on; without it, an error that says so.

use std::io;

use wharf::transport::Stream;

use crate::wire::Wire;

#[cfg(feature = "tls")]
pub(crate) use wharf_tls::{Tls, is_retryable};

/// Starts TLS. Also returns whether the server has chosen HTTP/2.
#[cfg(feature = "tls")]
pub(crate) async fn secure(tls: &Tls, name: &str, wire: Wire) -> io::Result<(Stream, bool)> {
    let signs = wire.signs().clone();
    let stream = tls.connect(name, wire).await?;
    let is_http2 = stream.alpn_protocol() == Some(crate::protocol::HTTP2);
    Ok((Stream::with_signs(stream, signs), is_http2))
}

#[cfg(not(feature = "tls"))]
pub(crate) use without::{Tls, is_retryable, secure};

#[cfg(not(feature = "tls"))]
mod without {
    use super::{Stream, Wire, io};

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Tls(());

    impl Tls {
        pub(crate) fn offering(self, _: &[&[u8]]) -> Self {
            self
        }
    }

    #[allow(clippy::unused_async)] // As where there is TLS.
    pub(crate) async fn secure(_: &Tls, _: &str, _: Wire) -> io::Result<(Stream, bool)> {
        let message = "https needs the feature `tls` of wharf-http";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    pub(crate) fn is_retryable(_: &io::Error) -> bool {
        false
    }
}
