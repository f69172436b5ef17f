//! Proxies that misbehave: a dial fails, with an error that names the proxy, and never hangs.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use wharf::transport::{Place, Stream, StreamConnector, Transport};
use wharf::{AcquireError, Pool, async_trait};
use wharf_proxy::{Proxy, ProxyTransport};

use crate::proxies::serve;
use crate::support::*;

const SCHEMES: [&str; 2] = ["http", "socks5h"];

/// A proxy that says this at the first byte, and hangs up, or waits until the client does.
async fn saying(said: &'static [u8], hangs_up: bool) -> std::net::SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(said).await;
        if !hangs_up {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_proxy_that_hangs_up_in_the_middle_is_told() {
    let cut: [&[u8]; 7] = [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\nVia",
        b"\x05",
        b"\x05\0",
        b"\x05\0\x05\0\0\x01\x7f",
        b"\x05\0\x05\0\0\x03\xff.",
    ];
    for scheme in SCHEMES {
        for said in cut {
            let proxy = proxy(scheme, "me:secret@", saying(said, true).await);
            let (error, is_retryable) = dial(proxy.clone()).await.unwrap_err();
            assert_told(&error, &proxy, "opened no tunnel");
            assert!(is_retryable, "{error}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_answers_with_something_else_is_told() {
    let garbage: [&[u8]; 8] = [
        b"\0\0\0\0\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"\x15\x03\x01\0\x02\x02\x46",
        b"\x05\x07",
        b"\x05\0\x04\0\0\x01\x7f\0\0\x01\0\x50",
        b"\x05\0\x05\0\0\x09\x7f\0\0\x01\0\x50",
    ];
    for scheme in SCHEMES {
        for said in garbage {
            let proxy = proxy(scheme, "", saying(said, false).await);
            let (error, _) = dial(proxy.clone()).await.unwrap_err();
            assert_told(&error, &proxy, "opened no tunnel");
        }
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_kept() {
    for line in ["Via: 1.1 proxy\r\n", "x"] {
        let address = serve(move |mut stream| async move {
            let _ = stream.read_u8().await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(line.as_bytes()).await.is_ok() {}
        });
        let proxy = proxy("http", "", address.await);
        let (error, _) = dial(proxy.clone()).await.unwrap_err();
        assert_told(&error, &proxy, "opened no tunnel");
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_is_not_waited_for() {
    let said = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\nsecret";
    let proxy = proxy("http", "", saying(said, false).await);
    let (error, _) = dial(proxy.clone()).await.unwrap_err();
    assert_told(&error, &proxy, "403 Forbidden");
}

/// Leads to a test, which holds the other end.
struct Held(mpsc::UnboundedSender<DuplexStream>);

#[async_trait]
impl Transport for Held {
    async fn connect(&self, _: Place<'_>) -> io::Result<Stream> {
        let (client, server) = duplex(1024);
        self.0.send(server).unwrap();
        Ok(Stream::new(client))
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_is_cut_off() {
    let said: [&[u8]; 4] = [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Wait\r\n\r\n", b"\x05\0"];
    for scheme in SCHEMES {
        for said in said {
            if (scheme == "http") == said.starts_with(b"\x05") && !said.is_empty() {
                continue;
            }
            let (sender, mut accepted) = mpsc::unbounded_channel();
            let proxy: Proxy = format!("{scheme}://me:secret@proxy").parse().unwrap();
            let transport = ProxyTransport::new(Held(sender), proxy);
            let pool = Pool::builder().connect_timeout(SECOND).max_per_host(1);
            let pool = pool.build(StreamConnector::new(transport)).unwrap();
            let dialed = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire(DESTINATION).await.map(drop) }
            });
            let mut server = accepted.recv().await.unwrap();
            server.write_all(said).await.unwrap();
            let error = dialed.await.unwrap().unwrap_err();
            assert!(matches!(error, AcquireError::ConnectTimeout { .. }), "{error:?}");
            // The dial itself ends, and the connection to the proxy with it.
            pool.close().await;
            while server.read_u8().await.is_ok() {}
        }
    }
}
