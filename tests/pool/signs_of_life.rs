//! Pings before loans, heartbeats and suspicions where they meet. Each was found by a review.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;
use wharf::{HealthCheck, Heartbeat, Pool, PooledConnection};

use crate::sharing::*;
use crate::support::*;

/// It is pinged for the suspicion, although its heartbeat is overdue.
#[tokio::test(start_paused = true)]
async fn a_suspected_connection_that_does_not_answer_is_closed_also_with_an_overdue_heartbeat() {
    let (pool, connector) =
        pool(|b| b.max_per_host(1).heartbeat(Heartbeat::every(secs(10))).ping_timeout(secs(1)));
    let loan = pool.acquire(&1).await.unwrap();
    tokio::time::sleep(secs(31)).await;
    connector.once(Stage::Ping, Step::Never);
    PooledConnection::suspect(&loan);
    drop(loan);
    tokio::time::sleep(ms(1500)).await;
    assert_eq!(connector.counts().open, 0, "closed after ping_timeout: {:?}", pool.status());
}

#[tokio::test(start_paused = true)]
async fn a_suspected_connection_with_a_failed_ping_makes_way_and_is_closed() {
    let (pool, connector) =
        pool(|b| b.max_per_host(1).heartbeat(Heartbeat::every(secs(10))).ping_timeout(secs(1)));
    let loan = pool.acquire(&1).await.unwrap();
    tokio::time::sleep(secs(31)).await;
    connector.once(Stage::Ping, Step::Error);
    PooledConnection::suspect(&loan);
    drop(loan);
    quiet().await;
    assert_eq!(pool.status().idle, 0, "its ping failed: {:?}", pool.status());
}

