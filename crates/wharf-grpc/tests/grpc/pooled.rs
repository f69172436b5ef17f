//! Calls through the channel on all connections of a host.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf_grpc::{GrpcConnector, PooledChannel, is_unprocessed};

use crate::raw_peer::{HEADERS, RawConnection, RawPeer};
use crate::server::{
    GrpcPool, SECOND, Server, chain, pool, pool_with, status_of, until, uri, within_a_minute,
};

const SOON: Duration = Duration::from_millis(50);

fn channel(pool: &GrpcPool, server: &http::Uri) -> PooledChannel {
    PooledChannel::new(pool.host(server))
}

async fn check(channel: &PooledChannel) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(channel.clone());
    let answer = client.check(HealthCheckRequest::default()).await?;
    Ok(status_of(answer.into_inner()))
}

#[tokio::test]
async fn a_call_holds_a_lease_until_its_last_message() {
    let server = Server::start();
    let pool = pool(|b| b);
    let channel = channel(&pool, &server.uri());
    assert_eq!(check(&channel).await.unwrap(), ServingStatus::Serving);
    assert_eq!(pool.status().leases, 0);

    let mut client = HealthClient::new(channel.clone());
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    assert_eq!(pool.status().leases, 1);
    drop(watch);
    assert_eq!(pool.status().leases, 0);
    assert_eq!(pool.status().dials, 1);
}

#[tokio::test]
async fn calls_that_one_connection_does_not_carry_go_on_others() {
    let server = Server::start_with(|s| s.max_concurrent_streams(3));
    let pool = pool(|b| b.max_per_host(2));
    let mut client = HealthClient::new(channel(&pool, &server.uri()));
    let mut watches = Vec::new();
    for _ in 0..6 {
        let call = within_a_minute(client.watch(HealthCheckRequest::default()));
        watches.push(call.await.unwrap().into_inner());
    }
    let status = pool.status();
    assert_eq!((status.dials, status.leases), (2, 6));
    // The seventh waits.
    assert!(time::timeout(SOON, client.check(HealthCheckRequest::default())).await.is_err());
    drop(watches.pop());
    within_a_minute(client.check(HealthCheckRequest::default())).await.unwrap();
}

