//! What the tests have in common.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::tcp::TcpTransport;
use wharf::transport::{Stream, StreamConnector};
use wharf::{AcquireError, Backoff, Connector, Pool};
use wharf_proxy::{Proxy, ProxyTransport};

use crate::proxies::serve;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A destination that no resolver here knows: only the proxy leads there.
pub(crate) const DESTINATION: &str = "db.invalid:5432";

/// A server that sends each byte back, and hangs up after a zero.
pub(crate) async fn echo() -> SocketAddr {
    serve(|mut stream| async move {
        while let Ok(byte @ 1..) = stream.read_u8().await {
            let _ = stream.write_u8(byte).await;
        }
    })
    .await
}

pub(crate) fn proxy(scheme: &str, credentials: &str, address: SocketAddr) -> Proxy {
    format!("{scheme}://{credentials}{address}").parse().unwrap()
}

pub(crate) fn connector(proxy: Proxy) -> StreamConnector {
    StreamConnector::new(ProxyTransport::new(TcpTransport::new(), proxy))
}

pub(crate) fn pool(proxy: Proxy, retry: Option<Backoff>) -> Pool<StreamConnector> {
    Pool::builder().retry(retry).build(connector(proxy)).unwrap()
}

/// Dials once. The error comes with whether another dial may succeed.
pub(crate) async fn dial(proxy: Proxy) -> Result<Stream, (io::Error, bool)> {
    let connector = connector(proxy);
    let dialed = connector.connect(&DESTINATION.to_owned()).await;
    dialed.map_err(|error| {
        let is_retryable = connector.is_retryable(&error);
        (error, is_retryable)
    })
}

pub(crate) async fn echoes(stream: &mut Stream) {
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
}

/// The text of a dial's error.
pub(crate) fn of_dial(error: AcquireError<io::Error>) -> String {
    match error {
        AcquireError::Connect(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// An error shows the proxy and the destination, and no password.
pub(crate) fn assert_told(error: &io::Error, proxy: &Proxy, reason: &str) {
    let mut said = format!("{error:?}");
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        said += &error.to_string();
        cause = error.source();
    }
    assert!(!said.contains("secret"), "{said}");
    let told = error.to_string();
    for part in [&proxy.to_string(), DESTINATION, reason] {
        assert!(told.contains(part), "{part} is missing: {told}");
    }
}
