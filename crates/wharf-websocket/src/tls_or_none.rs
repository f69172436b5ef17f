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

/// Looked at before a dial, which would be in vain.
#[cfg(feature = "tls")]
#[allow(clippy::unnecessary_wraps)] // As where there is none.
pub(crate) fn available() -> io::Result<()> {
    Ok(())
}

#[cfg(not(feature = "tls"))]
pub(crate) use without::{Tls, available, is_retryable, is_server_name, secure};

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

    pub(crate) fn available() -> io::Result<()> {
        let message = "wss needs the feature `tls` of wharf-websocket";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    #[allow(clippy::unused_async)] // As where there is TLS.
    pub(crate) async fn secure(_: &Tls, _: &str, _: Stream) -> io::Result<Stream> {
        unreachable!("it is not available")
    }

    pub(crate) fn is_retryable(_: &io::Error) -> bool {
        false
    }

    pub(crate) fn is_server_name(_: &str) -> bool {
        true
    }
}

#[cfg(all(test, not(feature = "tls")))]
mod tests {
    use tokio::time::Instant;
    use wharf::Pool;
    use wharf::transport::{Place, Stream, Transport};
    use wharf::{Backoff, async_trait};

    use crate::WebSocketConnector;

    /// Is never asked.
    struct Silent;

    #[async_trait]
    impl Transport for Silent {
        async fn connect(&self, _: Place<'_>) -> std::io::Result<Stream> {
            panic!("nothing is dialed in vain")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_encrypted_url_fails_at_once_and_names_the_feature() {
        let began = Instant::now();
        let connector = WebSocketConnector::builder().transport(Silent).build().unwrap();
        let pool = Pool::builder().retry(Backoff::default()).build(connector).unwrap();
        let error = pool.acquire("wss://chat.example/").await.unwrap_err().to_string();
        let dials = pool.status().dials;
        assert!(error.contains("feature `tls` of wharf-websocket"), "{error}");
        assert_eq!((dials, began.elapsed().as_millis()), (1, 0));
    }
}
