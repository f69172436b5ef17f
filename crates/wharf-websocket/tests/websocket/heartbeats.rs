//! Beats through a proxy that goes silent, is slow, and comes back.

use std::time::Duration;

use wharf::{HealthCheck, Pool};
use wharf_websocket::{Error, Message, WebSocketConnector, WebSocketHeartbeat};

use crate::proxy::{Fault, Proxy};
use crate::server::{Server, WebSocketPool, count_idle, id, soon, until, url};

const SHORT: Duration = Duration::from_millis(20);

/// Beats often, waits as told, and gives up after `max_missed` beats.
fn connector(timeout: Duration, max_missed: u32) -> WebSocketConnector {
    let heartbeat = WebSocketHeartbeat::every(SHORT).timeout(timeout).max_missed(max_missed);
    WebSocketConnector::builder().heartbeat(heartbeat).build().unwrap()
}

async fn ask(pool: &WebSocketPool, url: &String) -> Result<Message, Error> {
    pool.acquire(url).await.unwrap().request(Message::text("hello")).await
}

#[tokio::test]
async fn an_idle_connection_whose_peer_goes_silent_is_found_dead_and_replaced() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let url = url(proxy.address());
    let connector = connector(SHORT, 3);
    let pool = Pool::new(connector.clone());
    ask(&pool, &url).await.unwrap();

    proxy.freeze();
    until(|| count_idle(&pool, |connection| !connection.is_open()) == 1).await;
    let mut seen = None;
    pool.retain(|_, connection, _| {
        seen = connection.end().map(|end| (end, connection.heartbeat()));
        true
    });
    let (end, heartbeat) = seen.unwrap();
    assert!(matches!(end, Error::Silent { missed: 3 }), "{end}");
    assert_eq!(heartbeat.missed_in_a_row, 3);
    assert!(heartbeat.beats >= heartbeat.missed && heartbeat.missed >= 3);
    assert_eq!(connector.missed_beats(), heartbeat.missed);

    assert!(pool.try_acquire(&url).is_none());
    soon(ask(&pool, &url)).await.unwrap();
    let status = pool.status();
    assert_eq!((status.dials, status.closed), (2, 1));
}

#[tokio::test]
async fn a_borrower_whose_peer_goes_silent_is_told() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let pool = Pool::new(connector(SHORT, 2));
    let mut loan = pool.acquire(&url(proxy.address())).await.unwrap();
    proxy.freeze();

    let error = soon(loan.request(Message::text("hello"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the peer is silent: 2 heartbeats in a row without an answer");
    drop(loan);
    assert_eq!(pool.status().idle, 0);
}

#[tokio::test]
async fn a_peer_whose_answers_are_lost_is_found_dead_though_it_hears_everything() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let pool = Pool::new(connector(SHORT, 3));
    let mut loan = pool.acquire(&url(proxy.address())).await.unwrap();
    proxy.set(Fault::HalfOpen).await;
    let end = soon(loan.next()).await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Silent { missed: 3 }), "{end}");
}

#[tokio::test]
async fn a_slow_peer_is_alive() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let pool = Pool::new(connector(Duration::from_secs(30), 1));
    let mut loan = pool.acquire(&url(proxy.address())).await.unwrap();
    proxy.set(Fault::Latency(SHORT, 3 * SHORT)).await;

    until(|| loan.heartbeat().beats >= 5).await;
    assert_eq!(loan.heartbeat().missed, 0);
    loan.request(Message::text("hello")).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_comes_back_in_time_starts_the_count_again() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let url = url(proxy.address());
    let pool = Pool::new(connector(SHORT, 10_000));
    let mut loan = pool.acquire(&url).await.unwrap();
    let first = id(&loan);
    proxy.set(Fault::BlackHole).await;
    until(|| loan.heartbeat().missed_in_a_row >= 3).await;

    // The Pongs come late, and count.
    proxy.set(Fault::Healthy).await;
    until(|| loan.heartbeat().missed_in_a_row == 0).await;
    assert!(loan.heartbeat().missed >= 3);
    loan.request(Message::text("hello")).await.unwrap();
    drop(loan);
    assert_eq!(id(&pool.try_acquire(&url).unwrap()), first);
}

#[tokio::test]
async fn a_health_check_of_the_pool_is_a_ping() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let url = url(proxy.address());
    let options = WebSocketConnector::builder().heartbeat(None);
    let pool = Pool::builder()
        .health_check(HealthCheck::Always)
        .ping_timeout(Duration::from_secs(3))
        .build(options.build().unwrap())
        .unwrap();
    soon(ask(&pool, &url)).await.unwrap();
    soon(ask(&pool, &url)).await.unwrap();
    assert_eq!((pool.status().dials, pool.status().failed_pings), (1, 0));

    proxy.freeze();
    // Served by a dial during the ping, which goes on to its time-out.
    soon(ask(&pool, &url)).await.unwrap();
    assert_eq!((pool.status().dials, pool.status().failed_pings), (2, 0));
    soon(async {
        while pool.status().failed_pings == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
