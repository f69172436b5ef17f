//! The end of a pool. (Behaviours 58 to 63, 127.)

use tokio::time::Instant;
use wharf::AcquireError;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn after_close_begins_acquires_fail_at_once_and_waiters_are_woken_with_it() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&1).await.map(drop) }
    });
    quiet().await;
    let began = Instant::now();
    let close = pool.close();
    assert!(pool.is_closed());
    assert!(matches!(waiter.await.unwrap(), Err(AcquireError::Closed)));
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Closed)));
    assert!(matches!(pool.acquire(&2).await, Err(AcquireError::Closed)));
    assert!(matches!(pool.host(&1).acquire().await, Err(AcquireError::Closed)));
    assert!(pool.try_acquire(&1).is_none());
    assert!(matches!(pool.add(&1, connector.make(1)), Err(wharf::AddError::Closed(_))));
    assert!(matches!(pool.warm(&1, 1).await, Err(wharf::WarmError::Closed)));
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
    drop(loan);
    close.await;
    assert_eq!(pool.status().hosts, 0);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn close_returns_when_every_loan_is_back_and_every_close_has_ended() {
    let (pool, connector) = pool_of(3);
    connector.always(Stage::Close, Step::Slow(secs(2)));
    let loan = pool.acquire(&1).await.unwrap();
    let dead = pool.acquire(&1).await.unwrap();
    drop(pool.acquire(&1).await.unwrap());
    let began = Instant::now();
    let close = tokio::spawn(pool.close());
    tokio::time::sleep(secs(3)).await;
    assert!(!close.is_finished());
    drop(loan);
    dead.kill();
    drop(dead);
    close.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(connector.counts().dropped, 3);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_host_handle_of_a_closed_pool_says_so_and_keeps_no_host_listed() {
    let (pool, connector) = pool_of(1);
    let kept = pool.host(&1);
    drop(kept.acquire().await.unwrap());
    pool.close().await;
    let late = pool.host(&2);
    assert_eq!(pool.status().hosts, 0);
    assert_eq!((kept.status().acquired, kept.status().idle), (1, 0), "its counts stay");
    for host in [&kept, &late] {
        host.set_max(5).unwrap();
        assert!(matches!(host.acquire().await, Err(AcquireError::Closed)));
        assert!(matches!(pool.add(host.key(), connector.make(1)), Err(wharf::AddError::Closed(_))));
        assert!(matches!(host.warm(1).await, Err(wharf::WarmError::Closed)));
    }
    assert_eq!(pool.status().hosts, 0);
    drop((kept, late));
    assert_eq!(pool.status().acquired, 1, "they count once");
}

#[tokio::test(start_paused = true)]
async fn close_cuts_off_dials_and_pings_and_waits_for_loans_and_closes_only() {
    let (pool, connector) = pool(|b| {
        b.health_check(wharf::HealthCheck::Always).connect_timeout(None).ping_timeout(None)
    });
    let loan = pool.acquire(&1).await.unwrap();
    drop(pool.acquire(&2).await.unwrap());
    connector.always(Stage::Connect, Step::Never);
    connector.always(Stage::Ping, Step::Never);
    connector.always(Stage::Close, Step::Slow(secs(2)));
    let _waiters = [waiting(&pool, 1), waiting(&pool, 2)];
    quiet().await;
    assert_eq!((pool.status().dialing, pool.status().pinging), (1, 1));
    let mut close = pool.close();
    quiet().await;
    let status = pool.status();
    assert_eq!((status.dialing, status.pinging, status.closing), (0, 0, 1));
    tokio::time::sleep(secs(2)).await;
    assert_eq!(pool.status().closing, 0);
    assert!(poll(&mut close).is_pending(), "a loan is out");
    let began = Instant::now();
    drop(loan);
    close.await;
    assert_eq!(began.elapsed().as_secs(), 2, "its close");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn close_within_returns_on_time_and_names_what_is_still_out() {
    let (pool, connector) = pool_of(3);
    let line = line!() + 1;
    let loan = pool.acquire(&1).await.unwrap();
    let began = Instant::now();
    let report = pool.close_within(secs(2)).await;
    assert_eq!(began.elapsed().as_secs(), 2);
    assert!(!report.complete);
    assert_eq!((report.loans.len(), report.dialing, report.closing), (1, 0, 0));
    assert_eq!((report.loans[0].key.as_str(), report.loans[0].place.line()), ("1", line));
    drop(loan);
    assert!(pool.close_within(secs(2)).await.complete);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn closing_begins_at_the_call() {
    let (pool, _) = pool_of(1);
    drop(pool.close_within(secs(1)));
    assert!(pool.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_or_dial_that_arrives_after_close_is_closed_not_kept_and_not_lent() {
    let (pool, connector) = pool_of(3);
    let loan = pool.acquire(&1).await.unwrap();
    let gate = connector.gate(Stage::Connect);
    let mut waiter = waiting(&pool, 1);
    quiet().await;
    let mut close = pool.close();
    gate.let_through(1);
    quiet().await;
    assert!(matches!(poll(&mut waiter), std::task::Poll::Ready(Err(AcquireError::Closed))));
    assert!(poll(&mut close).is_pending());
    drop(loan);
    close.await;
    assert_eq!(connector.counts().closes, 2);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn closing_twice_cancelling_a_close_and_closing_during_a_dial_are_harmless() {
    let (pool, connector) = pool_of(3);
    let gate = connector.gate(Stage::Connect);
    let _waiter = waiting(&pool, 1);
    quiet().await;
    let mut first = pool.close();
    assert!(poll(&mut first).is_pending());
    drop(first);
    let (second, third) = (pool.close(), pool.close());
    gate.let_through(1);
    second.await;
    third.await;
    assert_eq!(connector.counts().closes, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_what_is_idle_and_ends_upkeep() {
    let (pool, connector) = pool_of(3);
    let host = pool.host(&1);
    drop(host.acquire().await.unwrap());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    quiet().await;
    assert_eq!(tasks(), 1, "upkeep");
    drop(pool);
    quiet().await;
    assert_eq!(connector.counts().live(), 1, "a host is a handle too");
    drop(host);
    quiet().await;
    assert_eq!((connector.counts().live(), tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_loan_that_outlives_the_last_handle_is_closed_when_it_returns() {
    let (pool, connector) = pool_of(3);
    let loan = pool.acquire(&1).await.unwrap();
    drop(pool);
    quiet().await;
    assert_eq!(connector.counts().live(), 1);
    drop(loan);
    quiet().await;
    assert_eq!((connector.counts().live(), connector.counts().closes), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_outlives_the_last_handle_is_still_served() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    let unpolled = pool.acquire(&2);
    drop(pool);
    drop(loan);
    drop(ready(&mut waiter));
    drop(unpolled.await.unwrap());
    quiet().await;
    assert_eq!(connector.counts().live(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_connector_is_dropped_with_the_pool() {
    let alive = std::sync::Arc::new(());
    let held = alive.clone();
    let pool = wharf::Pool::new(TestConnector::making(move |_| {
        let held = held.clone();
        Held { at_drop: Some(Box::new(move || drop(held))) }
    }));
    drop(pool.acquire(&1).await.unwrap());
    let loan = pool.acquire(&2).await.unwrap();
    drop(pool);
    quiet().await;
    drop(loan);
    quiet().await;
    assert_eq!(std::sync::Arc::strong_count(&alive), 1);
}
