//! Peers that do not speak HTTP/2 where it is certain, or speak it wrongly.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_http::{Client, Error, Protocol};

use crate::frames::{DATA, END_HEADERS, HEADERS, Peer};
use crate::support::*;

fn http2() -> Client {
    client(1, |b| b.protocol(Protocol::Http2))
}

async fn fails_at_once(server: &Server) {
    let client = http2();
    for request in 1..=3 {
        let begun = Instant::now();
        let error = within_a_minute(fetch(&client, &server.url("/"))).await.unwrap_err();
        assert!(matches!(error, Error::NoHttp2 { .. }), "{error:?}");
        assert!(error.to_string().contains("may not speak it on this port"), "{error}");
        // The first of the pauses would be one second.
        assert!(begun.elapsed() < Duration::from_millis(900));
        assert_eq!(client.pool().status().dials, request);
    }
}

#[tokio::test]
async fn a_server_of_http1_is_an_error_at_once() {
    fails_at_once(&Server::start(HTTP1).await).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_and_ends_is_an_error_at_once() {
    let server = Server::raw(|_, mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    });
    fails_at_once(&server.await).await;
}

#[tokio::test]
async fn a_server_that_greets_in_its_own_way_is_an_error_at_once() {
    let server = Server::raw(|_, mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP ready\r\n").await;
        while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
    });
    fails_at_once(&server.await).await;
}

/// A `103 Early Hints` without fields, as HPACK writes it.
const HINT: &[u8] = &[0x08, 3, b'1', b'0', b'3'];

/// A server that sends a number of interim responses before each response.
async fn hinting(hints: usize) -> Server {
    Server::raw(move |_, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        while let Some(stream) = peer.request().await {
            for _ in 0..hints {
                if peer.write(HEADERS, END_HEADERS, stream, HINT).await.is_none() {
                    return;
                }
            }
            peer.write(HEADERS, END_HEADERS, stream, &[0x88]).await;
            peer.write(DATA, 1, stream, b"body").await;
        }
    })
    .await
}

#[tokio::test]
async fn eight_interim_responses_are_skipped_on_http2() {
    let server = hinting(8).await;
    let client = http2();
    for _ in 0..20 {
        let fetched = within_a_minute(fetch(&client, &server.url("/"))).await.unwrap();
        assert_eq!((fetched.status.as_u16(), &fetched.body[..]), (200, &b"body"[..]));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn interim_responses_without_end_are_an_error() {
    let server = hinting(200_000).await;
    let client = http2();
    let error = within_a_minute(fetch(&client, &server.url("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Interim { .. }), "{error:?}");
    assert_eq!(server.connections(), 1, "it is not sent again");
}
