//! Keys and the hosts they name. (Behaviour 14.)

use std::panic::{AssertUnwindSafe, catch_unwind};

use wharf::{Pool, PooledConnection};

use crate::dials::dials;
use crate::odd::*;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_host_with_nothing_open_and_nobody_waiting_leaves_nothing_behind() {
    let (pool, connector) = pool(|b| b.max_uses(1));
    for host in 0..20_000 {
        drop(pool.acquire(&host).await.unwrap());
        if host % 1000 == 0 {
            quiet().await;
            assert_eq!(pool.status().hosts, 0);
        }
    }
    quiet().await;
    let status = pool.status();
    assert_eq!((status.hosts, status.dials, status.closed), (0, 20_000, 20_000));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_host_is_remembered_while_it_has_a_handle_and_its_own_cap_as_long_as_the_pool_lives() {
    let (pool, _) = pool_of(10);
    let host = pool.host(&1);
    host.set_max(2).unwrap();
    drop(host.acquire().await.unwrap());
    pool.close_idle();
    quiet().await;
    assert_eq!((pool.status().hosts, host.status().max), (1, 2));
    drop(host);
    assert_eq!((pool.status().hosts, pool.host(&1).status().max), (1, 2));
    drop(pool.host(&2));
    assert_eq!(pool.status().hosts, 1, "one without a cap of its own is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_host_is_remembered_for_the_idle_time_out_after_a_failed_dial_and_no_longer_than_90_s() {
    for (idle_timeout, kept) in [(Some(secs(5)), 5), (Some(secs(900)), 90), (None, 90)] {
        let (pool, connector) = pool(|b| b.idle_timeout(idle_timeout));
        for _ in 0..2 {
            connector.once(Stage::Connect, Step::Error);
            assert!(pool.acquire(&1).await.is_err());
            tokio::time::sleep(ms(1000 * kept - 10)).await;
            assert_eq!(pool.status().hosts, 1);
        }
        tokio::time::sleep(ms(20)).await;
        assert_eq!(pool.status().hosts, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acquire_made_before_its_host_was_forgotten_still_works() {
    let (pool, connector) = pool_of(1);
    drop(pool.acquire(&1).await.unwrap());
    let acquire = pool.acquire(&1);
    pool.close_idle();
    quiet().await;
    assert_eq!(pool.status().hosts, 0);
    drop(acquire.await.unwrap());
    assert_eq!(connector.counts().made, 2);
    assert_balanced(&pool, &connector);
}

/// The new host may lie where the old one was kept.
#[tokio::test(start_paused = true)]
async fn an_acquire_made_before_its_host_was_forgotten_is_not_lent_what_belongs_to_the_next_host() {
    // With a cap across hosts all hosts are kept together.
    let (pool, connector) = pool(|b| b.max_total(5));
    drop(pool.acquire(&1).await.unwrap());
    let acquire = pool.acquire(&1);
    pool.close_idle();
    quiet().await;
    assert_eq!(pool.status().hosts, 0);
    let of_the_next = pool.acquire(&2).await.unwrap().number;
    let loan = acquire.await.unwrap();
    assert_ne!(loan.number, of_the_next);
    assert_eq!(PooledConnection::key(&loan), &1);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_cloned_only_when_its_host_is_new() {
    let pool = odd_pool(|b| b, |_| Ok(7));
    for _ in 0..10 {
        drop(pool.acquire(&OddKey(1)).await.unwrap());
    }
    assert_eq!(clones(), 2, "one is the pool's, one went to the closure that dials");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_looked_up_in_a_borrowed_form() {
    let pool = Pool::new(dials(|key: &String| Ok::<_, TestError>(key.clone())));
    assert_eq!(*pool.acquire("a").await.unwrap(), "a");
    assert_eq!(*pool.acquire(&"a".to_owned()).await.unwrap(), "a");
    assert!(pool.try_acquire("a").is_some());
    pool.retire("a");
    pool.warm("b", 1).await.unwrap();
    assert_eq!(pool.host("b").status().idle, 1);
    pool.add("b", "c".to_owned()).unwrap();
    assert_eq!(*pool.acquire_within("b", secs(1)).await.unwrap(), "c");
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_one_host_has_the_empty_key() {
    let host = Pool::new(dials(|(): &()| Ok::<_, TestError>(7))).host(&());
    assert_eq!(*host.acquire().await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_eq_does_not_poison_the_pool() {
    let pool = odd_pool(|b| b, |_| Ok(7));
    drop(pool.acquire(&OddKey(1)).await.unwrap());
    panic_at(At::KeyEq);
    assert!(catch_unwind(AssertUnwindSafe(|| pool.try_acquire(&OddKey(1)).is_some())).is_err());
    behave();
    assert!(pool.try_acquire(&OddKey(1)).is_some());
}
