//! Real sockets through a proxy that refuses, cuts, goes silent and comes back.
//!
//! Nothing here asserts how long something takes on this machine; times that the pool itself sets
//! are short, so that a test does not.

mod census;
mod proxy;
mod request;
mod storm;

use std::io;
use std::time::Duration;

use proxy::{Fault, Proxy, echo_server};
use request::{TcpPool, echo, request};
use storm::Storm;
use wharf::tcp::TcpConnector;
use wharf::{AcquireError, Backoff, Builder, HealthCheck, Pool};

fn pool(set: impl FnOnce(Builder) -> Builder) -> TcpPool {
    let connector = TcpConnector::builder().ping("ping", "ping").build().unwrap();
    set(Pool::builder().ping_timeout(Duration::from_millis(200))).build(connector).unwrap()
}

/// Waits until nothing is under way.
async fn settled(pool: &TcpPool) {
    loop {
        let status = pool.status();
        if status.in_use + status.dialing + status.closing + status.waiting == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn ten_connections_silently_dead_are_found_by_one_ping_and_a_dial_serves() {
    let (server, _server) = echo_server().await;
    let proxy = Proxy::start(server).await;
    let host = proxy.address();
    let pool = pool(|b| b.max_per_host(10).health_check(HealthCheck::Always));
    let mut loans = Vec::new();
    for _ in 0..10 {
        let mut loan = pool.acquire(&host).await.unwrap();
        echo(&mut loan).await.unwrap();
        loans.push(loan);
    }
    drop(loans);
    // Those ten say nothing any more; a new dial is served.
    proxy.freeze();
    request(&pool, host).await.unwrap();
    let status = pool.status();
    assert_eq!((status.dials, status.timed_out), (11, 0));
    settled(&pool).await;
    while pool.status().failed_pings < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(pool.status().idle, 1);
}

#[tokio::test]
async fn all_connections_in_use_die_and_the_full_capacity_comes_back() {
    let (server, _server) = echo_server().await;
    let proxy = Proxy::start(server).await;
    let host = proxy.address();
    let pool = pool(|b| b.max_per_host(10));
    let mut loans = Vec::new();
    for _ in 0..10 {
        loans.push(pool.acquire(&host).await.unwrap());
    }
    proxy.cut();
    for loan in &mut loans {
        assert!(echo(loan).await.is_err());
    }
    drop(loans);
    let mut again = Vec::new();
    for _ in 0..10 {
        let mut loan = pool.acquire(&host).await.unwrap();
        echo(&mut loan).await.unwrap();
        again.push(loan);
    }
    assert_eq!(pool.status().in_use, 10);
}

#[tokio::test]
async fn when_a_server_refuses_a_hundred_callers_have_the_systems_own_error() {
    let (server, _server) = echo_server().await;
    let proxy = Proxy::start(server).await;
    let host = proxy.address();
    proxy.set(Fault::Refuse).await;
    let pool = pool(|b| b.max_per_host(10));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire(&host).await.map(drop) })
        })
        .collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        let AcquireError::Connect(cause) = &error else { panic!("{error}") };
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    }
    // A single one, because nothing is known of the server: the error is shared.
    let status = pool.status();
    assert_eq!((status.dials, status.failed_dials), (1, 1));
}

#[tokio::test]
async fn a_server_that_goes_away_under_load_and_comes_back_is_found_again() {
    let (server, _server) = echo_server().await;
    let proxy = Proxy::start(server).await;
    let host = proxy.address();
    let backoff =
        Backoff::default().initial(Duration::from_millis(10)).max(Duration::from_millis(50));
    let pool = pool(|b| b.max_per_host(50).retry(backoff));
    let run = |requests: usize| {
        let workers: Vec<_> = (0..50)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let mut failed = 0;
                    for _ in 0..requests {
                        failed += usize::from(request(&pool, host).await.is_err());
                    }
                    failed
                })
            })
            .collect();
        async move {
            let mut failed = 0;
            for worker in workers {
                failed += worker.await.unwrap();
            }
            failed
        }
    };
    let before = run(20);
    proxy.set(Fault::Refuse).await;
    proxy.cut();
    let waiting = run(1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.set(Fault::Healthy).await;
    // What was on its way when the server went may fail; all that had to dial were served in the end.
    before.await;
    waiting.await;
    assert_eq!(run(20).await, 0, "no error after it is back");
    settled(&pool).await;
    assert!(pool.status().idle <= 50);
}

#[tokio::test]
async fn each_fault_ends_in_an_error_or_an_answer_and_leaves_exact_counts() {
    let (server, _server) = echo_server().await;
    let proxy = Proxy::start(server).await;
    let host = proxy.address();
    let pool = pool(|b| {
        b.max_per_host(4)
            .health_check(HealthCheck::Always)
            .connect_timeout(Duration::from_millis(300))
            .acquire_timeout(Duration::from_secs(2))
    });
    let some = Duration::from_millis(2);
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
        while request(&pool, host).await.is_err() {
            tokio::time::sleep(some).await;
        }
        proxy.set(fault).await;
        if matches!(fault, Fault::Reset | Fault::Refuse) {
            // These two are about new connections.
            proxy.cut();
        }
        let passes = matches!(fault, Fault::Healthy | Fault::Latency(..) | Fault::Drip(_));
        let patience = Duration::from_millis(if passes { 20_000 } else { 500 });
        let callers: Vec<_> = (0..12)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let answer = tokio::time::timeout(patience, request(&pool, host));
                    matches!(answer.await, Ok(Ok(())))
                })
            })
            .collect();
        let mut answered = 0;
        for caller in callers {
            answered += usize::from(caller.await.unwrap());
        }
        assert_eq!(answered > 0, passes, "{fault:?}: {answered} of 12");
        settled(&pool).await;
        assert!(pool.status().idle <= 4);
    }
    assert!(pool.close_within(Duration::from_secs(5)).await.complete);
}

/// Prints its seed, and takes one from `WHARF_SEED`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_random_faults_leave_caps_deadlines_and_counts_exact() {
    let seed = std::env::var("WHARF_SEED").map(|seed| seed.parse().unwrap());
    let storm = Storm { seed: seed.unwrap_or_else(|_| fastrand::u64(..)), faults: 1000 };
    println!("{storm:?}");
    let run = tokio::time::timeout(Duration::from_secs(120), storm.run());
    let (report, end) = run.await.expect("the faults end");
    println!("{report}{end}");
    report.check(storm);
    end.check(storm.seed);
    // The deadline is the pool's to keep; the rest is for a machine that has no time.
    assert!(report.seen.overshoot < Duration::from_secs(5), "{storm:?}");
}
