//! Settings of single hosts. (Behaviours 95 and 137.)

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use wharf::HostConfig;

use crate::sharing::sharing_with;
use crate::support::*;

/// Hosts above 100 are small.
#[allow(clippy::trivially_copy_pass_by_ref)] // It is asked with the key.
fn small(host: &u32) -> HostConfig {
    if *host > 100 { HostConfig::new().max_per_host(1) } else { HostConfig::new() }
}

#[tokio::test(start_paused = true)]
async fn a_cap_per_key_holds_for_its_host_and_none_means_max_per_host() {
    let (pool, connector) = pool(|b| b.max_per_host(2).settings_for(small));
    assert_eq!([1, 101].map(|host| pool.host(&host).status().max), [2, 1]);
    let _loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&101).await.unwrap()];
    let mut waiter = waiting(&pool, 101);
    quiet().await;
    assert!(poll(&mut waiter).is_pending(), "it is at its cap");
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!((connector.counts().peak_of[&1], connector.counts().peak_of[&101]), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shared_pool_has_caps_per_key_too() {
    let stage = sharing_with(1, |b| {
        b.max_per_host(2).settings_for(|_: &u32| HostConfig::new().max_per_host(1))
    });
    let _lease = stage.lease().await;
    let _waiter = stage.waiting();
    quiet().await;
    assert_eq!((stage.pool.host(&1).status().max, stage.script.counts().dials), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_cap_of_a_key_is_asked_for_when_its_host_is_made_and_never_at_a_hit() {
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = asked.clone();
    let (pool, _) = pool(|b| {
        b.idle_timeout(secs(15)).settings_for(move |_: &u32| {
            asks.fetch_add(1, SeqCst);
            HostConfig::new()
        })
    });
    for _ in 0..10 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(asked.load(SeqCst), 1);
    tokio::time::sleep(secs(16)).await;
    assert_eq!(pool.status().hosts, 0);
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(asked.load(SeqCst), 2, "it was forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_cap_set_by_a_handle_wins_over_that_of_the_key_and_lasts_as_long_as_the_pool() {
    let (pool, _) = pool(|b| b.idle_timeout(secs(15)).settings_for(small));
    pool.host(&101).set_max(3).unwrap();
    drop(pool.acquire(&101).await.unwrap());
    tokio::time::sleep(secs(600)).await;
    assert_eq!(pool.host(&101).status().max, 3);
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_zero_for_a_key_is_rejected_and_max_per_host_holds() {
    let (pool, _) =
        pool(|b| b.max_per_host(2).settings_for(|_: &u32| HostConfig::new().max_per_host(0)));
    assert_eq!(pool.host(&1).status().max, 2);
    drop(pool.acquire(&1).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_function_that_gives_caps_reaches_nobody() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(2).settings_for(|_: &u32| -> HostConfig {
            std::panic::resume_unwind(Box::new("told to panic"))
        })
    });
    assert_eq!(pool.host(&1).status().max, 2);
    drop(pool.acquire(&1).await.unwrap());
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_function_that_gives_caps_may_use_the_pool() {
    let own: Arc<OnceLock<TestPool>> = Arc::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (this, sees) = (own.clone(), seen.clone());
    let (pool, _) = pool(|b| {
        b.settings_for(move |host: &u32| {
            let Some(pool) = this.get() else { return HostConfig::new() };
            sees.lock().unwrap().push((
                *host,
                pool.status().hosts,
                pool.try_acquire(host).is_some(),
            ));
            HostConfig::new()
        })
    });
    own.set(pool.clone()).unwrap();
    drop(pool.acquire(&1).await.unwrap());
    pool.host(&2).retire();
    assert_eq!(*seen.lock().unwrap(), [(1, 0, false), (2, 1, false)]);
}

#[test]
fn a_cap_function_of_another_type_than_the_key_is_rejected_by_build() {
    let built = wharf::Pool::builder()
        .settings_for(|_: &String| HostConfig::new())
        .build(TestConnector::new());
    let error = built.unwrap_err();
    assert_eq!(
        error.to_string(),
        "settings_for is a function of `&alloc::string::String`: it must take the connector's key, `&u32`"
    );
}