#[tokio::test(start_paused = true)]
async fn a_caller_does_not_wait_longer_than_ping_timeout_for_a_ping_of_what_returns() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(1)
            .heartbeat(Heartbeat::every(secs(10)).timeout(secs(10)))
            .health_check(HealthCheck::IdleFor(secs(5)))
            .ping_timeout(secs(1))
    });
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = Box::pin(pool.acquire_within(&1, secs(100)));
    assert!(poll(&mut waiter).is_pending());
    tokio::time::sleep(secs(31)).await;
    connector.once(Stage::Ping, Step::Never);
    let began = Instant::now();
    drop(loan);
    drop(waiter.await.unwrap());
    assert!(began.elapsed() < ms(1100), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn loans_that_return_together_with_overdue_heartbeats_are_not_all_pinged_at_once() {
    let (pool, connector) = pool(|b| b.max_per_host(200).heartbeat(Heartbeat::every(secs(10))));
    let mut loans = Vec::new();
    for _ in 0..100 {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    tokio::time::sleep(secs(31)).await;
    connector.always(Stage::Ping, Step::Slow(ms(100)));
    drop(loans);
    quiet().await;
    let pinging = pool.status().pinging;
    assert!(pinging <= 8, "{pinging} pings at once");
}

#[tokio::test(start_paused = true)]
async fn a_connection_above_the_idle_limit_is_closed_as_it_returns_and_not_pinged() {
    let (pool, connector) = pool(|b| b.max_idle_per_host(1).heartbeat(Heartbeat::every(secs(10))));
    let mut loans = Vec::new();
    for _ in 0..5 {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    tokio::time::sleep(secs(31)).await;
    connector.always(Stage::Ping, Step::Slow(secs(5)));
    drop(loans);
    quiet().await;
    let status = pool.status();
    assert!(status.idle <= 1, "{} idle, {} pings", status.idle, connector.counts().pings);
}

#[tokio::test(start_paused = true)]
async fn one_silent_ping_does_not_make_one_caller_fill_the_pool() {
    let (pool, connector) =
        pool(|b| b.max_per_host(100).health_check(HealthCheck::Always).ping_timeout(secs(5)));
    pool.warm(&1, 3).await.unwrap();
    connector.always(Stage::Ping, Step::Slow(ms(1)));
    connector.always(Stage::Connect, Step::Slow(ms(10)));
    let lost = pool.acquire(&1).await.unwrap();
    PooledConnection::suspect(&lost);
    connector.once(Stage::Ping, Step::Never);
    drop(lost);
    quiet().await;
    let before = connector.counts().dials;
    for _ in 0..200 {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(20)).await;
    }
    let dials = connector.counts().dials - before;
    assert!(dials <= 5, "{dials} dials for one caller, {:?}", pool.status());
}

/// A healthy but slow server.
async fn slow_server(check: HealthCheck, callers: u64) -> (usize, usize) {
    let (pool, connector) = pool(|b| b.max_per_host(200).health_check(check).ping_timeout(secs(5)));
    connector.always(Stage::Ping, Step::Slow(ms(300)));
    connector.always(Stage::Connect, Step::Slow(ms(400)));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..callers {
        let pool = pool.clone();
        tasks.spawn(async move {
            tokio::time::sleep(ms(37 * n)).await;
            for i in 0..60 {
                let loan = pool.acquire(&1).await.unwrap();
                tokio::time::sleep(ms(20 + (i * 7 + n * 13) % 30)).await;
                drop(loan);
                tokio::time::sleep(ms(300 + (i * 31 + n * 17) % 100)).await;
            }
        });
    }
    tasks.join_all().await;
    (connector.counts().dials, pool.status().idle)
}

#[tokio::test(start_paused = true)]
async fn a_slow_healthy_server_gets_no_more_connections_than_twice_the_callers_always() {
    let (dials, idle) = slow_server(HealthCheck::Always, 5).await;
    assert!(dials <= 10, "{dials} dials, {idle} idle");
}

#[tokio::test(start_paused = true)]
async fn a_slow_healthy_server_gets_no_more_connections_than_twice_the_callers_idle_for() {
    let (dials, idle) = slow_server(HealthCheck::IdleFor(ms(200)), 5).await;
    assert!(dials <= 10, "{dials} dials, {idle} idle");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_only_tries_is_served_in_steady_use() {
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::IdleFor(secs(10))));
    drop(pool.acquire(&1).await.unwrap());
    let mut last = 0;
    for second in 0..120 {
        tokio::time::sleep(secs(1)).await;
        if pool.try_acquire(&1).is_some() {
            last = second;
        }
    }
    assert!(last > 100, "served last in second {last}, pings {}", connector.counts().pings);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_only_tries_is_served_while_the_peer_is_heard() {
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::IdleFor(secs(10))));
    connector.let_hear();
    drop(pool.acquire(&1).await.unwrap());
    let mut last = 0;
    for second in 0..120 {
        tokio::time::sleep(secs(1)).await;
        if let Some(loan) = pool.try_acquire(&1) {
            loan.hear();
            last = second;
        }
    }
    assert!(last > 100, "served last in second {last}");
}

/// Heard before it was suspected: the connector's `last_heard` stands for the thread of the ping, and what it does for
/// the borrower's.
mod late {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::time::Instant;
    use wharf::{Connector, Heartbeat, Lease, SharedConnector, SharedPool};

    use crate::support::*;

    type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

    #[derive(Clone)]
    struct Peer {
        heard: Arc<Mutex<Instant>>,
        hook: Arc<Hook>,
        pings: Arc<AtomicUsize>,
    }

    #[derive(Clone)]
    struct Peers(Peer);

    #[async_trait::async_trait]
    impl Connector for Peers {
        type Key = u32;
        type Connection = Peer;
        type Error = std::io::Error;

        async fn connect(&self, _: &u32) -> std::io::Result<Peer> {
            *self.0.heard.lock().unwrap() = Instant::now();
            Ok(self.0.clone())
        }

        async fn ping(&self, peer: &mut Peer) -> std::io::Result<()> {
            peer.pings.fetch_add(1, Ordering::SeqCst);
            Err(std::io::ErrorKind::TimedOut.into())
        }

        fn last_heard(&self, peer: &Peer) -> Option<Instant> {
            let heard = *peer.heard.lock().unwrap();
            let hook = peer.hook.lock().unwrap().take();
            if let Some(hook) = hook {
                hook();
            }
            Some(heard)
        }
    }

