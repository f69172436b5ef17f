//! Requests that are sent again, and those that are not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hyper::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time;

use crate::support::*;

/// Reads one request; the tests of this file send its body with its head.
async fn request(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    matches!(stream.read(&mut buffer).await, Ok(1..))
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers one request on each connection, and closes it when it has read another.
async fn fickle_server() -> Server {
    Server::raw(|log, mut stream| async move {
        for is_answered in [true, false] {
            if !request(&mut stream).await {
                return;
            }
            log.requests.fetch_add(1, Ordering::SeqCst);
            if is_answered {
                stream.write_all(ANSWER).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_harmless_request_is_sent_again_on_a_new_connection() {
    for (method, key) in [
        (Method::GET, None),
        (Method::HEAD, None),
        (Method::OPTIONS, None),
        (Method::TRACE, None),
        (Method::POST, Some("Idempotency-Key")),
        (Method::PUT, Some("X-Idempotency-Key")),
    ] {
        let server = fickle_server().await;
        let client = plain(1);
        fetch(&client, &server.url("/")).await.unwrap();
        let mut request = post(&server.url("/"), if key.is_some() { "a body" } else { "" });
        *request.method_mut() = method.clone();
        if let Some(key) = key {
            request.headers_mut().insert(key, "1".parse().unwrap());
        }
        assert!(client.request(request).await.is_ok(), "{method}");
        assert_eq!((server.connections(), server.requests()), (2, 3), "{method}");
    }
}

#[tokio::test]
async fn a_request_that_may_do_harm_is_not_sent_again_once_written() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let server = fickle_server().await;
        let client = plain(1);
        fetch(&client, &server.url("/")).await.unwrap();
        let mut request = post(&server.url("/"), "a body");
        *request.method_mut() = method.clone();
        let error = client.request(request).await.unwrap_err();
        assert!(error.to_string().contains(&server.address.to_string()), "{error}");
        assert_eq!((server.connections(), server.requests()), (1, 2), "{method}");
    }
}

#[tokio::test]
async fn a_new_connection_that_ends_is_not_tried_again() {
    let server = Server::raw(|log, mut stream| async move {
        if request(&mut stream).await {
            log.requests.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let client = plain(1);
    assert!(fetch(&client, &server.url("/")).await.is_err());
    assert_eq!((server.connections(), server.requests()), (1, 1));
}

/// The server closes an idle connection; the runtime's socket knows, and hyper was not asked yet.
/// So hyper finds out when it has the request, before it writes any of it.
#[tokio::test]
async fn a_request_that_was_not_written_is_sent_again_whatever_its_method() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (close, told_to_close) = mpsc::channel::<()>();
    let (closed, is_closed) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut buffer = [0; 4096];
        let (mut signal, _) = listener.accept().unwrap();
        let (mut first, _) = listener.accept().unwrap();
        assert!(first.read(&mut buffer).unwrap() > 0);
        first.write_all(ANSWER).unwrap();
        told_to_close.recv().unwrap();
        drop(first);
        signal.write_all(b"!").unwrap();
        closed.send(()).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        let n = second.read(&mut buffer).unwrap();
        second.write_all(ANSWER).unwrap();
        buffer[..n].to_vec()
    });
    let signal = TcpStream::connect(address).await.unwrap();
    let client = plain(1);
    let url = format!("http://{address}/");
    fetch(&client, &url).await.unwrap();
    settled(&client).await;

    close.send(()).unwrap();
    // Not awaited: this runtime has one thread, which must not look at its sockets yet.
    is_closed.recv().unwrap();
    thread::sleep(Duration::from_millis(20));
    // Now it looks at both; what waits here is polled before hyper is.
    signal.readable().await.unwrap();
    let answered = client.request(post(&url, "a body")).await;
    assert!(answered.is_ok(), "{}", chain(&answered.unwrap_err()));
    assert!(server.join().unwrap().starts_with(b"POST / HTTP/1.1\r\n"));
    assert_eq!(client.pool().status().dials, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_idle_connections_as_requests_start() {
    let server = Server::raw(|log, mut stream| async move {
        // Up to this many answers, then the end without a word, at once or a moment later.
        let many = log.connections.load(Ordering::SeqCst);
        for _ in 0..=many % 3 {
            if !request(&mut stream).await {
                return;
            }
            log.requests.fetch_add(1, Ordering::SeqCst);
            stream.write_all(ANSWER).await.unwrap();
        }
        for _ in 0..many % 7 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let client = plain(4);
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (client, url) = (client.clone(), server.url("/"));
        tasks.spawn(async move {
            for n in 0..125 {
                let answer = fetch(&client, &url).await;
                assert_eq!(answer.map_err(|error| chain(&error)).unwrap().body, "ok");
                if n % 5 == 0 {
                    time::sleep(Duration::from_micros(100)).await;
                }
            }
        });
    }
    within_a_minute(tasks.join_all()).await;
    assert_eq!(server.requests(), 500);
    assert!(server.connections() > 100);
}

#[tokio::test]
async fn a_body_that_is_streamed_is_not_sent_again() {
    let server = fickle_server().await;
    let client = plain(1);
    fetch(&client, &server.url("/")).await.unwrap();
    let (mut sender, body) = http_body_util::Channel::<bytes::Bytes>::new(1);
    sender.send_data("piece".into()).await.unwrap();
    let request = Request::get(server.url("/")).body(body).unwrap();
    assert!(client.request(request).await.is_err());
    assert_eq!((server.connections(), server.requests()), (1, 2));
}

/// What a program does not read while it is busy: this thread drives the runtime, and is.
fn busy_until(happened: &mpsc::Receiver<()>) {
    happened.recv().unwrap();
    thread::sleep(Duration::from_millis(20));
}

/// The server resets an idle connection; the request is the first to find out, by a write of which
/// nothing is taken.
#[tokio::test]
async fn a_request_that_the_system_did_not_take_is_sent_again_whatever_its_method() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (close, told_to_close) = mpsc::channel::<()>();
    let (closed, is_closed) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut buffer = [0; 4096];
        let (mut first, _) = listener.accept().unwrap();
        assert!(first.read(&mut buffer).unwrap() > 0);
        first.write_all(ANSWER).unwrap();
        told_to_close.recv().unwrap();
        let first = socket2::Socket::from(first);
        first.set_linger(Some(Duration::ZERO)).unwrap();
        drop(first);
        closed.send(()).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        let n = second.read(&mut buffer).unwrap();
        second.write_all(ANSWER).unwrap();
        buffer[..n].to_vec()
    });
    let client = plain(1);
    fetch(&client, &url).await.unwrap();
    settled(&client).await;

    close.send(()).unwrap();
    busy_until(&is_closed);
    let answered = client.request(post(&url, "a body")).await;
    assert!(answered.is_ok(), "{}", chain(&answered.unwrap_err()));
    assert!(server.join().unwrap().starts_with(b"POST / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_connection_that_was_warmed_and_has_died_since_is_no_new_one() {
    let server = Server::raw(|log, mut stream| async move {
        let is_first = log.connections.load(Ordering::SeqCst) == 1;
        if request(&mut stream).await && !is_first {
            stream.write_all(ANSWER).await.unwrap();
        }
    })
    .await;
    let client = plain(1);
    client.pool().warm(&server.url("/").parse().unwrap(), 1).await.unwrap();
    time::sleep(Duration::from_millis(30)).await;
    let answer = fetch(&client, &server.url("/")).await;
    assert_eq!(answer.map_err(|error| chain(&error)).unwrap().body, "ok");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_request_that_was_sent_again_is_reported_as_its_callers() {
    let server = fickle_server().await;
    let client = plain(1);
    fetch(&client, &server.url("/")).await.unwrap();
    let response = client.request(get(&server.url("/"))).await.unwrap();
    assert_eq!(server.connections(), 2);
    let loans = client.pool().loans();
    assert!(loans[0].place.file().ends_with("retry.rs"), "{:?}", loans[0].place);
    drop(response);
}
