//! What borrowers do, and what their code does to the pool. (Behaviours 53 to 57.)

use std::panic::{AssertUnwindSafe, catch_unwind};

use wharf::PooledConnection;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_guard_dropped_on_a_plain_thread_gives_its_connection_back() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    std::thread::spawn(move || drop(loan)).join().unwrap();
    drop(ready(&mut waiter));
    // One that is to be closed is closed on the runtime last seen.
    let loan = pool.acquire(&1).await.unwrap();
    pool.retire_all();
    std::thread::spawn(move || drop(loan)).join().unwrap();
    quiet().await;
    assert_eq!(connector.counts().closes, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_guard_dropped_by_a_panic_discards_its_connection() {
    let (pool, connector) = pool_of(1);
    let task = tokio::spawn({
        let pool = pool.clone();
        async move {
            let _loan = pool.acquire(&1).await.unwrap();
            panic!("told to panic");
        }
    });
    assert!(task.await.is_err());
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn discard_and_detach_free_the_slot_once_and_serve_the_next_waiter() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    PooledConnection::discard(loan);
    quiet().await;
    let loan = ready(&mut waiter);
    assert_eq!(loan.number, 1);
    let mut waiter = waiting(&pool, 1);
    let detached = PooledConnection::detach(loan);
    quiet().await;
    assert_eq!(ready(&mut waiter).number, 2);
    assert_eq!(pool.status().detached, 1);
    drop(detached);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_own_drop_uses_the_pool_does_not_deadlock() {
    let (pool, connector) = pool(|b| b.max_total(2).max_idle(1).idle_timeout(secs(1)));
    for round in 0..4 {
        let mut loan = pool.acquire(&1).await.unwrap();
        let inside = pool.clone();
        loan.at_drop = Some(Box::new(move || {
            drop(inside.try_acquire(&1));
            inside.close_idle();
            drop(inside.hosts());
        }));
        match round {
            0 => PooledConnection::discard(loan),
            1 => drop(PooledConnection::detach(loan)),
            2 => pool.retire_all(),
            _ => drop(loan),
        }
        tokio::time::sleep(secs(2)).await;
    }
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_is_open_closes_the_connection_and_reaches_nobody() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    connector.let_is_open_panic();
    let mut waiter = waiting(&pool, 1);
    drop(loan);
    quiet().await;
    assert_eq!(ready(&mut waiter).number, 1);
    assert!(pool.try_acquire(&1).is_none());
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_retain_reaches_its_caller_and_loses_nothing() {
    let (pool, connector) = pool_of(3);
    pool.warm(&1, 3).await.unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.retain(|_, conn, _| if conn.number == 1 { panic!("told to panic") } else { true });
    }));
    assert!(panicked.is_err());
    quiet().await;
    assert_eq!(pool.status().idle, 2);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_close_or_in_a_destructor_frees_the_slot() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1));
    connector.once(Stage::Close, Step::Panic);
    drop(pool.acquire(&1).await.unwrap());
    let mut loan = pool.acquire(&1).await.unwrap();
    loan.at_drop = Some(Box::new(|| panic!("told to panic")));
    drop(loan);
    drop(pool.acquire(&1).await.unwrap());
    quiet().await;
    assert_balanced(&pool, &connector);
}
