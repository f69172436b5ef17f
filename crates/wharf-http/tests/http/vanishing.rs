//! Peers that vanish without a word, behind a proxy that forwards nothing any more, and peers that are only slow.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time;
use wharf::{HealthCheck, SharedPool};
use wharf_http::{Client, Protocol};

use crate::proxy::Proxy;
use crate::support::*;

/// What each request may take.
const LIMIT: Duration = Duration::from_millis(500);
const TASKS: usize = 8;
/// More than that fail one after the other only where nobody finds out.
const MANY: usize = 20;

/// How often a task asks in vain before it gets an answer.
async fn failures(client: Client, url: String) -> usize {
    for failed in 0..MANY {
        if let Ok(Ok(_)) = time::timeout(LIMIT, fetch(&client, &url)).await {
            return failed;
        }
    }
    MANY
}

/// How often all tasks ask in vain when their connections have frozen.
async fn failures_after_a_freeze(kind: Kind, protocol: Protocol, cap: usize) -> usize {
    let server = Server::start(kind).await;
    let proxy = Proxy::start(server.address).await;
    let url = format!("http://{}/", proxy.address());
    let client = client(cap, |b| b.protocol(protocol));
    let ask = || {
        let tasks: JoinSet<_> = (0..TASKS).map(|_| failures(client.clone(), url.clone())).collect();
        async { within_a_minute(tasks.join_all()).await.into_iter().sum::<usize>() }
    };
    assert_eq!(ask().await, 0);
    proxy.freeze();
    let failed = ask().await;
    assert_eq!(ask().await, 0, "all is well again");
    assert!(proxy.accepted() <= 2 * cap, "{} connections", proxy.accepted());
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_a_frozen_http2_connection_fail_once_and_the_next_are_answered() {
    let failed = failures_after_a_freeze(HTTP2, Protocol::Http2, 10).await;
    assert!((TASKS..=2 * TASKS).contains(&failed), "{failed} failed");
}

/// The one connection has to be given up first, which takes a second longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_http2_connection_does_not_keep_the_only_place() {
    let failed = failures_after_a_freeze(HTTP2, Protocol::Http2, 1).await;
    assert!((TASKS..=5 * TASKS).contains(&failed), "{failed} failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_frozen_http1_connections_fail_once_and_the_next_are_answered() {
    let failed = failures_after_a_freeze(HTTP1, Protocol::Http1, 10).await;
    assert!((1..=2 * TASKS).contains(&failed), "{failed} failed");
}

fn http2() -> Client {
    client(1, |b| b.protocol(Protocol::Http2))
}

/// Asks for what does not come, and gives up once the server has the request.
async fn give_up(client: &Client, server: &Server) {
    let (asked, url) = (server.requests(), server.url("/wait"));
    tokio::select! {
        answer = fetch(client, &url) => panic!("{answer:?}"),
        () = until(|| server.requests() > asked) => {}
    }
}

#[tokio::test]
async fn a_slow_peer_answers_a_ping_and_keeps_its_connection() {
    let server = Server::start(HTTP2).await;
    let client = http2();
    fetch(&client, &server.url("/")).await.unwrap();
    give_up(&client, &server).await;
    assert_eq!(client.pool().status().pinging, 1);
    until(|| client.pool().status().pings == 1).await;
    // The last word was the answer to a ping: another one might be taken for abuse.
    give_up(&client, &server).await;
    give_up(&client, &server).await;
    assert_eq!(client.pool().status().pinging, 0);
    fetch(&client, &server.url("/")).await.unwrap();
    // It has said more since.
    give_up(&client, &server).await;
    until(|| client.pool().status().pings == 2).await;
    fetch(&client, &server.url("/")).await.unwrap();
    assert_eq!((client.pool().status().failed_pings, server.connections()), (0, 1));
}

#[tokio::test]
async fn a_peer_that_is_heard_meanwhile_is_not_pinged() {
    let server = Server::start(HTTP2).await;
    let client = http2();
    let url = server.url("/wait");
    let mut waits = Box::pin(fetch(&client, &url));
    tokio::select! {
        answer = &mut waits => panic!("{answer:?}"),
        () = until(|| server.waiting() == 1) => {}
    }
    fetch(&client, &server.url("/")).await.unwrap();
    drop(waits);
    fetch(&client, &server.url("/")).await.unwrap();
    let status = client.pool().status();
    assert_eq!((status.pings, status.pinging, server.connections()), (0, 0, 1));
}

#[tokio::test]
async fn a_body_that_stalls_and_is_given_up_has_its_peer_pinged() {
    let server = Server::start(HTTP2).await;
    let client = http2();
    let mut body = client.request(get(&server.url("/stall/10"))).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(client.pool().status().pinging, 0, "it was not waited for");
    let mut body = client.request(get(&server.url("/stall/10"))).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert!(time::timeout(Duration::from_millis(50), body.frame()).await.is_err());
    drop(body);
    until(|| client.pool().status().pings == 1).await;
    fetch(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_health_check_asks_the_peer_itself() {
    let server = Server::start(HTTP2).await;
    let proxy = Proxy::start(server.address).await;
    let url = format!("http://{}/", proxy.address());
    let pool = SharedPool::builder().health_check(HealthCheck::Always);
    let client = Client::builder().pool(pool).protocol(Protocol::Http2).build().unwrap();
    fetch(&client, &url).await.unwrap();
    fetch(&client, &url).await.unwrap();
    assert_eq!((client.pool().status().pings, proxy.accepted()), (1, 1));
    proxy.freeze();
    fetch(&client, &url).await.unwrap();
    assert_eq!(proxy.accepted(), 2, "no request was lost on the first");
}
