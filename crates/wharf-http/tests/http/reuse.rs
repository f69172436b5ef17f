//! Which connections go back to the pool, and which are closed.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel, Empty};
use hyper::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use wharf::SharedPool;
use wharf_http::{Client, Origin};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn requests_one_after_the_other_share_one_connection() {
    let server = Server::start(HTTP1).await;
    let client = plain(4);
    for n in 0..100 {
        let path = ["/", "/bytes/100", "/chunked/100", "/echo"][n % 4];
        assert_eq!(fetch(&client, &server.url(path)).await.unwrap().status, StatusCode::OK);
    }
    let status = settled(&client).await;
    assert_eq!((server.connections(), status.dials, status.idle), (1, 1, 1));
    assert_eq!((server.requests(), status.at_once), (100, 99));
}

#[tokio::test]
async fn an_answer_without_a_body_gives_its_connection_back_at_once() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    let mut kept = Vec::new();
    for path in ["/status/204", "/status/304", "/status/200"] {
        kept.push(client.request(get(&server.url(path))).await.unwrap());
    }
    let head = Request::head(server.url("/bytes/1000")).body(Empty::<Bytes>::new()).unwrap();
    kept.push(client.request(head).await.unwrap());
    // With a cap of one, each had to have given it back for the next.
    assert_eq!(server.connections(), 1);
    assert_eq!(settled(&client).await.idle, 1);
    assert_eq!(kept[3].headers()["content-length"], "1000");
}

#[tokio::test]
async fn a_body_gives_its_connection_back_before_it_is_dropped() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    let mut body = client.request(get(&server.url("/bytes/10"))).await.unwrap().into_body();
    assert_eq!(client.pool().status().in_use, 1);
    while body.frame().await.is_some() {}
    assert_eq!(settled(&client).await.idle, 1);
    drop(body);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_short_rest_is_read_and_the_connection_used_again() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    for path in ["/bytes/60000", "/chunked/60000", "/bytes/250000"] {
        drop(client.request(get(&server.url(path))).await.unwrap());
        assert_eq!(settled(&client).await.idle, 1, "{path}");
    }
    fetch(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_long_rest_closes_the_connection() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    for (nth, path) in ["/bytes/10000000", "/chunked/10000000", "/stall/10"].iter().enumerate() {
        drop(client.request(get(&server.url(path))).await.unwrap());
        assert_eq!(settled(&client).await.idle, 0, "{path}");
        until(|| server.log.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
        assert_eq!(server.connections(), nth + 1);
    }
}

#[test]
fn a_body_may_be_dropped_outside_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = plain(1);
    let (server, response) = runtime.block_on(async {
        let server = Server::start(HTTP1).await;
        let response = client.request(get(&server.url("/bytes/1000"))).await.unwrap();
        (server, response)
    });
    drop(response);
    runtime.block_on(async {
        assert_eq!(settled(&client).await.idle, 1);
        fetch(&client, &server.url("/")).await.unwrap();
        assert_eq!(server.connections(), 1);
    });
}

/// Polls a future on this thread, which has no runtime.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

#[test]
fn a_body_may_be_read_outside_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let client = plain(1);
    let (server, response) = runtime.block_on(async {
        let server = Server::start(HTTP1).await;
        let response = client.request(get(&server.url("/bytes/100000"))).await.unwrap();
        (server, response)
    });
    assert_eq!(wait_for(read(response)).unwrap().body.len(), 100_000);
    for _ in 0..100 {
        let fetched = wait_for(fetch(&client, &server.url("/bytes/100000"))).unwrap();
        assert_eq!(fetched.body.len(), 100_000);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_server_asks_for_the_end_of_a_connection() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    for nth in 1..=3 {
        assert_eq!(fetch(&client, &server.url("/close")).await.unwrap().body, "closing");
        assert_eq!(settled(&client).await.idle, 0);
        assert_eq!(server.connections(), nth);
    }
}

