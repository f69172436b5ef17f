//! Each fault of the proxy, under many callers.

use std::time::Duration;

use wharf::{Pool, PooledConnection};
use wharf_websocket::{Message, WebSocketConnector, WebSocketHeartbeat};

use crate::proxy::{Fault, Proxy};
use crate::server::{Server, WebSocketPool, until, url};

/// One request, which fails after a while.
async fn ask(pool: WebSocketPool, url: String, patience: Duration) -> bool {
    let Ok(mut loan) = pool.acquire(&url).await else { return false };
    let question = Message::text("hello");
    let answer = tokio::time::timeout(patience, loan.request(question.clone())).await;
    let is_right = matches!(answer, Ok(Ok(answer)) if answer == question);
    if !is_right {
        PooledConnection::discard(loan);
    }
    is_right
}

#[tokio::test]
async fn each_fault_ends_in_an_error_or_the_right_answer_and_leaves_exact_counts() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let _echo = server.echo();
    let url = url(proxy.address());
    let some = Duration::from_millis(2);
    let heartbeat =
        WebSocketHeartbeat::every(some * 20).timeout(Duration::from_millis(200)).max_missed(2);
    let options = WebSocketConnector::builder().heartbeat(heartbeat);
    let pool = Pool::builder()
        .max_per_host(4)
        .connect_timeout(Duration::from_millis(500))
        .close_timeout(Duration::from_millis(200))
        .acquire_timeout(Duration::from_secs(2))
        .build(options.build().unwrap())
        .unwrap();
    for fault in [
        Fault::Healthy,
        Fault::Latency(some, some * 3),
        Fault::Drip(some),
        Fault::Garbage,
        Fault::HalfOpen,
        Fault::BlackHole,
        Fault::Reset,
        Fault::Refuse,
    ] {
        proxy.set(Fault::Healthy).await;
        while !ask(pool.clone(), url.clone(), Duration::from_secs(1)).await {
            tokio::time::sleep(some).await;
        }
        proxy.set(fault).await;
        if matches!(fault, Fault::Reset | Fault::Refuse) {
            // These two are about new connections.
            proxy.cut();
        }
        let passes = matches!(fault, Fault::Healthy | Fault::Latency(..) | Fault::Drip(_));
        let patience = Duration::from_millis(if passes { 20_000 } else { 300 });
        let callers: Vec<_> =
            (0..12).map(|_| tokio::spawn(ask(pool.clone(), url.clone(), patience))).collect();
        let mut answered = 0;
        for caller in callers {
            answered += usize::from(caller.await.unwrap());
        }
        assert_eq!(answered > 0, passes, "{fault:?}: {answered} of 12");
        until(|| {
            let status = pool.status();
            status.in_use + status.dialing + status.closing + status.waiting == 0
        })
        .await;
        assert!(pool.status().idle <= 4);
    }
    assert!(pool.close_within(Duration::from_secs(5)).await.complete);
}