/// Counts the calls that the server begins.
fn counting(begun: &Arc<AtomicUsize>, age: Duration) -> Server {
    let begun = begun.clone();
    Server::start_with(|server| {
        server.max_connection_age(age).trace_fn(move |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            tracing::Span::none()
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_unary_call_fails_or_runs_twice_while_the_server_ends_connections_of_a_certain_age() {
    let begun = Arc::new(AtomicUsize::new(0));
    let server = counting(&begun, SOON);
    let pool = pool(|b| b);
    let channel = channel(&pool, &server.uri());
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (pool, channel) = (pool.clone(), channel.clone());
        callers.spawn(async move {
            let mut answered = 0;
            while pool.status().dials < 20 || answered < 10 {
                check(&channel).await.unwrap_or_else(|status| panic!("{}", chain(&status)));
                answered += 1;
            }
            answered
        });
    }
    let answered: usize = within_a_minute(callers.join_all()).await.into_iter().sum();
    let status = pool.status();
    assert_eq!(status.leases, 0);
    assert_eq!(begun.load(Ordering::Relaxed), answered);
}

/// A call through a channel to a peer that has read the head of its request.
async fn call(peer: &RawPeer) -> (RawConnection, u32, Calling) {
    let pool = pool(|b| b);
    let channel = channel(&pool, &uri(peer.address()));
    let call = tokio::spawn(async move { check(&channel).await });
    let (connection, stream) = requested(peer).await;
    (connection, stream, call)
}

type Calling = tokio::task::JoinHandle<Result<ServingStatus, Status>>;

async fn requested(peer: &RawPeer) -> (RawConnection, u32) {
    let mut connection = peer.accept().await;
    connection.settings(None).await;
    let stream = connection.read_until(HEADERS).await.stream;
    (connection, stream)
}

#[tokio::test]
async fn a_call_that_the_server_did_not_look_at_is_sent_again_on_another_connection() {
    let peer = RawPeer::start().await;
    let (mut connection, _, call) = call(&peer).await;
    connection.go_away(0).await;
    let (mut other, stream) = requested(&peer).await;
    other.reset(stream, 2).await;
    let error = within_a_minute(call).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Internal, "{}", chain(&error));
}

#[tokio::test]
async fn a_call_that_is_refused_is_sent_again_eight_times_at_most() {
    let peer = RawPeer::start().await;
    let (mut connection, mut stream, call) = call(&peer).await;
    for _ in 0..8 {
        connection.reset(stream, 7).await; // REFUSED_STREAM
        stream = connection.read_until(HEADERS).await.stream;
    }
    connection.reset(stream, 7).await;
    let error = within_a_minute(call).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(is_unprocessed(&error), "{}", chain(&error));
}

#[tokio::test]
async fn a_call_that_a_server_may_have_begun_is_not_sent_again() {
    for (reset, code) in [
        (None, Code::Unavailable),
        (Some(2), Code::Internal),
        (Some(8), Code::Cancelled),
        (Some(11), Code::ResourceExhausted),
    ] {
        let peer = RawPeer::start().await;
        let (mut connection, stream, call) = call(&peer).await;
        if let Some(reason) = reset {
            connection.reset(stream, reason).await;
        } else {
            connection.go_away(stream).await;
            drop(connection);
        }
        let error = within_a_minute(call).await.unwrap().unwrap_err();
        assert!(!is_unprocessed(&error), "{}", chain(&error));
        assert_eq!(error.code(), code, "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_to_be_kept_is_not_sent_again() {
    for (length, is_sent_again) in [(200 * 1024, true), (300 * 1024, false)] {
        let peer = RawPeer::start().await;
        let pool = pool(|b| b);
        let mut client = HealthClient::new(channel(&pool, &uri(peer.address())));
        let call = tokio::spawn(async move {
            let request = HealthCheckRequest { service: "a".repeat(length) };
            client.check(request).await
        });
        let (mut connection, stream) = requested(&peer).await;
        connection.reset(stream, 7).await;
        if is_sent_again {
            connection.read_until(HEADERS).await;
        } else {
            let error = within_a_minute(call).await.unwrap().unwrap_err();
            assert!(is_unprocessed(&error), "{}", chain(&error));
        }
    }
}

#[tokio::test]
async fn a_deadline_bounds_the_wait_for_a_lease_all_tries_and_the_answer() {
    let server = Server::start_with(|s| s.max_concurrent_streams(1));
    let pool = pool(|b| b.max_per_host(1));
    let channel = channel(&pool, &server.uri());
    let hurried = channel.clone().timeout(SECOND);
    let mut client = HealthClient::new(hurried.clone());
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();

    let error = check(&hurried).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{}", chain(&error));
    let error = within_a_minute(watch.message()).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{}", chain(&error));
    drop(watch);
    until(|| pool.status().leases == 0).await;
    check(&channel).await.unwrap();

    let peer = RawPeer::start().await;
    let silent = crate::server::pool(|b| b);
    let mut client = HealthClient::new(PooledChannel::new(silent.host(&uri(peer.address()))));
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(SECOND);
    let (error, (mut connection, _)) = tokio::join!(client.check(request), requested(&peer));
    assert_eq!(error.unwrap_err().code(), Code::DeadlineExceeded);
    connection.read_until(crate::raw_peer::RST_STREAM).await;
}

#[tokio::test]
async fn a_call_whose_message_is_stalled_is_reset_when_its_answer_is_dropped() {
    let peer = RawPeer::start().await;
    let pool = pool(|b| b);
    let mut client = HealthClient::new(channel(&pool, &uri(peer.address())));
    let (watch, mut connection) =
        tokio::join!(client.watch(HealthCheckRequest::default()), async {
            let mut connection = peer.accept().await;
            connection.settings_without_window().await;
            let stream = connection.read_until(HEADERS).await.stream;
            connection.head(stream).await;
            connection
        });
    drop(watch.unwrap());
    connection.read_until(crate::raw_peer::RST_STREAM).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unavailable_and_the_cause_is_told() {
    let options = GrpcConnector::builder();
    let pool = pool_with(options, |b| b);
    let error = check(&channel(&pool, &http::Uri::from_static("ftp://a"))).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(chain(&error).contains("must begin with http:// or https://"), "{}", chain(&error));
    assert!(!is_unprocessed(&error));
}
