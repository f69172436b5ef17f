//! What a connector tells of its channels: when the server was heard, and whether they have failed.

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::Connector;
use wharf_grpc::{GrpcChannel, GrpcConnector};

use crate::raw_peer::{HEADERS, RawConnection, RawPeer};
use crate::server::{until, uri, within_a_minute};

async fn dialed(connector: &GrpcConnector) -> (GrpcChannel, RawConnection) {
    let peer = RawPeer::start().await;
    let uri = uri(peer.address());
    let greets = async {
        let mut connection = peer.accept().await;
        connection.settings(None).await;
        connection
    };
    let (channel, peer) =
        within_a_minute(async { tokio::join!(connector.connect(&uri), greets) }).await;
    (channel.unwrap(), peer)
}

/// A call that the server has heard, and its stream.
async fn asked(
    channel: &GrpcChannel,
    peer: &mut RawConnection,
) -> (JoinHandle<Result<(), Status>>, u32) {
    let mut client = HealthClient::new(channel.clone());
    let call =
        tokio::spawn(async move { client.check(HealthCheckRequest::default()).await.map(drop) });
    let stream = peer.read_until(HEADERS).await.stream;
    (call, stream)
}

async fn answer(peer: &mut RawConnection, stream: u32) {
    peer.head(stream).await;
    peer.message(stream).await;
    peer.trailers(stream).await;
}

fn heard(connector: &GrpcConnector, channel: &GrpcChannel) -> Instant {
    connector.last_heard(channel).unwrap()
}

#[tokio::test]
async fn a_server_is_heard_when_it_answers_and_not_while_it_is_silent() {
    let connector = GrpcConnector::new();
    let (channel, mut peer) = dialed(&connector).await;
    let before = heard(&connector, &channel);
    let (call, stream) = asked(&channel, &mut peer).await;
    assert_eq!(heard(&connector, &channel), before, "it has only been asked");
    answer(&mut peer, stream).await;
    call.await.unwrap().unwrap();
    assert!(heard(&connector, &channel) > before);
}

#[tokio::test]
async fn a_channel_that_is_reset_in_a_call_has_failed() {
    let connector = GrpcConnector::new();
    assert!(connector.notices_close());
    let (mut channel, mut peer) = dialed(&connector).await;
    let (call, _) = asked(&channel, &mut peer).await;
    peer.cut();
    call.await.unwrap().unwrap_err();
    until(|| !channel.is_open()).await;
    assert!(connector.has_failed(&mut channel));
}

#[tokio::test]
async fn a_channel_whose_server_goes_away_after_the_last_answer_has_not_failed() {
    let connector = GrpcConnector::new();
    let (mut channel, mut peer) = dialed(&connector).await;
    let (call, stream) = asked(&channel, &mut peer).await;
    peer.go_away(stream).await;
    answer(&mut peer, stream).await;
    call.await.unwrap().unwrap();
    until(|| !channel.is_open()).await;
    assert!(!connector.has_failed(&mut channel));
}
