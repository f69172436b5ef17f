//! A caller may go at any point. (Behaviours 30 to 32, 35, 36.)

use wharf::CloseReason;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_leaves_every_gauge_as_it_was() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let before = pool.status();
    let waiter = waiting(&pool, 1);
    assert_eq!(pool.status().waiting, 1);
    drop(waiter);
    let mut after = pool.status();
    assert_eq!((after.cancelled, after.waited), (1, 2));
    (after.cancelled, after.waited) = (before.cancelled, before.waited);
    assert_eq!(after, before);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_handed_to_a_waiter_that_is_dropped_before_it_polls_goes_to_the_next_waiter() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let first = waiting(&pool, 1);
    let mut second = waiting(&pool, 1);
    drop(loan);
    assert!(poll(&mut second).is_pending());
    drop(first);
    let loan = ready(&mut second);
    assert_eq!(wharf::PooledConnection::info(&loan).uses, 2, "who never had it did not use it");
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_in_the_hand_of_a_cancelled_waiter_is_not_handed_on() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let first = waiting(&pool, 1);
    let second = waiting(&pool, 1);
    let number = loan.number;
    drop(loan);
    connector.kill(number);
    drop(first);
    let loan = second.await.unwrap();
    assert!(loan.is_alive() && loan.number != number);
    assert_eq!((pool.status().cancelled, pool.status().closes.of(CloseReason::NotOpen)), (1, 1));
    drop(loan);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_handed_to_the_last_waiter_goes_idle_when_that_is_dropped() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let waiter = waiting(&pool, 1);
    drop(loan);
    drop(waiter);
    assert_eq!(pool.status().idle, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_the_dial_leaves_the_dial_to_the_host() {
    let (pool, connector) = pool_of(1);
    let gate = connector.gate(Stage::Connect);
    let waiter = waiting(&pool, 1);
    quiet().await;
    drop(waiter);
    gate.let_through(1);
    quiet().await;
    assert_eq!(pool.status().idle, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_and_a_delivery_at_the_same_instant_neither_leak_nor_stall() {
    for order in [true, false] {
        let (pool, connector) = pool(|b| b.max_per_host(1).acquire_timeout(ms(50)));
        let loan = pool.acquire(&1).await.unwrap();
        let mut waiter = waiting(&pool, 1);
        if order {
            drop(loan);
            tokio::time::advance(ms(50)).await;
            drop(ready(&mut waiter));
        } else {
            tokio::time::advance(ms(50)).await;
            drop(loan);
            drop(ready(&mut waiter));
        }
        drop(pool.acquire(&1).await.unwrap());
        assert_balanced(&pool, &connector);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_out_frees_the_place_in_the_queue_for_the_next() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut first = pool.acquire_within(&1, ms(10));
    assert!(poll(&mut first).is_pending());
    let mut second = waiting(&pool, 1);
    tokio::time::advance(ms(11)).await;
    assert!(first.await.is_err());
    drop(loan);
    drop(ready(&mut second));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_cancelled_waiters_behind_a_live_one_change_nothing() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut live = waiting(&pool, 1);
    let crowd: Vec<_> = (0..100_000).map(|_| waiting(&pool, 1)).collect();
    assert_eq!(pool.status().waiting, 100_001);
    drop(crowd);
    assert_eq!(pool.status().waiting, 1);
    drop(loan);
    drop(ready(&mut live));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_gives_back_what_it_held() {
    let (pool, connector) = pool_of(1);
    let task = tokio::spawn({
        let pool = pool.clone();
        async move {
            let _loan = pool.acquire(&1).await.unwrap();
            std::future::pending::<()>().await;
        }
    });
    quiet().await;
    assert_eq!(pool.status().in_use, 1);
    task.abort();
    drop(pool.acquire(&1).await.unwrap());
    assert_balanced(&pool, &connector);
}
