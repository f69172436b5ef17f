//! `retire` while dials are under way.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};
use wharf::{AcquireError, Backoff, DialFailed, Observer, PooledConnection};

use crate::sharing::sharing_with;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_wait_for_a_young_dial_that_was_retired() {
    let (pool, connector) = pool(|b| b.max_per_host(10).connect_timeout(secs(10)));
    connector.once(Stage::Connect, Step::Never);
    let old = waiting(&pool, 1);
    sleep(ms(100)).await;
    drop(old);
    pool.retire(&1);
    let began = Instant::now();
    let newcomer = pool.acquire_within(&1, secs(5)).await;
    assert!(newcomer.is_ok(), "after {:?}: {newcomer:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_behind_one_from_before_the_retire_gets_a_dial_of_its_own() {
    let (pool, connector) = pool(|b| b.max_per_host(10).connect_timeout(secs(10)));
    connector.once(Stage::Connect, Step::Never);
    let old = tokio::spawn(pool.acquire(&1));
    sleep(ms(100)).await;
    pool.retire(&1);
    let newcomer = tokio::spawn(pool.acquire_within(&1, secs(5)));
    let (old, newcomer) = (old.await.unwrap(), newcomer.await.unwrap());
    assert!(old.is_ok() && newcomer.is_ok(), "{old:?} {newcomer:?}");
}

/// Retires a host when a dial to it has failed: its other connections are probably dead, too.
struct Retires(Arc<Mutex<Option<TestPool>>>);

impl Observer for Retires {
    fn dial_failed(&self, _: &DialFailed<'_>) {
        let pool = self.0.lock().unwrap().clone();
        if let Some(pool) = pool {
            pool.retire(&1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_retires_at_a_failed_dial_causes_no_hot_loop_and_hides_no_error() {
    let place = Arc::new(Mutex::new(None));
    let (pool, connector) = pool(|b| b.max_per_host(1).observer(Retires(place.clone())));
    *place.lock().unwrap() = Some(pool.clone());
    connector.always(Stage::Connect, Step::SlowError(ms(1)));
    let began = Instant::now();
    let error = pool.acquire_within(&1, secs(5)).await.unwrap_err();
    let dials = connector.counts().dials;
    *place.lock().unwrap() = None;
    assert!(
        matches!(error, AcquireError::Connect(_)) && dials <= 60,
        "{dials} dials in {:?}, then: {error}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_become_slower_is_reached_also_when_it_is_retired_often() {
    let (pool, connector) = pool_of(1);
    connector.always(Stage::Connect, Step::Slow(ms(200)));
    PooledConnection::discard(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Connect, Step::Slow(ms(300)));
    let retiring = tokio::spawn({
        let host = pool.host(&1);
        async move {
            loop {
                sleep(ms(50)).await;
                host.retire();
            }
        }
    });
    let served = pool.acquire(&1).await;
    retiring.abort();
    let dials = connector.counts().dials;
    assert!(served.is_ok(), "{dials} dials, each cut off: {served:?}");
}

#[tokio::test(start_paused = true)]
async fn warming_is_met_where_the_host_is_retired_meanwhile() {
    let (pool, connector) = pool(|b| b.max_per_host(2));
    connector.always(Stage::Connect, Step::Slow(ms(300)));
    let warm = pool.warm(&1, 2);
    sleep(ms(100)).await;
    pool.retire(&1);
    let warmed = warm.await;
    sleep(secs(5)).await;
    assert!(warmed.is_ok(), "{warmed:?}, and {} are idle later", pool.status().idle);
}

#[tokio::test(start_paused = true)]
async fn callers_after_a_retire_of_a_shared_host_wait_for_no_dial_of_before() {
    let stage = sharing_with(100, |b| b.max_per_host(5).connect_timeout(secs(10)));
    stage.script.always(Stage::Connect, Step::Slow(secs(3)));
    drop(stage.lease().await);
    stage.pool.close_idle();
    let gone = stage.waiting();
    sleep(ms(100)).await;
    drop(gone);
    stage.script.always(Stage::Connect, Step::Ok);
    stage.pool.retire(&1);
    let began = Instant::now();
    let served = stage.pool.acquire_within(&1, secs(30)).await;
    assert!(served.is_ok() && began.elapsed() < ms(100), "after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retire_cuts_off_dials_that_take_longer_than_usual() {
    let (pool, connector) = pool(|b| b.max_per_host(1).connect_timeout(secs(10)));
    connector.once(Stage::Connect, Step::Never);
    let old = tokio::spawn(pool.acquire(&1));
    sleep(secs(2)).await;
    pool.host(&1).retire();
    let began = Instant::now();
    drop(old.await.unwrap().unwrap());
    drop(pool.acquire(&1).await.unwrap());
    assert!(began.elapsed() < ms(5), "{:?}", began.elapsed());
    assert_eq!(pool.status().failed_dials, 1, "the one that was cut off");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn retiring_more_often_than_a_dial_takes_starves_nobody() {
    let (pool, connector) = pool_of(1);
    connector.always(Stage::Connect, Step::Slow(ms(300)));
    let retiring = tokio::spawn({
        let host = pool.host(&1);
        async move {
            loop {
                sleep(ms(100)).await;
                host.retire();
            }
        }
    });
    for _ in 0..10 {
        let began = Instant::now();
        drop(pool.acquire(&1).await.unwrap());
        assert!(began.elapsed() <= ms(601), "{:?}", began.elapsed());
    }
    retiring.abort();
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_succeeds_ends_the_backoff_also_where_the_host_was_retired_meanwhile() {
    let backoff = Backoff::default().max(secs(600)).factor(1000.0).jitter(0.0);
    let (pool, connector) = pool(|b| b.retry(backoff));
    connector.once(Stage::Connect, Step::Error);
    connector.once(Stage::Connect, Step::Error);
    connector.always(Stage::Connect, Step::Slow(ms(100)));
    let first = tokio::spawn(pool.acquire_within(&1, secs(10)));
    quiet().await;
    let second = tokio::spawn(pool.acquire_within(&1, secs(600)));
    // The second failure is at 0.1 s, the next dial 0.4 s later.
    sleep(ms(100 + 400 + 20)).await;
    assert_eq!(pool.status().dialing, 1);
    pool.retire(&1);
    let first = first.await.unwrap();
    assert!(first.is_ok(), "{first:?}");
    let began = Instant::now();
    drop(second.await.unwrap().unwrap());
    assert!(began.elapsed() < secs(1), "the host is up, and it waited for {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_retire_ends_a_long_backoff() {
    let backoff = Backoff::default().max(secs(600)).factor(1000.0).jitter(0.0);
    let (pool, connector) = pool(|b| b.retry(backoff).acquire_timeout(secs(600)));
    connector.always(Stage::Connect, Step::Error);
    let waiter = tokio::spawn(pool.acquire(&1));
    sleep(ms(250)).await;
    assert_eq!(connector.counts().dials, 2);
    connector.behave();
    pool.retire(&1);
    let began = Instant::now();
    drop(waiter.await.unwrap().unwrap());
    assert!(began.elapsed() < ms(5), "{:?}", began.elapsed());
}
