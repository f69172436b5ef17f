//! Interim (1xx) answers, and bodies that wait to be asked for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;
use wharf_http::{Client, Error, Protocol};

use crate::support::*;

/// What a connection brings, as far as it was read.
type Arrived = Arc<Mutex<String>>;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

async fn read_until(stream: &mut TcpStream, arrived: &Arrived, end: &str) -> bool {
    let mut buffer = [0; 4096];
    while !arrived.lock().ends_with(end) {
        let Ok(n @ 1..) = stream.read(&mut buffer).await else { return false };
        arrived.lock().push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    true
}

/// A server that hears the head of a request and then does this.
async fn after_the_head<F, R>(then: F) -> (Server, Arrived)
where
    F: Fn(TcpStream, Arrived) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let arrived = Arrived::default();
    let of_server = arrived.clone();
    let server = Server::raw(move |_, mut stream| {
        let (arrived, then) = (of_server.clone(), then.clone());
        async move {
            arrived.lock().clear();
            if read_until(&mut stream, &arrived, "\r\n\r\n").await {
                then(stream, arrived).await;
            }
        }
    })
    .await;
    (server, arrived)
}

fn expecting(url: &str) -> Request<Full<Bytes>> {
    let mut request = post(url, "0123456789");
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    request
}

#[tokio::test]
async fn eight_interim_answers_are_passed_over_and_a_ninth_is_an_error() {
    for (interim, is_answered) in [(8, true), (9, false), (100_000, false)] {
        let (server, _) = after_the_head(move |mut stream, _| async move {
            for _ in 0..interim {
                let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
                if stream.write_all(hint).await.is_err() {
                    return;
                }
            }
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let client = plain(1);
        let answer = client.request(get(&server.url("/"))).await;
        assert_eq!(answer.is_ok(), is_answered, "{interim}");
        if let Err(error) = answer {
            assert!(matches!(error, Error::Interim { .. }), "{error:?}");
            assert!(error.to_string().contains(&server.address.to_string()), "{error}");
            assert_eq!(settled(&client).await.idle, 0);
            until(|| server.log.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
        }
    }
}

#[tokio::test]
async fn each_request_of_a_connection_has_its_own_eight() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {
            for _ in 0..5 {
                stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.unwrap();
            }
            stream.write_all(ANSWER).await.unwrap();
        }
    })
    .await;
    let client = plain(1);
    for _ in 0..4 {
        assert_eq!(fetch(&client, &server.url("/")).await.unwrap().body, "done");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_body_that_expects_continue_is_sent_when_it_is_asked_for() {
    let (server, arrived) = after_the_head(|mut stream, arrived| async move {
        // Nothing comes before it is asked for.
        assert!(time::timeout(Duration::from_millis(50), stream.readable()).await.is_err());
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        assert!(read_until(&mut stream, &arrived, "0123456789").await);
        stream.write_all(ANSWER).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let client = plain(1);
    let response = client.request(expecting(&server.url("/"))).await.unwrap();
    assert_eq!(read(response).await.unwrap().body, "done");
    assert!(arrived.lock().contains("expect: 100-continue\r\n"));
    assert_eq!(settled(&client).await.idle, 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_asks_for_is_sent_after_a_second() {
    let (server, _) = after_the_head(|mut stream, arrived| async move {
        let began = time::Instant::now();
        assert!(read_until(&mut stream, &arrived, "0123456789").await);
        assert!(began.elapsed() >= Duration::from_millis(990), "{:?}", began.elapsed());
        stream.write_all(ANSWER).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let client = plain(1);
    let response = client.request(expecting(&server.url("/"))).await.unwrap();
    assert_eq!(read(response).await.unwrap().body, "done");
    assert_eq!(client.pool().status().idle, 1);
}

#[tokio::test]
async fn a_body_that_was_refused_is_never_sent_and_its_connection_is_closed() {
    let (server, arrived) = after_the_head(|mut stream, arrived| async move {
        if arrived.lock().starts_with("GET") {
            stream.write_all(ANSWER).await.unwrap();
            return;
        }
        let answer = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 4\r\n\r\nno, ";
        stream.write_all(answer).await.unwrap();
        // Whether the client sends anything before it closes.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        arrived.lock().push_str(std::str::from_utf8(&rest).unwrap());
    })
    .await;
    let client = plain(1);
    let response = client.request(expecting(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::EXPECTATION_FAILED);
    assert_eq!(read(response).await.unwrap().body, "no, ");
    assert_eq!(settled(&client).await.idle, 0);
    until(|| server.log.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
    assert!(arrived.lock().ends_with("\r\n\r\n"), "{}", arrived.lock());
    assert_eq!(fetch(&client, &server.url("/")).await.unwrap().body, "done");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_expectation_without_a_body_does_not_wait() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    let mut request = get(&server.url("/a"));
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    assert_eq!(read(client.request(request).await.unwrap()).await.unwrap().body, "GET /a");
    assert_eq!(settled(&client).await.idle, 1);
}

#[tokio::test]
async fn an_expectation_on_http_2_does_not_wait() {
    let server = Server::start(HTTP2).await;
    let client: Client = client(1, |builder| builder.protocol(Protocol::Http2));
    let response = client.request(expecting(&server.url("/echo"))).await.unwrap();
    assert_eq!(read(response).await.unwrap().body, "0123456789");
}
