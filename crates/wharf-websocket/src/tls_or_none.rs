//! TLS, where the feature `tls` is on; without it, an error that says so.

use std::io;

use wharf::transport::Stream;

#[cfg(feature = "tls")]
pub(crate) use wharf_tls::{Tls, is_retryable, is_server_name};

/// Starts TLS.
#[cfg(feature = "tls")]
pub(crate) async fn secure(tls: &Tls, name: &str, stream: Stream) -> io::Result<Stream> {
    let signs = stream.signs().clone();
    Ok(Stream::with_signs(tls.connect(name, stream).await?, signs))
}

#[cfg(not(feature = "tls"))]
pub(crate) use without::{Tls, is_retryable, is_server_name, secure};

#[cfg(not(feature = "tls"))]
mod without {
    use super::{Stream, io};

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Tls(());

    impl Tls {
        pub(crate) fn offering(self, _: &[&[u8]]) -> Self {
            self
        }
    }

    #[allow(clippy::unused_async)] // As where there is TLS.
    pub(crate) async fn secure(_: &Tls, _: &str, _: Stream) -> io::Result<Stream> {
        let message = "wss needs the feature `tls` of wharf-websocket";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    pub(crate) fn is_retryable(_: &io::Error) -> bool {
        false
    }

    pub(crate) fn is_server_name(_: &str) -> bool {
        true
    }
}
