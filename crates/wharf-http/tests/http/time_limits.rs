//! The time limits of a client.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel};
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;
use wharf_http::{Client, Error, Protocol};

use crate::support::*;

/// Short, because it is waited for, and long enough for a request on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(1);

/// A server and a client of each version, with a cap of one connection.
async fn both(
    set: fn(wharf_http::ClientBuilder) -> wharf_http::ClientBuilder,
) -> [(Server, Client); 2] {
    let http2 = client(1, |builder| set(builder).protocol(Protocol::Http2));
    [(Server::start(HTTP1).await, client(1, set)), (Server::start(HTTP2).await, http2)]
}

/// What the server of the next borrower says, and on how many connections there were answers.
async fn next_borrower(server: &Server, client: &Client) -> usize {
    assert_eq!(fetch(client, &server.url("/next")).await.unwrap().body, "GET /next");
    server.connections()
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_given_up() {
    for (nth, (server, client)) in
        both(|builder| builder.response_header_timeout(LIMIT)).await.into_iter().enumerate()
    {
        let error = client.request(get(&server.url("/wait"))).await.unwrap_err();
        assert!(matches!(error, Error::HeaderTimeout { limit: LIMIT, .. }), "{error:?}");
        assert!(error.is_timeout());
        let says = format!("http://{} did not begin its response within 1s", server.address);
        assert!(error.to_string().starts_with(&says), "{error}");
        // On HTTP/1.1 the connection is closed, on HTTP/2 the stream is reset.
        assert_eq!(next_borrower(&server, &client).await, 2 - nth);
    }
}

#[tokio::test]
async fn the_time_for_the_head_begins_when_the_request_is_sent() {
    const SECOND: Duration = Duration::from_secs(1);
    for (server, client) in both(|builder| builder.response_header_timeout(SECOND)).await {
        let echo = Request::post(server.url("/echo"));
        let (mut slow, body) = Channel::<Bytes>::new(1);
        let upload = tokio::spawn(async move {
            for _ in 0..5 {
                time::sleep(SECOND / 4).await;
                slow.send_data(Bytes::from_static(b"piece")).await.unwrap();
            }
        });
        let answer = client.request(echo.body(body).unwrap()).await.unwrap();
        assert_eq!(read(answer).await.unwrap().body.len(), 25);
        upload.await.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up_before_its_head_and_in_its_body() {
    for (nth, (server, client)) in
        both(|builder| builder.timeout(LIMIT)).await.into_iter().enumerate()
    {
        let error = client.request(get(&server.url("/wait"))).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { limit: LIMIT, .. }), "{error:?}");
        assert_eq!(next_borrower(&server, &client).await, 2 - nth);

        let mut body = client.request(get(&server.url("/stall/10"))).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 10);
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }) && error.is_timeout(), "{error:?}");
        let says = format!("the exchange with http://{} took longer than 1s", server.address);
        assert!(error.to_string().starts_with(&says), "{error}");
        assert!(body.frame().await.is_none(), "an error is the end of a body");
        // While it is still held.
        assert_eq!(next_borrower(&server, &client).await, 3 - 2 * nth);
        drop(body);
    }
}

#[tokio::test]
async fn the_wait_for_a_connection_counts_too() {
    let server = Server::start(HTTP1).await;
    let client = client(1, |builder| builder.timeout(LIMIT));
    let held = client.request(get(&server.url("/stall/10"))).await.unwrap();
    let error = client.request(get(&server.url("/"))).await.unwrap_err();
    // The pool says what it lacked.
    assert!(matches!(error, Error::Acquire { .. }) && error.is_timeout(), "{error:?}");
    assert_eq!(client.pool().status().waiting, 0);
    drop(held);
}

#[tokio::test]
async fn a_body_that_is_read_slowly_into_memory_counts_too() {
    let client = client(1, |builder| builder.timeout(LIMIT));
    let (_sender, body) = Channel::<Bytes>::new(1);
    let request = Request::post("http://127.0.0.1:1/").header("content-length", "3");
    let error = client.request(request.body(body).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_drips_its_answer_does_not_escape_the_limit() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let client = client(1, |builder| builder.timeout(LIMIT));
    let error = fetch(&client, &server.url("/")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(settled(&client).await.idle, 0);
}

#[tokio::test]
async fn the_settings_of_the_pool_are_the_builders_too() {
    let second = Duration::from_secs(1);
    let server = Server::start(HTTP1).await;
    let client = Client::builder()
        .max_per_host(1)
        .max_idle_per_host(1)
        .max_total(1)
        .acquire_timeout(LIMIT / 5)
        .connect_timeout(second)
        .idle_timeout(second)
        .max_lifetime(second)
        .build()
        .unwrap();
    let held = client.request(get(&server.url("/bytes/10"))).await.unwrap();
    let error = fetch(&client, &server.url("/")).await.unwrap_err();
    assert!(error.is_timeout() && chain(&error).contains("1 of 1 in use"), "{}", chain(&error));
    drop(held);
    // `pool` takes the place of all of them.
    let anew = Client::builder().max_per_host(0).pool(wharf::SharedPool::builder()).build();
    assert!(anew.is_ok());
    for (builder, says) in [
        (Client::builder().timeout(Duration::ZERO), "timeout is 0s: it must be longer than zero"),
        (
            Client::builder().response_header_timeout(Duration::ZERO),
            "response_header_timeout is 0s: it must be longer than zero",
        ),
        (Client::builder().max_total(0), "max_total is 0"),
    ] {
        let text = builder.build().unwrap_err().to_string();
        assert!(text.starts_with(says), "{text}");
    }
}

#[tokio::test]
async fn a_request_has_a_limit_of_its_own_which_the_wait_for_a_connection_shares() {
    let server = Server::start(HTTP1).await;
    let client = client(1, |b| b.timeout(Duration::from_secs(60)));
    let _held = client.request(get(&server.url("/stall/10"))).await.unwrap();
    let hasty = client.with_timeout(Duration::from_millis(50));
    let error = within_a_minute(hasty.request(get(&server.url("/")))).await.map(drop).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    // What the pool says of it, and not only that it took too long.
    assert!(error.to_string().contains("1 of 1 in use"), "{error}");
    assert_eq!(client.pool().status().waiting, 0);
}
