//! Streams of messages, frame by frame.

use std::time::Duration;

use tonic::{Code, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use wharf::grpc::PooledChannel;

use crate::raw_peer::{HEADERS, RawConnection, RawPeer};
use crate::server::{GrpcPool, pool, until, uri, within_a_minute};

/// A stream of messages whose head has come, with its connection and its number there.
async fn stream(
    limit: Option<Duration>,
) -> (GrpcPool, RawConnection, u32, Streaming<HealthCheckResponse>) {
    let (pool, peer) = (pool(|b| b), RawPeer::start().await);
    let channel = PooledChannel::new(pool.host(&uri(peer.address()))).timeout(limit);
    let call = tokio::spawn(async move {
        HealthClient::new(channel).watch(HealthCheckRequest::default()).await
    });
    let mut connection = peer.accept().await;
    connection.settings(None).await;
    let id = connection.read_until(HEADERS).await.stream;
    connection.answer(id).await;
    let messages = within_a_minute(call).await.unwrap().unwrap().into_inner();
    (pool, connection, id, messages)
}

#[tokio::test]
async fn a_deadline_holds_also_where_the_next_message_is_always_there() {
    const MESSAGES: usize = 100;
    let limit = Duration::from_millis(200);
    let (pool, mut connection, id, mut messages) = stream(Some(limit)).await;
    for _ in 0..MESSAGES {
        connection.message(id).await;
    }
    connection.trailers(id).await;
    tokio::time::sleep(2 * limit).await;
    let error = within_a_minute(async {
        loop {
            match messages.message().await {
                Ok(message) => assert!(message.is_some(), "all messages came after the deadline"),
                Err(error) => return error,
            }
        }
    })
    .await;
    assert_eq!(error.code(), Code::DeadlineExceeded);
    // Also while what is left of the stream is held.
    until(|| pool.status().in_use == 0).await;
    drop(messages);
}
