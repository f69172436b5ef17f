//! What a connector tells of its connections: when the peer was heard, and whether they have failed.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use tokio::time::Instant;
use wharf::Connector;
use wharf_websocket::{CloseCode, CloseFrame, Message, WebSocketConnection, WebSocketConnector};

use crate::server::{Peer, Server, soon, until};

async fn dialed(connector: &WebSocketConnector) -> (WebSocketConnection, Peer) {
    let server = Server::start().await;
    let url = server.url();
    let (connection, peer) =
        soon(async { tokio::join!(connector.connect(&url), server.accept()) }).await;
    (connection.unwrap(), peer)
}

fn heard(connector: &WebSocketConnector, connection: &WebSocketConnection) -> Instant {
    connector.last_heard(connection).unwrap()
}

#[tokio::test]
async fn a_peer_is_heard_when_it_sends_and_not_while_it_is_silent() {
    let connector = WebSocketConnector::new();
    let (mut connection, mut peer) = dialed(&connector).await;
    let before = heard(&connector, &connection);
    connection.send(Message::text("hello")).await.unwrap();
    soon(peer.next()).await.unwrap().unwrap();
    assert_eq!(heard(&connector, &connection), before);

    peer.send(Message::text("hello")).await.unwrap();
    soon(connection.next()).await.unwrap().unwrap();
    assert!(heard(&connector, &connection) > before);
}

/// Whether a connection that has ended so has failed.
async fn has_failed(end: impl AsyncFnOnce(Peer)) -> bool {
    let connector = WebSocketConnector::new();
    assert!(connector.notices_close());
    let (mut connection, peer) = dialed(&connector).await;
    end(peer).await;
    until(|| !connector.is_open(&mut connection)).await;
    connector.has_failed(&mut connection)
}

async fn has_failed_with(code: CloseCode) -> bool {
    has_failed(async |mut peer| {
        let frame = CloseFrame { code, reason: "".into() };
        peer.close(Some(frame)).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_connection_that_is_reset_has_failed() {
    let reset = async |peer: Peer| {
        SockRef::from(peer.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    };
    assert!(has_failed(reset).await);
}

#[tokio::test]
async fn a_connection_that_the_peer_closes_has_failed_only_if_the_code_says_so() {
    for code in [CloseCode::Normal, CloseCode::Away, CloseCode::Policy, CloseCode::Library(4000)] {
        assert!(!has_failed_with(code).await, "{code}");
    }
    for code in [CloseCode::Error, CloseCode::Restart] {
        assert!(has_failed_with(code).await, "{code}");
    }
}

#[tokio::test]
async fn a_connection_with_a_request_that_was_given_up_has_not_failed() {
    let connector = WebSocketConnector::new();
    let (mut connection, _peer) = dialed(&connector).await;
    let asked = tokio::time::timeout(Duration::ZERO, connection.request(Message::text("hello")));
    asked.await.unwrap_err();
    assert!(!connector.is_open(&mut connection));
    assert!(!connector.has_failed(&mut connection));
}
