//! Tunnels through HTTP proxies.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::tcp::TcpTransport;
use wharf::transport::{Host, StreamConnector, Transport};
use wharf::{Backoff, Connector, Pool};
use wharf_proxy::{Proxies, ProxyTransport};

use crate::proxies::{TestProxy, read_head, serve};
use crate::support::*;

#[tokio::test]
async fn a_stream_through_a_proxy_is_pooled() {
    let http = TestProxy::http(echo().await, []).await;
    let pool = pool(proxy("http", "me:secret@", http.address), None);
    for _ in 0..3 {
        echoes(&mut pool.acquire(DESTINATION).await.unwrap()).await;
    }
    let expected = "CONNECT db.invalid:5432 HTTP/1.1\r\nhost: db.invalid:5432\r\n\
                    proxy-authorization: Basic bWU6c2VjcmV0\r\n\r\n";
    assert_eq!(http.asked(), [expected]);
}

#[tokio::test]
async fn a_proxy_without_credentials_gets_none() {
    let http = TestProxy::http(echo().await, []).await;
    echoes(&mut dial(proxy("http", "", http.address)).await.unwrap()).await;
    assert!(!http.asked()[0].contains("authorization"));
}

#[tokio::test]
async fn an_ipv6_destination_is_named_in_brackets() {
    let http = TestProxy::http(echo().await, []).await;
    let proxy = proxy("http", "", http.address);
    let transport: Arc<dyn Transport> = Arc::new(TcpTransport::new());
    for name in ["[2001:db8::1]", "2001:db8::1"] {
        let to = Host { name, port: 443 };
        echoes(&mut proxy.connect(&*transport, to).await.unwrap()).await;
    }
    assert!(
        http.asked().iter().all(|head| head.starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"))
    );
}

#[tokio::test]
async fn a_name_that_a_request_cannot_hold_is_not_sent() {
    let http = TestProxy::http(echo().await, []).await;
    let connector = connector(proxy("http", "", http.address));
    for name in ["a\r\nEvil: 1", "a b", "ä", "user@host"] {
        let error = connector.connect(&format!("{name}:80")).await.unwrap_err();
        assert!(!connector.is_retryable(&error), "{name:?}: {error}");
    }
    assert!(http.asked().iter().all(String::is_empty), "{:?}", http.asked());
}

#[tokio::test]
async fn bytes_that_come_with_the_answer_are_read_first() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello, ").await.unwrap();
        stream.write_all(b"world").await.unwrap();
        let _ = stream.read_u8().await;
    });
    let mut stream = dial(proxy("http", "", address.await)).await.unwrap();
    assert!(stream.peer_addr().is_some());
    let mut greeting = [0; 12];
    stream.read_exact(&mut greeting[..3]).await.unwrap();
    stream.read_exact(&mut greeting[3..]).await.unwrap();
    assert_eq!(&greeting, b"hello, world");
    stream.write_u8(1).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_answer_may_be_that_of_an_old_or_a_talkative_proxy() {
    for answer in [
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 proxy\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ] {
        let http = TestProxy::http(echo().await, [answer]).await;
        echoes(&mut dial(proxy("http", "", http.address)).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_refusal_names_the_proxy_the_destination_and_the_status() {
    for (answer, reason, is_retried) in [
        ("HTTP/1.1 407 \r\nContent-Length: 9\r\n\r\nno secret", "407 Proxy Authentication", false),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden", false),
        ("HTTP/1.1 405 No\r\n\r\n", "405 Method Not Allowed", false),
        ("HTTP/1.1 302 Found\r\nLocation: http://me:secret@evil/\r\n\r\n", "302 Found", false),
        ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "101", false),
        ("HTTP/1.1 501 No\r\n\r\n", "501 Not Implemented", false),
        ("HTTP/1.1 429 Slow\r\n\r\n", "429 Too Many Requests", true),
        ("HTTP/1.1 500 Oops\r\n\r\n", "500 Internal Server Error", true),
        ("HTTP/1.1 502 Bad\r\n\r\n", "502 Bad Gateway", true),
        ("HTTP/1.1 503 Bad\r\n\r\n", "503 Service Unavailable", true),
        ("HTTP/1.1 504 Bad\r\n\r\n", "504 Gateway Timeout", true),
    ] {
        let http = TestProxy::http(echo().await, [answer]).await;
        let proxy = proxy("http", "me:secret@", http.address);
        let (error, retried) = dial(proxy.clone()).await.unwrap_err();
        assert_told(&error, &proxy, reason);
        assert_eq!(retried, is_retried, "{reason}");
    }
}

#[tokio::test]
async fn a_pool_retries_after_a_502_and_not_after_a_407() {
    let answers = ["HTTP/1.1 502 Bad Gateway\r\n\r\n", "HTTP/1.1 407 Who?\r\n\r\n"];
    let http = TestProxy::http(echo().await, answers).await;
    let pool = pool(proxy("http", "", http.address), Some(Backoff::default()));
    let error = of_dial(pool.acquire(DESTINATION).await.unwrap_err());
    assert!(error.contains("407"), "{error}");
    assert_eq!(http.asked().len(), 2);
    echoes(&mut pool.acquire(DESTINATION).await.unwrap()).await;
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named_and_dialed_again() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = proxy("http", "me:secret@", socket.local_addr().unwrap());
    let (error, is_retryable) = dial(proxy.clone()).await.unwrap_err();
    assert_told(&error, &proxy, "could not be reached");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(is_retryable);
}

#[tokio::test]
async fn a_destination_without_a_proxy_is_dialed_directly() {
    let (server, http) = (echo().await, TestProxy::http(echo().await, []).await);
    let by = proxy("http", "", http.address);
    let proxies = Proxies::by(move |to| (to.host.name != "127.0.0.1").then(|| by.clone()));
    for proxies in [proxies, Proxies::none()] {
        let transport = ProxyTransport::new(TcpTransport::new(), proxies);
        let pool = Pool::builder().build(StreamConnector::new(transport)).unwrap();
        echoes(&mut pool.acquire(&server.to_string()).await.unwrap()).await;
    }
    assert_eq!(http.asked(), Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_dialed_directly() {
    let http = TestProxy::http(echo().await, []).await;
    let path = std::env::temp_dir().join(format!("wharf-proxy-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let key = format!("unix:{}", path.display());
    let dialed = connector(proxy("http", "", http.address)).connect(&key).await;
    std::fs::remove_file(&path).unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    accepted.write_u8(7).await.unwrap();
    assert_eq!(dialed.unwrap().read_u8().await.unwrap(), 7);
    assert_eq!(http.asked(), Vec::<String>::new());
}
