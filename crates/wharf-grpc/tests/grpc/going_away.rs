//! Connections that end, politely and otherwise.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::Lease;
use wharf_grpc::{GrpcChannel, is_unprocessed};

use crate::proxy::Proxy;
use crate::raw_peer::{DATA, HEADERS, RawConnection, RawPeer};
use crate::server::{GrpcLease, Server, Watch, chain, check, pool, until, uri, within_a_minute};

#[tokio::test]
async fn calls_that_run_when_the_server_says_go_away_finish_and_new_ones_go_elsewhere() {
    let mut server = Server::start();
    let pool = pool(|b| b);
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(Watch::begin(&pool, &server.uri()).await);
    }
    let _next_server = server.replace();
    until(|| !running[0].lease.is_open()).await;

    let fresh = Watch::begin(&pool, &server.uri()).await;
    assert!(fresh.lease.is_open());
    assert!(running.iter().all(|watch| watch.connection() != fresh.connection()));
    server.set(ServingStatus::NotServing).await;
    for watch in &mut running {
        assert_eq!(watch.next().await.unwrap(), ServingStatus::NotServing);
    }
    drop(running);
    until(|| pool.status().closed == 1).await;
    let status = pool.status();
    assert_eq!((status.dials, status.in_use, status.leases), (2, 1, 1));
}

#[tokio::test]
async fn an_idle_connection_whose_server_says_go_away_is_not_lent_again() {
    let mut server = Server::start();
    let pool = pool(|b| b);
    let lease = pool.acquire(&server.uri()).await.unwrap();
    let looking_on = lease.clone();
    let first = Lease::info(&lease).id;
    drop(lease);
    let _next_server = server.replace();
    until(|| !looking_on.is_open()).await;

    assert!(pool.try_acquire(&server.uri()).is_none());
    let lease = pool.acquire(&server.uri()).await.unwrap();
    assert_ne!(Lease::info(&lease).id, first);
    check(&lease).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_the_server_ends_connections_of_a_certain_age() {
    let server = Server::start_with(|s| s.max_connection_age(Duration::from_millis(50)));
    let pool = pool(|b| b);
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (pool, server) = (pool.clone(), server.uri());
        callers.spawn(async move {
            let (mut answered, mut too_late) = (0, 0);
            while pool.status().dials < 20 || answered < 10 {
                match check(&pool.acquire(&server).await.unwrap()).await {
                    Ok(_) => answered += 1,
                    Err(status) if is_unprocessed(&status) => too_late += 1,
                    Err(status) => panic!("{}", chain(&status)),
                }
            }
            (answered, too_late)
        });
    }
    let counts: Vec<(u64, u64)> = within_a_minute(callers.join_all()).await;
    let too_late: u64 = counts.iter().map(|(_, too_late)| too_late).sum();
    let status = pool.status();
    assert_eq!((status.failed_dials, status.leases), (0, 0));
    // Each end of a connection may catch the 16 calls that are under way, and no further ones.
    assert!(too_late <= 16 * status.dials, "{too_late} too late");
}

#[tokio::test]
async fn a_call_fails_with_its_server_and_the_next_one_dials() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let key = uri(proxy.address());
    let pool = pool(|b| b);
    let mut running = Watch::begin(&pool, &key).await;

    proxy.cut();
    let error = running.next().await.unwrap_err();
    assert!(!is_unprocessed(&error), "it had begun: {}", chain(&error));
    until(|| !running.lease.is_open()).await;
    let other = Watch::begin(&pool, &key).await;
    assert_ne!(running.connection(), other.connection());
    assert_eq!(pool.status().dials, 2);
}

#[tokio::test]
async fn a_connection_that_the_pool_closes_ends_on_the_wire() {
    let peer = RawPeer::start().await;
    let (pool, server) = (pool(|b| b), uri(peer.address()));
    let serving = async {
        let mut connection = peer.accept().await;
        connection.settings(None).await;
        connection
    };
    let (lease, mut connection) = tokio::join!(pool.acquire(&server), serving);
    drop(lease.unwrap());
    pool.close_idle();
    within_a_minute(async { while connection.read().await.is_some() {} }).await;
    assert_eq!(pool.status().closed, 1);
}