#[tokio::test]
async fn http_1_0_is_one_request_a_connection_unless_it_says_otherwise() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {
            let keeps = buffer.starts_with(b"GET /keep");
            let keep = if keeps { "Connection: keep-alive\r\n" } else { "" };
            let answer = format!("HTTP/1.0 200 OK\r\n{keep}Content-Length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !keeps {
                return;
            }
        }
    })
    .await;
    let client = plain(1);
    for (path, idle, connections) in [("/", 0, 1), ("/keep", 1, 2), ("/keep", 1, 2), ("/", 0, 2)] {
        assert_eq!(fetch(&client, &server.url(path)).await.unwrap().body, "ok");
        assert_eq!(settled(&client).await.idle, idle, "{path}");
        assert_eq!(server.connections(), connections, "{path}");
    }
}

#[tokio::test]
async fn a_connection_that_was_upgraded_leaves_the_pool() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let n = stream.read(&mut buffer).await.unwrap();
        stream.write_all(&buffer[..n]).await.unwrap();
    })
    .await;
    let client = plain(1);
    let mut request = get(&server.url("/"));
    request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "echo".parse().unwrap());
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    assert_eq!(settled(&client).await.idle, 0);
    let mut stream = hyper_util::rt::TokioIo::new(upgraded);
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
}

#[tokio::test]
async fn max_uses_counts_requests() {
    let server = Server::start(HTTP1).await;
    let pool = SharedPool::builder().max_per_host(1).max_uses(10);
    let client = Client::builder().pool(pool).build().unwrap();
    for _ in 0..25 {
        fetch(&client, &server.url("/")).await.unwrap();
    }
    assert_eq!((server.requests(), server.connections()), (25, 3));
}

#[tokio::test]
async fn a_cancelled_request_closes_its_connection() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    let request = tokio::spawn(client.request(get(&server.url("/wait"))));
    until(|| server.waiting() == 1).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(settled(&client).await.idle, 0);
    // The next one does not get the answer to the last.
    assert_eq!(fetch(&client, &server.url("/next")).await.unwrap().body, "GET /next");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_closes_the_connection() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let request = Request::post(server.url("/status/400")).body(body).unwrap();
    sender.send_data(Bytes::from_static(b"the beginning")).await.unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(read(response).await.unwrap().status, StatusCode::BAD_REQUEST);
    assert_eq!(settled(&client).await.idle, 0);
    drop(sender);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_host_gets_no_more_connections_than_its_cap() {
    let server = Server::start(HTTP1).await;
    let client = plain(8);
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        tasks.spawn({
            let (client, url) = (client.clone(), server.url("/wait"));
            async move { fetch(&client, &url).await.unwrap().body }
        });
    }
    until(|| server.waiting() == 8 && client.pool().status().waiting == 56).await;
    assert_eq!((server.connections(), client.pool().status().in_use), (8, 8));
    server.log.gate.add_permits(64);
    assert!(tasks.join_all().await.iter().all(|body| body == "waited"));
    assert_eq!((server.connections(), server.requests()), (8, 64));
    assert_eq!(settled(&client).await.idle, 8);
}

#[tokio::test]
async fn hosts_are_told_apart_by_port_and_warmed_by_origin() {
    let (one, other) = (Server::start(HTTP1).await, Server::start(HTTP1).await);
    let client = plain(2);
    let origin: Origin = one.url("/path").parse().unwrap();
    client.pool().warm(&origin, 2).await.unwrap();
    assert_eq!((one.connections(), other.connections()), (2, 0));
    fetch(&client, &one.url("/")).await.unwrap();
    fetch(&client, &other.url("/")).await.unwrap();
    assert_eq!((one.connections(), other.connections()), (2, 1));
    client.pool().retire(&origin);
    fetch(&client, &one.url("/")).await.unwrap();
    assert_eq!((one.connections(), other.connections()), (3, 1));
}

#[tokio::test]
async fn closing_the_pool_waits_for_bodies_and_ends_the_connections() {
    let server = Server::start(HTTP1).await;
    let client = plain(2);
    let body = client.request(get(&server.url("/bytes/10"))).await.unwrap().into_body();
    let close = client.pool().close();
    assert!(chain(&fetch(&client, &server.url("/")).await.unwrap_err()).contains("closed"));
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 10);
    within_a_minute(close).await;
    until(|| server.log.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closes_leaves_nothing_behind() {
    let server = Server::start(HTTP1).await;
    let client = plain(4);
    for nth in 1..=5 {
        fetch(&client, &server.url("/")).await.unwrap();
        server.leave();
        until(|| server.log.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(server.connections(), nth);
    }
}
