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

/// Looked at before a dial, which would be in vain.
#[cfg(feature = "tls")]
#[allow(clippy::unnecessary_wraps)] // As where there is none.
pub(crate) fn available() -> io::Result<()> {
    Ok(())
}

#[cfg(not(feature = "tls"))]
pub(crate) use without::{Tls, available, is_retryable, secure};

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

    pub(crate) fn available() -> io::Result<()> {
        let message = "https needs the feature `tls`, of wharf-http or of wharf-grpc";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    #[allow(clippy::unused_async)] // As where there is TLS.
    pub(crate) async fn secure(_: &Tls, _: &str, _: Wire) -> io::Result<(Stream, bool)> {
        unreachable!("it is not available")
    }

    pub(crate) fn is_retryable(_: &io::Error) -> bool {
        false
    }
}

#[cfg(all(test, not(feature = "tls")))]
mod tests {
    use tokio::time::Instant;
    use wharf::SharedPool;
    use wharf::transport::{Place, Stream, Transport};
    use wharf::{Backoff, async_trait};

    use crate::Client;

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
        let pool = SharedPool::builder().retry(Backoff::default());
        let client = Client::builder().pool(pool).transport(Silent).build().unwrap();
        let request = http::Request::get("https://shop.example/").body(String::new()).unwrap();
        let error = client.request(request).await.unwrap_err().to_string();
        let dials = client.pool().status().dials;
        assert!(error.contains("feature `tls`, of wharf-http"), "{error}");
        assert_eq!((dials, began.elapsed().as_millis()), (1, 0));
    }
}
