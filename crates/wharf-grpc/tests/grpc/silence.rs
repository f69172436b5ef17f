//! Servers that say nothing any more, and pings that are not sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::Heartbeat;
use wharf_grpc::{GrpcBuilder, GrpcConnector, PooledChannel};

use crate::proxy::Proxy;
use crate::raw_peer::{HEADERS, PING, RawPeer};
use crate::server::{SECOND, Server, Watch, check, pool, pool_with, until, uri, within_a_minute};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn keepalive_ends_a_silent_connection_and_the_calls_on_it() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let key = uri(proxy.address());
    let options = GrpcConnector::builder().keep_alive_interval(20 * SECOND);
    let pool = pool_with(options, |b| b);
    let mut running = Watch::begin(&pool, &key).await;

    proxy.freeze();
    // From here on nothing is heard, so time may pass at once.
    time::pause();
    running.next().await.unwrap_err();
    until(|| !running.lease.is_open()).await;
    time::resume();
    let lease = pool.acquire(&key).await.unwrap();
    check(&lease).await.unwrap();
    assert_eq!(pool.status().dials, 2);
}

#[tokio::test]
async fn heartbeats_find_a_silent_connection_before_the_next_call_does() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let key = uri(proxy.address());
    let beat = Heartbeat::every(5 * SECOND).timeout(5 * SECOND).max_missed(2);
    let pool = pool(|b| b.heartbeat(beat));
    check(&pool.acquire(&key).await.unwrap()).await.unwrap();

    proxy.freeze();
    time::pause();
    until(|| pool.status().closed == 1).await;
    time::resume();
    let lease = pool.acquire(&key).await.unwrap();
    within_a_minute(check(&lease)).await.unwrap();
    let status = pool.status();
    assert_eq!(status.dials, 2);
    assert!(status.missed_heartbeats >= 2, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_costs_each_caller_two_calls_at_most() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let pool = pool(|b| b);
    let channel = PooledChannel::new(pool.host(&uri(proxy.address()))).timeout(3 * SECOND);
    check_through(&channel).await.unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (channel, answered) = (channel.clone(), answered.clone());
        callers.spawn(async move {
            let mut failed = 0;
            // Until long after the freeze, and long before keepalive would help.
            while answered.load(Ordering::Relaxed) < 5000 {
                match check_through(&channel).await {
                    Ok(()) => _ = answered.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
                        failed += 1;
                    }
                }
            }
            failed
        });
    }
    until(|| answered.load(Ordering::Relaxed) > 100).await;
    assert_eq!(proxy.freeze(), 1);
    let failed: Vec<usize> = within_a_minute(callers.join_all()).await;
    // The first one may have begun before the last byte came, which says nothing against the connection.
    assert!(failed.iter().all(|failed| (1..=2).contains(failed)), "{failed:?}");
    assert_eq!(pool.status().leases, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_costs_those_who_call_on_clones_no_more() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let (pool, key) = (pool(|b| b), uri(proxy.address()));
    check(&pool.acquire(&key).await.unwrap()).await.unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (pool, key, answered) = (pool.clone(), key.clone(), answered.clone());
        callers.spawn(async move {
            let mut failed = 0;
            while answered.load(Ordering::Relaxed) < 3000 {
                let lease = pool.acquire(&key).await.unwrap();
                match time::timeout(3 * SECOND, check(&lease)).await {
                    Ok(Ok(_)) => _ = answered.fetch_add(1, Ordering::Relaxed),
                    _ => failed += 1,
                }
            }
            failed
        });
    }
    until(|| answered.load(Ordering::Relaxed) > 100).await;
    assert_eq!(proxy.freeze(), 1);
    let failed: Vec<usize> = within_a_minute(callers.join_all()).await;
    assert!(failed.iter().all(|failed| (1..=2).contains(failed)), "{failed:?}");
    assert_eq!(pool.status().leases, 0);
}

