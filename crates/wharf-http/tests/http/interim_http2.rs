//! Interim answers on HTTP/2, and heads that are none.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::task::{JoinSet, yield_now};
use tokio::time;
use wharf_http::{Error, Protocol};

use crate::frames::{DATA, END_HEADERS, HEADERS, Peer};
use crate::support::*;

/// A server that answers each request with a head at once, and with a body never (a stream of events).
async fn events() -> Server {
    Server::raw(move |_, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        while let Some(frame) = peer.read().await {
            if frame.kind == HEADERS
                && peer.write(HEADERS, END_HEADERS, frame.stream, &[0x88]).await.is_none()
            {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn responses_whose_bodies_nobody_waits_for_are_not_interim_ones() {
    let server = events().await;
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    for nth in 0..60 {
        let response = within_a_minute(client.request(get(&server.url("/")))).await;
        let response = response.unwrap_or_else(|error| panic!("request {nth}: {}", chain(&error)));
        assert_eq!(response.status(), 200);
        drop(response);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn subscribers_that_leave_do_not_end_the_one_that_stays() {
    let server = events().await;
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    let stays = within_a_minute(client.request(get(&server.url("/")))).await.unwrap();
    let mut others = JoinSet::new();
    for _ in 0..90 {
        others.spawn(client.request(get(&server.url("/"))));
    }
    let others: Vec<_> = within_a_minute(others.join_all()).await;
    assert!(others.iter().all(Result::is_ok));
    drop(others);
    time::sleep(Duration::from_millis(100)).await;
    let next = within_a_minute(client.request(get(&server.url("/")))).await;
    assert!(next.is_ok(), "{}", chain(&next.unwrap_err()));
    let frame = time::timeout(Duration::from_millis(100), stays.into_body().frame()).await;
    assert!(frame.is_err(), "it has ended: {frame:?}");
}

#[tokio::test]
async fn interim_answers_between_pieces_of_another_body_are_too_many_as_well() {
    let server = Server::raw(move |_, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        let first = peer.request().await.unwrap();
        peer.write(HEADERS, END_HEADERS, first, &[0x88]).await.unwrap();
        let second = peer.request().await.unwrap();
        // :status 103, as a literal without indexing whose name is that of index 8.
        while peer.write(HEADERS, END_HEADERS, second, b"\x08\x03103").await.is_some()
            && peer.write(DATA, 0, first, &[]).await.is_some()
        {
            yield_now().await;
        }
    })
    .await;
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    let _first = within_a_minute(client.request(get(&server.url("/")))).await.unwrap();
    let second = time::timeout(Duration::from_secs(5), client.request(get(&server.url("/")))).await;
    let error = second.expect("they are not read without end").unwrap_err();
    assert!(matches!(error, Error::Interim { .. }), "{error:?}");
}
