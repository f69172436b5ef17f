//! Streams of messages, frame by frame.

use std::time::Duration;

use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use tokio_stream::StreamExt;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_service::Service;
use wharf_grpc::PooledChannel;

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
    connection.head(id).await;
    let messages = within_a_minute(call).await.unwrap().unwrap().into_inner();
    (pool, connection, id, messages)
}

#[tokio::test]
async fn a_deadline_holds_also_where_the_next_message_is_always_there() {
    const MESSAGES: usize = 100;
    let limit = Duration::from_secs(20);
    let (pool, mut connection, id, mut messages) = stream(Some(limit)).await;
    for _ in 0..MESSAGES {
        connection.message(id).await;
    }
    connection.trailers(id).await;
    tokio::time::pause();
    tokio::time::advance(2 * limit).await;
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

#[tokio::test]
async fn a_stream_of_requests_that_fails_here_is_not_blamed_on_the_server() {
    let peer = RawPeer::start().await;
    let pool = pool(|b| b);
    let mut channel = PooledChannel::new(pool.host(&uri(peer.address())));
    let (told, more) = tokio::sync::oneshot::channel();
    let messages = tokio_stream::once(Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0]))));
    let fails = futures_util::stream::once(async move {
        let _: Result<(), _> = more.await;
        Err(Status::out_of_range("the message is too long"))
    });
    let body = tonic::body::Body::new(StreamBody::new(messages.chain(Box::pin(fails))));
    let request = hyper::Request::post("http://any/a.B/C").body(body).unwrap();
    let call = tokio::spawn(async move { Service::call(&mut channel, request).await.map(drop) });
    let mut connection = peer.accept().await;
    connection.settings(None).await;
    connection.read_until(crate::raw_peer::DATA).await;
    told.send(()).unwrap();
    let error = within_a_minute(call).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange, "{error:?}");
}
