//! How many calls on how many connections.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tonic_health::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use wharf::{AcquireError, Lease, Spread};
use wharf_grpc::{GrpcChannel, GrpcConnector};

use crate::raw_peer::RawPeer;
use crate::server::{
    GrpcLease, Server, Watch, check, pool, pool_with, until, uri, within_a_minute,
};

fn connections<'a>(watches: impl IntoIterator<Item = &'a Watch>) -> HashMap<u64, usize> {
    let mut counts = HashMap::new();
    for watch in watches {
        *counts.entry(watch.connection()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_first_calls_at_once_make_one_dial() {
    let server = Server::start();
    let pool = pool(|b| b);
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (pool, server) = (pool.clone(), server.uri());
        calls.spawn(async move {
            let lease = pool.acquire(&server).await.unwrap();
            check(&lease).await.unwrap()
        });
    }
    for status in within_a_minute(calls.join_all()).await {
        assert_eq!(status, ServingStatus::Serving);
    }
    let status = pool.status();
    assert_eq!((status.dials, status.leases), (1, 0));
}

#[tokio::test]
async fn a_generated_client_is_made_of_a_lease() {
    let server = Server::start();
    let pool = pool(|b| b);
    let lease = pool.acquire(&server.uri()).await.unwrap();
    let mut client: HealthClient<GrpcChannel> = HealthClient::new(lease.clone());
    client.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_three_calls_gets_three_on_each_connection_up_to_the_cap() {
    let server = Server::start_with(|s| s.max_concurrent_streams(3));
    let pool = pool(|b| b.max_per_host(2));
    let mut watches = Vec::new();
    for dials in [1, 1, 1, 2, 2, 2] {
        watches.push(Watch::begin(&pool, &server.uri()).await);
        assert_eq!(pool.status().dials, dials);
    }
    assert_eq!(watches[0].lease.max_concurrent_streams(), Some(3));
    assert_eq!(connections(&watches).into_values().collect::<Vec<_>>(), [3, 3]);

    // A new caller waits until a call ends.
    let soon = Duration::from_millis(50);
    let error = pool.acquire_within(&server.uri(), soon).await.unwrap_err();
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    let waiting = tokio::spawn({
        let (pool, server) = (pool.clone(), server.uri());
        async move { Watch::begin(&pool, &server).await }
    });
    until(|| pool.status().waiting == 1).await;
    let gone = watches.remove(4).connection();
    assert_eq!(within_a_minute(waiting).await.unwrap().connection(), gone);
    assert_eq!(pool.status().dials, 2);
}

#[tokio::test]
async fn a_limit_that_the_server_lowers_or_raises_is_followed() {
    let peer = RawPeer::start().await;
    let server = uri(peer.address());
    let pool = pool(|b| b.max_per_host(1));
    let first = tokio::spawn({
        let (pool, server) = (pool.clone(), server.clone());
        async move { pool.acquire(&server).await.unwrap() }
    });
    let mut connection = peer.accept().await;
    connection.settings(Some(3)).await;
    let first = within_a_minute(first).await.unwrap();
    let second = pool.acquire(&server).await.unwrap();
    assert_eq!(first.max_concurrent_streams(), Some(3));

    connection.settings(Some(1)).await;
    until(|| first.max_concurrent_streams() == Some(1)).await;
    assert!(pool.try_acquire(&server).is_none(), "there are two leases and room for one");
    drop(second);
    assert!(pool.try_acquire(&server).is_none(), "there is one lease and room for one");
    drop(first);
    let alone = pool.try_acquire(&server).expect("there is room for one");
    assert!(pool.try_acquire(&server).is_none());

    connection.settings(Some(2)).await;
    until(|| alone.max_concurrent_streams() == Some(2)).await;
    drop(alone);
    let both = [pool.try_acquire(&server), pool.try_acquire(&server)];
    assert!(both.iter().all(Option::is_some));
    assert!(pool.try_acquire(&server).is_none());
    // Settings that do not speak of it change nothing.
    connection.settings(None).await;
    assert_eq!(pool.status().dials, 1);
}

#[tokio::test]
async fn a_server_without_a_limit_gets_as_many_calls_as_the_options_say() {
    let peer = RawPeer::start().await;
    let server = uri(peer.address());
    let options = GrpcConnector::builder().max_leases(2);
    let pool = pool_with(options, |b| b.max_per_host(1));
    let serving = async {
        let mut connection = peer.accept().await;
        connection.settings(None).await;
        connection
    };
    let (lease, _connection) = tokio::join!(pool.acquire(&server), serving);
    let _leases = [lease.unwrap(), pool.acquire(&server).await.unwrap()];
    assert!(pool.try_acquire(&server).is_none());
}

#[tokio::test]
async fn streams_that_are_reserved_are_left_for_health_checks() {
    let server = Server::start_with(|s| s.max_concurrent_streams(3));
    let options = GrpcConnector::builder().reserved_streams(1);
    let pool = pool_with(options, |b| b.max_per_host(1));
    let _watches =
        [Watch::begin(&pool, &server.uri()).await, Watch::begin(&pool, &server.uri()).await];
    assert!(pool.try_acquire(&server.uri()).is_none());

    // As many as there are cannot all be reserved.
    let options = GrpcConnector::builder().reserved_streams(3);
    let pool = pool_with(options, |b| b.max_per_host(1));
    let _one = pool.acquire(&server.uri()).await.unwrap();
    assert!(pool.try_acquire(&server.uri()).is_none());
}

#[tokio::test]
async fn calls_go_where_the_fewest_are() {
    let server = Server::start();
    let pool = pool(|b| b.spread(Spread::LeastLoaded));
    pool.warm(&server.uri(), 3).await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..6 {
        watches.push(Watch::begin(&pool, &server.uri()).await);
    }
    assert_eq!(connections(&watches).into_values().collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(pool.status().dials, 3);
}

#[tokio::test]
async fn a_call_that_is_cancelled_leaves_the_others_on_its_connection_alone() {
    let server = Server::start_with(|s| s.max_concurrent_streams(3));
    let pool = pool(|b| b.max_per_host(1));
    let mut first = Watch::begin(&pool, &server.uri()).await;
    let cancelled = Watch::begin(&pool, &server.uri()).await;
    let mut last = Watch::begin(&pool, &server.uri()).await;

    drop(cancelled);
    server.set(ServingStatus::NotServing).await;
    for watch in [&mut first, &mut last] {
        assert_eq!(watch.next().await.unwrap(), ServingStatus::NotServing);
    }
    // Its stream is free again: the server takes another call.
    let lease: GrpcLease = pool.acquire(&server.uri()).await.unwrap();
    assert_eq!(within_a_minute(check(&lease)).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(Lease::info(&lease).id, first.connection());
    assert_eq!(pool.status().dials, 1);
}