    impl SharedConnector for Peers {
        fn max_leases(&self, _: &Peer) -> usize {
            10
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_was_heard_before_a_suspicion_is_pinged_for_it() {
        let peer = Peer {
            heard: Arc::new(Mutex::new(Instant::now())),
            hook: Arc::default(),
            pings: Arc::default(),
        };
        let pool = SharedPool::builder()
            .max_per_host(1)
            .heartbeat(Heartbeat::every(secs(10)))
            .build(Peers(peer.clone()))
            .unwrap();
        let lease = Arc::new(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(secs(5)).await;
        *peer.heard.lock().unwrap() = Instant::now();
        let suspected = lease.clone();
        *peer.hook.lock().unwrap() = Some(Box::new(move || Lease::suspect(&suspected)));
        tokio::time::sleep(secs(6)).await;
        assert!(peer.hook.lock().unwrap().is_none(), "the heartbeat has looked");
        assert!(
            peer.pings.load(Ordering::SeqCst) > 0,
            "heard at 5 s, suspected at 10 s, pinged by 11 s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_in_use_is_not_pinged_while_its_peer_is_heard() {
    let s = sharing_with(10, |b| b.max_per_host(1).health_check(HealthCheck::Always));
    s.script.let_hear();
    let lease = s.lease().await;
    for _ in 0..20 {
        tokio::time::sleep(ms(1100)).await;
        lease.hear();
        drop(s.lease().await);
    }
    assert_eq!(s.script.counts().pings, 0, "the peer was heard all the time");
}

/// The program hangs, and its HTTP/2 stack (or the proxy before it) answers keepalive.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_finds_a_program_that_hangs_behind_a_stack_that_answers() {
    let s = sharing_with(10, |b| b.max_per_host(1).heartbeat(Heartbeat::every(secs(20))));
    s.script.let_hear();
    let lease = s.lease().await;
    s.script.always(Stage::Ping, Step::Never);
    for _ in 0..60 {
        // A call times out, and the acknowledgement of an HTTP/2 PING comes.
        tokio::time::sleep(secs(10)).await;
        lease.hear();
    }
    let status = s.pool.status();
    assert!(status.missed_heartbeats > 0, "hangs for 10 minutes: {status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_hangs_without_a_limit_does_not_make_one_caller_fill_the_pool() {
    let connector = TestConnector::new();
    connector.let_closes_be_overlooked();
    let pool = wharf::Pool::builder()
        .max_per_host(1000)
        .ping_timeout(None)
        .build(connector.clone())
        .unwrap();
    connector.always(Stage::Connect, Step::Slow(ms(10)));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    connector.always(Stage::Ping, Step::Slow(ms(1)));
    assert!(pool.acquire_within(&1, ms(100)).await.is_err());
    for _ in 0..300 {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(100)).await;
    }
    let status = pool.status();
    assert!(status.idle < 5, "one caller has {} idle connections", status.idle);
}

/// Doubts its connections while it is told to.
struct Doubting(TestConnector, Arc<AtomicBool>);

impl wharf::Wrapper for Doubting {
    type Inner = TestConnector;

    fn inner(&self) -> &TestConnector {
        &self.0
    }

    fn is_doubted(&self, _: &<TestConnector as wharf::Connector>::Connection) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_doubted_at_its_return_answers_a_ping_first() {
    let (connector, doubts) = (TestConnector::new(), Arc::new(AtomicBool::new(false)));
    let doubting = Doubting(connector.clone(), doubts.clone());
    let pool = Pool::builder().max_per_host(1).build(doubting).unwrap();
    drop(pool.acquire(&1).await.unwrap());
    assert!(pool.try_acquire(&1).is_some());
    assert_eq!(connector.counts().pings, 0);

    doubts.store(true, Ordering::Relaxed);
    drop(pool.acquire(&1).await.unwrap());
    doubts.store(false, Ordering::Relaxed);
    assert!(pool.try_acquire(&1).is_none(), "it is to answer first");
    assert!(pool.acquire(&1).await.is_ok());
    assert_eq!((connector.counts().pings, pool.status().dials), (1, 1));
}
