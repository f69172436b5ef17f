//! What the TCP connectors tell of their connections: when the peer was heard, and whether they
//! have failed.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use wharf::Connector;
use wharf::tcp::{TcpConnection, TcpConnector, TcpHostConnector};

use crate::support::*;

async fn dialed<C: Connector>(
    connector: &C,
    key: impl Fn(SocketAddr) -> C::Key,
) -> (C::Connection, TcpStream) {
    let (listener, address) = server().await;
    let connection = connector.connect(&key(address)).await.unwrap();
    (connection, accept(&listener).await)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

async fn by_name(connector: &TcpHostConnector) -> (TcpConnection, TcpStream) {
    dialed(connector, |address| address.to_string()).await
}

#[tokio::test]
async fn a_peer_is_heard_when_a_read_gives_bytes_and_not_while_it_is_silent() {
    let connector = TcpHostConnector::new();
    let (mut connection, mut peer) = by_name(&connector).await;
    let mut before = connector.last_heard(&connection).unwrap();
    connection.write_all(b"hello").await.unwrap();
    peer.read_exact(&mut [0; 5]).await.unwrap();
    connection.try_read(&mut [0; 5]).unwrap_err();
    assert_eq!(connector.last_heard(&connection), Some(before));

    peer.write_all(b"hello, world").await.unwrap();
    connection.read_exact(&mut [0; 5]).await.unwrap();
    let heard = connector.last_heard(&connection).unwrap();
    assert!(heard > before);
    before = heard;
    connection.readable().await.unwrap();
    assert_eq!(connection.try_read(&mut [0; 7]).unwrap(), 7);
    assert!(connector.last_heard(&connection).unwrap() > before);
}

#[tokio::test]
async fn a_peer_that_answers_a_ping_is_heard() {
    let options = TcpHostConnector::builder().ping(*b"ping", *b"pong");
    let connector = options.build().unwrap();
    let (mut connection, mut peer) = by_name(&connector).await;
    let before = connector.last_heard(&connection).unwrap();
    peer.write_all(b"pong").await.unwrap();
    connector.ping(&mut connection).await.unwrap();
    assert!(connector.last_heard(&connection).unwrap() > before);
}

#[tokio::test]
async fn a_plain_stream_does_not_tell_when_its_peer_was_heard() {
    let connector = TcpConnector::new();
    let (stream, _peer) = dialed(&connector, |address| address).await;
    assert_eq!(connector.last_heard(&stream), None);
}

/// Whether a connection that is not open any more after this has failed.
async fn has_failed<C: Connector>(
    connector: C,
    key: impl Fn(SocketAddr) -> C::Key,
    end: impl FnOnce(TcpStream),
) -> bool {
    assert!(connector.notices_close());
    let (mut connection, peer) = dialed(&connector, key).await;
    end(peer);
    within_a_minute(async {
        while connector.is_open(&mut connection) {
            yield_now().await;
        }
    })
    .await;
    connector.has_failed(&mut connection)
}

fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

#[tokio::test]
async fn a_connection_that_is_reset_has_failed() {
    assert!(has_failed(TcpConnector::new(), |address| address, reset).await);
    assert!(has_failed(TcpHostConnector::new(), |address| address.to_string(), reset).await);
}

#[tokio::test]
async fn a_connection_whose_peer_closes_it_has_not_failed() {
    assert!(!has_failed(TcpConnector::new(), |address| address, drop).await);
    assert!(!has_failed(TcpHostConnector::new(), |address| address.to_string(), drop).await);
}

#[tokio::test]
async fn a_connection_with_unread_bytes_has_not_failed() {
    let connector = TcpConnector::new();
    let (mut stream, mut peer) = dialed(&connector, |address| address).await;
    peer.write_all(b"unasked").await.unwrap();
    stream.readable().await.unwrap();
    assert!(!connector.is_open(&mut stream));
    assert!(!connector.has_failed(&mut stream));
}