#[tokio::test]
async fn a_slow_server_that_answers_a_ping_keeps_its_connection() {
    let server = Server::start();
    let pool = pool(|b| b.max_per_host(1));
    let channel = PooledChannel::new(pool.host(&server.uri()));
    let mut client = HealthClient::new(channel.clone());
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    time::timeout(SOON, watch.message()).await.unwrap_err();
    drop(watch);
    assert_eq!(pool.status().pinging, 1);
    within_a_minute(check_through(&channel)).await.unwrap();
    let status = pool.status();
    assert_eq!((status.dials, status.failed_pings), (1, 0));
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_others_are_answered_raises_no_suspicion() {
    let server = Server::start();
    let pool = pool(|b| b);
    let channel = PooledChannel::new(pool.host(&server.uri()));
    let mut client = HealthClient::new(channel.clone());
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    time::timeout(SOON, watch.message()).await.unwrap_err();
    check_through(&channel).await.unwrap();
    drop(watch);
    assert_eq!(pool.status().pinging, 0);
}

async fn check_through(channel: &PooledChannel) -> Result<(), Status> {
    let mut client = HealthClient::new(channel.clone());
    client.check(HealthCheckRequest::default()).await.map(drop)
}

/// The pings of HTTP/2 that a client sends in a second, a call running or none.
async fn pings(options: GrpcBuilder, with_a_call: bool) -> usize {
    let peer = RawPeer::start().await;
    let (pool, server) = (pool_with(options, |b| b), uri(peer.address()));
    let _client = tokio::spawn(async move {
        let lease = pool.acquire(&server).await.unwrap();
        if with_a_call {
            let _: Result<_, _> = check(&lease).await;
        }
        std::future::pending::<()>().await;
    });
    let mut connection = peer.accept().await;
    connection.settings(None).await;
    if with_a_call {
        connection.read_until(HEADERS).await;
    }
    let mut pings = 0;
    let count = async {
        while let Some(frame) = connection.read().await {
            pings += usize::from(frame.kind == PING);
        }
        panic!("the client ended the connection");
    };
    let _: Result<(), _> = time::timeout(SECOND, count).await;
    pings
}

#[tokio::test]
async fn nothing_is_pinged_that_could_be_too_many_by_default_or_with_the_shortest_keepalive() {
    let least = || GrpcConnector::builder().keep_alive_interval(Duration::from_secs(10));
    let without_calls = || least().keep_alive_while_idle(true);
    let (a, b, c, d) = tokio::join!(
        pings(GrpcConnector::builder(), true),
        pings(GrpcConnector::builder(), false),
        pings(least(), true),
        pings(without_calls(), false),
    );
    assert_eq!([a, b, c, d], [0; 4]);

    // The count counts, and a call makes the difference that it should.
    let often = || GrpcConnector::builder().keep_alive_interval(SOON);
    let (with, without, permitted) = tokio::join!(
        pings(often(), true),
        pings(often(), false),
        pings(often().keep_alive_while_idle(true), false),
    );
    assert!(with > 0, "{with}");
    assert_eq!(without, 0);
    assert!(permitted > 0, "{permitted}");
}

/// Time stands still, and is moved on by hand.
#[tokio::test]
async fn keepalive_pings_after_its_time_and_ends_the_call_after_its_timeout() {
    let peer = RawPeer::start().await;
    let server = uri(peer.address());
    let options = GrpcConnector::builder().keep_alive_interval(20 * SECOND);
    let pool = pool_with(options, |b| b);
    let call = tokio::spawn(async move {
        let lease = pool.acquire(&server).await.unwrap();
        check(&lease).await
    });
    let mut connection = peer.accept().await;
    connection.settings(None).await;
    connection.read_until(HEADERS).await;
    time::pause();
    let begun = time::Instant::now();
    connection.read_until(PING).await;
    assert!((19..=21).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    call.await.unwrap().unwrap_err();
    assert!((29..=31).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