#[tokio::test]
async fn a_channel_whose_connection_has_ended_does_not_dial_again() {
    let server = Server::start();
    let proxy = Proxy::start(server.address()).await;
    let pool = pool(|b| b);
    let lease = pool.acquire(&uri(proxy.address())).await.unwrap();
    check(&lease).await.unwrap();
    proxy.cut();
    until(|| !lease.is_open()).await;

    for _ in 0..2 {
        let error = within_a_minute(check(&lease)).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(is_unprocessed(&error));
        let said = chain(&error);
        assert!(said.contains("a channel on it does not dial again; acquire another"), "{said}");
    }
}

/// A call to a peer that has read its request and not answered.
async fn unanswered_call(
    peer: &RawPeer,
) -> (RawConnection, u32, tokio::task::JoinHandle<(GrpcLease, Status)>) {
    let (pool, server) = (pool(|b| b), uri(peer.address()));
    let call = tokio::spawn(async move {
        let lease = pool.acquire(&server).await.unwrap();
        let error = check(&lease).await.unwrap_err();
        (lease, error)
    });
    let mut connection = peer.accept().await;
    connection.settings(None).await;
    let stream = connection.read_until(HEADERS).await.stream;
    (connection, stream, call)
}

#[tokio::test]
async fn a_call_that_the_server_says_it_did_not_look_at_is_told_from_one_that_it_may_have() {
    let peer = RawPeer::start().await;

    let (mut connection, _, call) = unanswered_call(&peer).await;
    connection.go_away(0).await;
    let (lease, error) = within_a_minute(call).await.unwrap();
    assert!(is_unprocessed(&error), "{}", chain(&error));
    assert!(!lease.is_open());

    let (mut connection, stream, call) = unanswered_call(&peer).await;
    connection.reset(stream, 7).await; // REFUSED_STREAM
    let (lease, error) = within_a_minute(call).await.unwrap();
    assert!(is_unprocessed(&error), "{}", chain(&error));
    assert!(lease.is_open());

    let (mut connection, stream, call) = unanswered_call(&peer).await;
    connection.reset(stream, 2).await; // INTERNAL_ERROR
    let (_, error) = within_a_minute(call).await.unwrap();
    assert!(!is_unprocessed(&error), "{}", chain(&error));

    let (mut connection, stream, call) = unanswered_call(&peer).await;
    connection.go_away(stream).await;
    drop(connection);
    let (_, error) = within_a_minute(call).await.unwrap();
    assert!(!is_unprocessed(&error), "{}", chain(&error));
}

#[tokio::test]
async fn a_call_that_waits_for_a_stream_when_its_connection_ends_was_not_begun() {
    let peer = RawPeer::start().await;
    let (pool, server) = (pool(|b| b), uri(peer.address()));
    let serving = async {
        let mut connection = peer.accept().await;
        connection.settings(Some(1)).await;
        connection
    };
    let (lease, mut connection) = tokio::join!(pool.acquire(&server), serving);
    let lease = lease.unwrap();
    let call = |channel: GrpcChannel| async move {
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err()
    };
    let running = tokio::spawn(call(lease.clone()));
    connection.read_until(DATA).await;
    let waiting = tokio::spawn(call(lease.clone()));
    // That it waits cannot be seen. Were it not so far yet, the outcome would be the same.
    time::sleep(Duration::from_millis(50)).await;
    connection.go_away(i32::MAX.unsigned_abs()).await;
    drop(connection);

    let error = within_a_minute(waiting).await.unwrap();
    assert!(is_unprocessed(&error), "{}", chain(&error));
    let error = within_a_minute(running).await.unwrap();
    assert!(!is_unprocessed(&error), "{}", chain(&error));
}
