//! Who is lent what. (Behaviours 1 to 6, 13.)

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use wharf::{AcquireError, PooledConnection, Reuse};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn sequential_acquires_of_one_host_share_one_connection() {
    let (pool, connector) = pool_of(10);
    for _ in 0..100 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(connector.counts().made, 1);
    assert_eq!(pool.status().at_once, 99);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_never_lent_to_someone_else() {
    let (pool, connector) = pool_of(4);
    let in_use: Arc<Vec<AtomicBool>> = Arc::new((0..4).map(|_| AtomicBool::new(false)).collect());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (pool, in_use) = (pool.clone(), in_use.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let loan = pool.acquire(&1).await.unwrap();
                    assert!(!in_use[loan.number].swap(true, Ordering::SeqCst));
                    tokio::task::yield_now().await;
                    in_use[loan.number].store(false, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(connector.counts().made, 4);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn different_hosts_never_share_a_connection() {
    let (pool, connector) = pool_of(10);
    drop(pool.acquire(&1).await.unwrap());
    drop(pool.acquire(&2).await.unwrap());
    assert_eq!(connector.counts().made, 2);
    assert_eq!(*PooledConnection::key(&pool.acquire(&2).await.unwrap()), 2);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_order_of_arrival() {
    let (pool, connector) = pool_of(1);
    let mut loan = Some(pool.acquire(&1).await.unwrap());
    let mut waiters: Vec<_> = (0..20).map(|_| waiting(&pool, 1)).collect();
    for n in 0..waiters.len() {
        drop(loan.take());
        assert!(waiters[n + 1..].iter_mut().all(|w| poll(w).is_pending()));
        loan = Some(ready(&mut waiters[n]));
    }
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_polls_right_after_a_release_does_not_overtake_a_waiter() {
    let (pool, _) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut first = waiting(&pool, 1);
    drop(loan);
    let mut newcomer = waiting(&pool, 1);
    assert!(pool.try_acquire(&1).is_none());
    drop(ready(&mut first));
    drop(ready(&mut newcomer));
}

#[tokio::test(start_paused = true)]
async fn a_returned_connection_goes_to_the_oldest_waiter_and_the_idle_count_never_shows_it() {
    let (pool, _) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    drop(loan);
    let status = pool.status();
    assert_eq!((status.idle, status.in_use, status.waiting), (0, 1, 0));
    drop(ready(&mut waiter));
    assert_eq!(pool.status().idle, 1);
}

async fn three_idle(pool: &TestPool) -> [usize; 3] {
    let loans = [pool.acquire(&1).await, pool.acquire(&1).await, pool.acquire(&1).await]
        .map(Result::unwrap);
    loans.map(|loan| loan.number)
}

#[tokio::test(start_paused = true)]
async fn the_idle_list_is_lent_most_recent_first_by_default() {
    let (pool, _) = pool_of(3);
    let returned = three_idle(&pool).await;
    let lent = three_idle(&pool).await;
    assert_eq!(lent, [returned[2], returned[1], returned[0]]);
}

#[tokio::test(start_paused = true)]
async fn the_idle_list_is_lent_least_recent_first_when_asked() {
    let (pool, _) = pool(|b| b.max_per_host(3).reuse(Reuse::LeastRecent));
    let returned = three_idle(&pool).await;
    assert_eq!(three_idle(&pool).await, returned);
}

#[tokio::test(start_paused = true)]
async fn try_acquire_never_waits_and_never_dials() {
    let (pool, connector) = pool_of(1);
    assert!(pool.try_acquire(&1).is_none());
    quiet().await;
    assert_eq!(connector.counts().dials, 0);
    assert_eq!(pool.status().hosts, 0);
    drop(pool.acquire(&1).await.unwrap());
    let loan = pool.try_acquire(&1).unwrap();
    assert!(pool.try_acquire(&1).is_none());
    drop(loan);
    assert!(pool.host(&1).try_acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_zero_looks_at_what_is_idle_and_does_not_wait() {
    let (pool, connector) = pool_of(1);
    let began = tokio::time::Instant::now();
    let error = pool.acquire_within(&1, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(connector.counts().dials, 0);
    drop(pool.acquire(&1).await.unwrap());
    assert!(pool.acquire_within(&1, Duration::ZERO).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_wait_gets_an_idle_connection_after_a_crowd() {
    let (pool, connector) = pool_of(1);
    let first = pool.acquire(&1).await.unwrap();
    let mut crowd = waiting(&pool, 1);
    let mut hasty = pool.acquire_within(&1, Duration::ZERO);
    assert!(matches!(poll(&mut hasty), Poll::Ready(Err(AcquireError::Timeout(_)))));
    drop(first);
    drop(ready(&mut crowd));
    for _ in 0..2 {
        assert!(pool.acquire_within(&1, Duration::ZERO).await.is_ok());
    }
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_before_the_first_poll() {
    let (pool, connector) = pool_of(1);
    let never_polled = pool.acquire(&1);
    quiet().await;
    assert_eq!(connector.counts().dials, 0);
    assert_eq!(pool.status().hosts, 0);
    let loan = pool.acquire(&1).await.unwrap();
    drop(never_polled);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_info_of_a_loan_tells_its_age_its_rest_and_its_uses() {
    let (pool, _) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let first = PooledConnection::info(&loan);
    assert_eq!((first.uses, first.reused, first.idle_for), (1, false, Duration::ZERO));
    tokio::time::advance(secs(3)).await;
    drop(loan);
    tokio::time::advance(secs(5)).await;
    let loan = pool.acquire(&1).await.unwrap();
    tokio::time::advance(secs(2)).await;
    let second = PooledConnection::info(&loan);
    assert_eq!((second.uses, second.reused, second.id), (2, true, first.id));
    assert_eq!((second.idle_for, second.age), (secs(5), secs(10)));
}

#[tokio::test(start_paused = true)]
async fn ids_are_unique_across_hosts() {
    let (pool, _) = pool_of(2);
    let mut ids = HashSet::new();
    let mut loans = Vec::new();
    for host in 0..100 {
        for _ in 0..2 {
            let loan = pool.acquire(&host).await.unwrap();
            assert!(ids.insert(PooledConnection::info(&loan).id));
            loans.push(loan);
        }
    }
}
