//! What a pool sees of a stream through a proxy.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::yield_now;
use wharf::async_trait;
use wharf::tcp::TcpTransport;
use wharf::transport::{Host, Place, Stream, Transport};

use crate::proxies::{TestProxy, read_head, serve};
use crate::support::*;

#[tokio::test]
async fn a_stream_tells_when_the_peer_was_heard_and_where_it_leads() {
    let http = TestProxy::http(echo().await, []).await;
    let socks = TestProxy::socks5(echo().await, None, 0).await;
    for proxy in [proxy("http", "", http.address), proxy("socks5h", "", socks.address)] {
        let mut stream = dial(proxy.clone()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), proxy.host().port);
        let before = stream.signs().last_heard();
        echoes(&mut stream).await;
        assert!(stream.signs().last_heard() > before);
        assert!(!stream.signs().has_failed());
    }
}

#[tokio::test]
async fn a_stream_that_the_destination_has_ended_is_not_lent_again() {
    let http = TestProxy::http(echo().await, []).await;
    let pool = pool(proxy("http", "", http.address), None);
    let mut stream = pool.acquire(DESTINATION).await.unwrap();
    assert!(stream.is_open());
    // The server hangs up after a zero, and the proxy passes that on.
    stream.write_u8(0).await.unwrap();
    while stream.is_open() {
        yield_now().await;
    }
    drop(stream);
    echoes(&mut pool.acquire(DESTINATION).await.unwrap()).await;
    assert_eq!(http.asked().len(), 2);
}

#[tokio::test]
async fn a_reset_after_early_bytes_is_noted() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nearly").await.unwrap();
        stream.read_u8().await.unwrap();
        stream.set_zero_linger().unwrap();
    });
    let mut stream = dial(proxy("http", "", address.await)).await.unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    assert!(stream.is_open());
    stream.write_u8(1).await.unwrap();
    stream.read_u8().await.unwrap_err();
    assert!(stream.signs().has_failed());
}

/// Notes how the trials of its streams ended.
struct Judge(Arc<Mutex<Vec<bool>>>);

#[async_trait]
impl Transport for Judge {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        let verdicts = self.0.clone();
        let stream = TcpTransport::new().connect(to).await?;
        Ok(stream.on_trial(move |passed| verdicts.lock().unwrap().push(passed)))
    }
}

#[tokio::test]
async fn the_trial_of_a_proxy_is_over_when_it_has_answered() {
    let refusal = "HTTP/1.1 502 Bad Gateway\r\n\r\n";
    let (server, silent) = (echo().await, serve(|_| async {}).await);
    let (opens, refuses) =
        (TestProxy::http(server, []).await, TestProxy::http(server, [refusal]).await);
    let (socks, full) =
        (TestProxy::socks5(server, None, 0).await, TestProxy::socks5(server, None, 1).await);
    for (scheme, address, has_answered) in [
        ("http", opens.address, true),
        ("http", refuses.address, true),
        ("http", silent, false),
        ("socks5h", socks.address, true),
        ("socks5h", full.address, true),
        ("socks5h", silent, false),
    ] {
        let verdicts = Arc::default();
        let judge = Judge(Arc::clone(&verdicts));
        let to = Host::parse(DESTINATION).unwrap();
        let _ = proxy(scheme, "", address).connect(&judge, to).await;
        assert_eq!(*verdicts.lock().unwrap(), [has_answered], "{scheme}");
    }
}
