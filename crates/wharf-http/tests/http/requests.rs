//! How requests go out, and how their bodies end. (After the tests of Go's transport.)

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel, Full};
use hyper::body::{Body, Frame};
use hyper::{HeaderMap, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wharf::AcquireError;
use wharf_http::{Client, Error, Protocol};

use crate::support::*;

#[tokio::test]
async fn a_request_that_asks_for_the_end_of_its_connection_has_it() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    for connections in 1..=3 {
        let mut request = get(&server.url("/a"));
        request.headers_mut().insert("connection", "close".parse().unwrap());
        assert_eq!(read(client.request(request).await.unwrap()).await.unwrap().body, "GET /a");
        assert_eq!((settled(&client).await.idle, server.connections()), (0, connections));
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_idle_than_the_client_may() {
    let server = Server::start(HTTP1).await;
    let client = client(8, |builder| builder.max_idle_per_host(2));
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let (client, url) = (client.clone(), server.url("/wait"));
        tasks.spawn(async move { fetch(&client, &url).await.unwrap() });
    }
    until(|| server.waiting() == 6).await;
    server.log.gate.add_permits(6);
    within_a_minute(tasks.join_all()).await;
    assert_eq!((server.connections(), settled(&client).await.idle), (6, 2));
}

#[tokio::test]
async fn the_head_and_each_piece_are_sent_as_they_come() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::raw(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                let text = String::from_utf8(buffer[..n].to_vec()).unwrap();
                let is_over = text.contains("0\r\n\r\n");
                let _ = tell.send(text);
                if is_over {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            }
        }
    })
    .await;
    let client = plain(1);
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let request = Request::post(server.url("/")).body(body).unwrap();
    let answer = tokio::spawn(client.request(request));
    let head = told.recv().await.unwrap();
    assert!(head.ends_with("\r\n\r\n") && head.contains("transfer-encoding: chunked"), "{head}");
    for piece in ["one", "two"] {
        sender.send_data(piece.into()).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), format!("3\r\n{piece}\r\n"));
    }
    drop(sender);
    assert_eq!(told.recv().await.unwrap(), "0\r\n\r\n");
    assert!(answer.await.unwrap().is_ok());
}

#[tokio::test]
async fn trailers_on_http_1_are_sent_in_chunks_that_announce_them() {
    let server = Server::raw(|_, mut stream| async move {
        let (mut buffer, mut text) = ([0; 4096], String::new());
        while !text.ends_with("x-sum: 42\r\n\r\n") {
            let n = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let body = Full::<Bytes>::from("body").with_trailers(async { Some(Ok(trailers)) });
    let request = Request::post(server.url("/"))
        .header("trailer", "x-sum")
        .header("transfer-encoding", "chunked");
    let answer = plain(1).request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(within_a_minute(read(answer)).await.unwrap().body, "ok");
}

#[tokio::test]
async fn an_upload_without_end_is_over_with_the_time_of_its_request() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let kind = if protocol == Protocol::Http2 { HTTP2 } else { HTTP1 };
        let server = Server::start(kind).await;
        let limit = Duration::from_millis(200);
        let client = client(1, |builder| builder.protocol(protocol));
        let (mut sender, body) = Channel::<Bytes>::new(1);
        let pieces = tokio::spawn(async move {
            while sender.send_data(Bytes::from_static(&[b'x'; 1000])).await.is_ok() {}
        });
        let request = Request::put(server.url("/wait")).body(body).unwrap();
        let error = client.with_timeout(limit).request(request).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        // Nobody holds the other end any more.
        within_a_minute(pieces).await.unwrap();
        assert_eq!(fetch(&client, &server.url("/next")).await.unwrap().body, "GET /next");
    }
}

/// A body that tells when it is dropped.
struct Watched(Full<Bytes>, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

/// However a request ends, nobody keeps its body.
#[tokio::test]
async fn a_body_is_dropped_when_its_request_is_over() {
    let dead = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", socket.local_addr().unwrap())
    };
    for (kind, protocol) in [(HTTP1, Protocol::Http1), (HTTP2, Protocol::Http2)] {
        let server = Server::start(kind).await;
        let client = client(2, |builder| builder.protocol(protocol));
        let held = Arc::new(());
        let request = |url: &str| {
            let body = Watched(Full::from(vec![b'x'; 100_000]), held.clone());
            Request::post(url).body(body).unwrap()
        };
        read(client.request(request(&server.url("/echo"))).await.unwrap()).await.unwrap();
        assert!(client.request(request(&dead)).await.is_err());
        assert!(client.request(request("ftp://host/")).await.is_err());
        let mut refused = request(&server.url("/"));
        refused.headers_mut().insert("transfer-encoding", "gzip".parse().unwrap());
        assert!(client.request(refused).await.is_err());
        drop(client.request(request(&server.url("/"))));
        let cancelled = tokio::spawn(client.request(request(&server.url("/wait"))));
        until(|| server.waiting() == 1).await;
        cancelled.abort();
        until(|| Arc::strong_count(&held) == 1).await;
    }
}

/// A body that comes to no end.
struct Endless(Option<Bytes>, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}

#[tokio::test]
async fn a_body_that_is_still_being_sent_is_dropped_with_its_answer() {
    for (kind, protocol) in [(HTTP1, Protocol::Http1), (HTTP2, Protocol::Http2)] {
        let server = Server::start(kind).await;
        let client = client(1, |builder| builder.protocol(protocol));
        let held = Arc::new(());
        let body = Endless(Some("piece".into()), held.clone());
        let request = Request::post(server.url("/echo")).body(body).unwrap();
        let mut body = client.request(request).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
        assert_eq!(Arc::strong_count(&held), 2);
        drop(body);
        until(|| Arc::strong_count(&held) == 1).await;
        assert_eq!(fetch(&client, &server.url("/next")).await.unwrap().body, "GET /next");
    }
}

#[tokio::test]
async fn a_tls_handshake_without_end_is_over_with_the_time_of_the_dial() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    })
    .await;
    let limit = Duration::from_millis(100);
    let client = Client::builder().connect_timeout(limit).build().unwrap();
    let url = server.url("/").replace("http:", "https:");
    let error = fetch(&client, &url).await.unwrap_err();
    let Error::Acquire { source: AcquireError::ConnectTimeout { .. }, .. } = &error else {
        panic!("{}", chain(&error));
    };
    assert!(error.is_timeout() && error.to_string().contains(&server.address.to_string()));
    until(|| server.log.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
}
