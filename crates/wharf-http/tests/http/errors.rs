//! What errors say, and what is refused.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::{AcquireError, SharedPool};
use wharf_http::{Client, ClientBuilder, Error, HttpConnection, Origin, PooledBody, Protocol};

use crate::support::*;

async fn error_of(request: Request<Empty<Bytes>>) -> String {
    plain(1).request(request).await.unwrap_err().to_string()
}

#[tokio::test]
async fn requests_that_cannot_be_sent() {
    for (url, says) in [
        ("/path", "the request cannot be sent: /path is not an absolute URI"),
        (
            "ftp://host/",
            "the request cannot be sent: the scheme is \"ftp\": it must be \"http\" or \
            \"https\"",
        ),
        (
            "http://me:secret@host/",
            "the request cannot be sent: the URI holds credentials, which are \
            not sent: use a header",
        ),
    ] {
        assert_eq!(error_of(get(url)).await, says);
    }
    for url in ["http://host:99999/", "http://host:http/", "https://[::1]:-1/"] {
        let says =
            "the request cannot be sent: the port of the URI must be a number from 0 to 65535";
        assert_eq!(error_of(get(url)).await, says);
    }
    let connect = Request::connect("http://host/").body(Empty::new()).unwrap();
    assert_eq!(error_of(connect).await, "the request cannot be sent: CONNECT is not supported");
}

#[tokio::test]
async fn a_host_that_refuses() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let system = std::net::TcpStream::connect(address).unwrap_err();
    let text = error_of(get(&format!("http://{address}/"))).await;
    let says = format!(
        "no connection to http://{address}: the host could not be reached: \"{address}\" could not be reached at {address}: \
         {system}"
    );
    assert!(text.starts_with(&says), "{text}");
}

#[tokio::test]
async fn a_host_that_is_busy() {
    let server = Server::start(HTTP1).await;
    let pool = SharedPool::builder().max_per_host(1).acquire_timeout(Duration::from_millis(20));
    let client = Client::builder().pool(pool).build().unwrap();
    let held = client.request(get(&server.url("/bytes/10"))).await.unwrap();
    let error = fetch(&client, &server.url("/")).await.unwrap_err();
    assert!(matches!(&error, Error::Acquire { source: AcquireError::Timeout(_), .. }));
    let text = chain(&error);
    assert!(text.contains(&format!("http://{}: 1 of 1 in use", server.address)), "{text}");
    // Where the request was made, not where the client acquires.
    assert!(text.contains("errors.rs"), "{text}");
    drop(held);
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    let server = Server::raw(|log, mut stream| async move {
        log.requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"220 smtp ready\r\n\r\n").await;
    })
    .await;
    let client = plain(1);
    let error = fetch(&client, &server.url("/")).await.unwrap_err();
    let says = format!("http://{} did not answer the request: ", server.address);
    assert!(chain(&error).starts_with(&says), "{}", chain(&error));
    assert_eq!((settled(&client).await.idle, server.requests()), (0, 1));
}

#[test]
fn settings_that_cannot_be_meant() {
    let second = Duration::from_secs(1);
    let of = |set: fn(ClientBuilder) -> ClientBuilder| {
        set(Client::builder()).build().unwrap_err().to_string()
    };
    assert_eq!(of(|b| b.http2_max_streams(0)), "http2_max_streams is 0: it must be at least 1");
    assert_eq!(
        of(|b| b
            .http2_keep_alive_interval(Duration::ZERO)
            .http2_keep_alive_timeout(Duration::from_secs(1))),
        "http2_keep_alive_interval is 0s: it must be longer than zero"
    );
    assert_eq!(
        of(|b| b
            .http2_keep_alive_interval(Duration::from_secs(1))
            .http2_keep_alive_timeout(Duration::ZERO)),
        "http2_keep_alive_timeout is 0s: it must be longer than zero"
    );
    assert_eq!(
        of(|b| b
            .http2_keep_alive_interval(Duration::MAX)
            .http2_keep_alive_timeout(Duration::from_secs(1))),
        "http2_keep_alive_interval is 18446744073709551615.999999999s: it must be at most 31536000s"
    );
    assert_eq!(
        of(|b| b.pool(SharedPool::builder().max_per_host(0))),
        "max_per_host is 0: it must be at least 1; `None` means no limit"
    );
    assert!(
        Client::builder()
            .http2_keep_alive_interval(second)
            .http2_keep_alive_timeout(second)
            .build()
            .is_ok()
    );
}

#[test]
fn origins_are_compared_by_scheme_host_and_port() {
    let origin = |url: &str| url.parse::<Origin>().unwrap();
    assert_eq!(origin("http://Example.com/a"), origin("http://example.COM:80/b?c"));
    assert_ne!(origin("http://example.com:443"), origin("https://example.com"));
    assert_eq!(origin("https://[::1]/").to_string(), "https://[::1]:443");
    assert_eq!(origin("https://[::1]:8443/").host(), "[::1]");
    assert!("no uri at all".parse::<Origin>().is_err());
}

#[tokio::test]
async fn the_host_header_is_the_origin_unless_it_is_set() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&buffer[..n]).await.unwrap();
        }
    })
    .await;
    let client = plain(1);
    let sent = fetch(&client, &server.url("/a?b=c#d")).await.unwrap().body;
    assert_eq!(sent, format!("GET /a?b=c HTTP/1.1\r\nhost: {}\r\n\r\n", server.address));
    let mut request = get(&server.url(""));
    *request.version_mut() = hyper::Version::HTTP_10;
    request.headers_mut().insert("host", "other".parse().unwrap());
    let sent = read(client.request(request).await.unwrap()).await.unwrap().body;
    assert_eq!(sent, "GET / HTTP/1.1\r\nhost: other\r\n\r\n");
}

#[test]
fn auto_traits() {
    fn is_send<T: Send>(_: &T) {}
    fn is_static<T: Send + 'static, F: Future<Output = T> + Send + 'static>(_: &F) {}
    fn all<T: Send + Sync + Unpin + 'static>() {}
    all::<Client>();
    all::<PooledBody>();
    all::<HttpConnection>();
    all::<Error>();
    all::<Protocol>();
    let client = Client::new();
    let request = client.request(get("http://host/"));
    is_send(&request);
    is_static(&request);
}
