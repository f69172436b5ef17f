//! Settings that change while the pool runs, and settings of single hosts. (Behaviours 137 and 138.)

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wharf::{AcquireError, Config, HealthCheck, Heartbeat, HostConfig, Order, Reuse};

use crate::sharing::sharing_with;
use crate::support::*;

fn set(pool: &TestPool, change: impl FnMut(&mut Config)) -> Config {
    pool.reconfigure(change).unwrap()
}

/// This many loans from host 1.
async fn take(pool: &TestPool, loans: usize) -> Vec<TestLoan> {
    let mut taken = Vec::new();
    for _ in 0..loans {
        taken.push(pool.acquire(&1).await.unwrap());
    }
    taken
}

fn open(pool: &TestPool) -> usize {
    let status = pool.status();
    status.idle + status.in_use
}

#[tokio::test(start_paused = true)]
async fn it_returns_the_old_settings_and_config_the_new_ones() {
    let (pool, _) = pool(|b| b.max_per_host(2));
    let old = set(&pool, |config| config.max_per_host = Some(5));
    assert_eq!((old.max_per_host, pool.config().max_per_host), (Some(2), Some(5)));
    assert_eq!(pool.config().idle_timeout, old.idle_timeout);
}

#[tokio::test(start_paused = true)]
async fn above_a_lower_cap_idle_connections_close_at_once_and_the_others_as_they_return() {
    let (pool, connector) = pool(|b| b.max_per_host(4));
    let mut loans = take(&pool, 4).await;
    drop(loans.split_off(3));
    set(&pool, |config| config.max_per_host = Some(2));
    quiet().await;
    assert_eq!((pool.status().idle, pool.status().in_use), (0, 3));
    drop(loans);
    quiet().await;
    assert_eq!((pool.status().idle, pool.status().in_use), (2, 0));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_higher_cap_starts_the_dials_that_waiters_need() {
    let (pool, connector) = pool(|b| b.max_per_host(1));
    let _loan = pool.acquire(&1).await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&1).await.map(drop) }
    });
    quiet().await;
    set(&pool, |config| config.max_per_host = Some(2));
    waiter.await.unwrap().unwrap();
    assert_eq!(connector.counts().dials, 2);
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_a_handle_has_set_stays() {
    let (pool, _) = pool(|b| b.max_per_host(2));
    let host = pool.host(&1);
    host.set_max(3).unwrap();
    set(&pool, |config| config.max_per_host = Some(7));
    assert_eq!((host.status().max, pool.host(&2).status().max), (3, 7));
}

#[tokio::test(start_paused = true)]
async fn a_lower_cap_on_all_hosts_holds_once_connections_have_come_back() {
    let (pool, connector) = pool(|b| b.max_per_host(2).max_total(6));
    let mut loans = Vec::new();
    for host in [1, 1, 2, 2, 3, 3] {
        loans.push(pool.acquire(&host).await.unwrap());
    }
    drop(loans.pop());
    set(&pool, |config| config.max_total = Some(3));
    quiet().await;
    assert_eq!(open(&pool), 5, "what is idle goes first");
    loans.truncate(1);
    quiet().await;
    assert_eq!((open(&pool), pool.status().in_use), (3, 1));
    drop(loans);
    quiet().await;
    assert_eq!(open(&pool), 3);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_higher_cap_on_all_hosts_serves_those_who_wait() {
    let (pool, _) = pool(|b| b.max_total(1));
    let _loan = pool.acquire(&1).await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&2).await.map(drop) }
    });
    quiet().await;
    set(&pool, |config| config.max_total = Some(2));
    waiter.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shorter_idle_time_out_and_lifetime_hold_for_what_exists() {
    let (pool, _) = pool(|b| b.idle_timeout(None).max_lifetime(None));
    drop(take(&pool, 2).await);
    tokio::time::sleep(secs(30)).await;
    set(&pool, |config| config.idle_timeout = Some(secs(40)));
    tokio::time::sleep(secs(9)).await;
    assert_eq!(pool.status().idle, 2);
    tokio::time::sleep(secs(2)).await;
    assert_eq!(pool.status().idle, 0);

    let loan = pool.acquire(&1).await.unwrap();
    tokio::time::sleep(secs(60)).await;
    set(&pool, |config| (config.max_lifetime, config.lifetime_jitter) = (Some(secs(50)), 0.0));
    drop(loan);
    quiet().await;
    assert_eq!(pool.status().idle, 0, "it is too old");
}

#[tokio::test(start_paused = true)]
async fn callers_that_wait_keep_their_limit_and_later_ones_have_the_new_one() {
    let (pool, _) = pool(|b| b.max_per_host(1).acquire_timeout(secs(30)));
    let _loan = pool.acquire(&1).await.unwrap();
    let waits = |pool: &TestPool| {
        let (pool, began) = (pool.clone(), tokio::time::Instant::now());
        tokio::spawn(async move {
            let error = pool.acquire(&1).await.map(drop).unwrap_err();
            assert!(matches!(error, AcquireError::Timeout(_)));
            began.elapsed().as_secs()
        })
    };
    let before = [waits(&pool), waits(&pool)];
    quiet().await;
    set(&pool, |config| config.acquire_timeout = Some(secs(2)));
    let after = [waits(&pool), waits(&pool)];
    for waiter in after {
        assert_eq!(waiter.await.unwrap(), 2);
    }
    for waiter in before {
        assert_eq!(waiter.await.unwrap(), 30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_minimum_and_a_heartbeat_begin_and_end_at_once() {
    let (pool, connector) = pool(|b| b.idle_timeout(None));
    let host = pool.host(&1);
    drop(host.acquire().await.unwrap());
    set(&pool, |config| {
        config.min_idle_per_host = 3;
        config.heartbeat = Some(Heartbeat::every(secs(10)));
    });
    quiet().await;
    assert_eq!(pool.status().idle, 3);
    tokio::time::sleep(secs(25)).await;
    let pings = connector.counts().pings;
    assert!(pings >= 3, "{pings}");
    set(&pool, |config| config.heartbeat = None);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(connector.counts().pings, pings);
}

#[tokio::test(start_paused = true)]
async fn a_loan_that_is_out_is_reported_by_a_limit_that_comes_later() {
    let reports = Arc::new(AtomicUsize::new(0));
    let (pool, _) = pool(|b| b.observer(Leaks(reports.clone())));
    let loan = pool.acquire(&1).await.unwrap();
    set(&pool, |config| config.leak_after = Some(secs(5)));
    tokio::time::sleep(secs(6)).await;
    assert_eq!(reports.load(SeqCst), 1);
    set(&pool, |config| config.leak_after = None);
    drop(loan);
    quiet().await;
    assert_eq!(reports.load(SeqCst), 2, "it is back");
    let _loan = pool.acquire(&1).await.unwrap();
    tokio::time::sleep(secs(600)).await;
    assert_eq!(reports.load(SeqCst), 2);
}

struct Leaks(Arc<AtomicUsize>);

impl wharf::Observer for Leaks {
    fn leaked(&self, _: &wharf::Leaked<'_>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn fixed_and_invalid_settings_are_refused_by_name_and_nothing_changes() {
    let (pool, _) = pool(|b| b.deadlock_warnings(false));
    let old = pool.config();
    let refused = |change: fn(&mut Config)| pool.reconfigure(change).unwrap_err().field;
    assert_eq!(refused(|config| config.max_total = Some(9)), "max_total");
    assert_eq!(refused(|config| config.max_idle = Some(9)), "max_idle");
    assert_eq!(refused(|config| config.max_dialing = Some(9)), "max_dialing");
    assert_eq!(refused(|config| config.deadlock_warnings = true), "deadlock_warnings");
    assert_eq!(refused(|config| config.max_per_host = Some(0)), "max_per_host");
    assert_eq!(refused(|config| config.spread = wharf::Spread::LeastLoaded), "spread");
    assert_eq!(pool.config(), old);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_panics_changes_nothing() {
    let (pool, connector) = pool(|b| b.max_per_host(2));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.reconfigure(|config| {
            config.max_per_host = Some(9);
            std::panic::resume_unwind(Box::new("told to panic"))
        })
    }));
    assert!(caught.is_err());
    assert_eq!(pool.config().max_per_host, Some(2));
    drop(pool.acquire(&1).await.unwrap());
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_change_may_use_the_pool_and_change_it() {
    let (pool, _) = pool(|b| b.max_per_host(2));
    let mut calls = 0;
    set(&pool, |config| {
        calls += 1;
        if calls == 1 {
            set(&pool, |config| config.max_waiters_per_host = Some(7));
        }
        config.max_per_host = Some(3);
    });
    let config = pool.config();
    assert_eq!((config.max_per_host, config.max_waiters_per_host, calls), (Some(3), Some(7), 2));
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_takes_other_settings_and_stays_closed() {
    let (pool, _) = pool(|b| b);
    drop(pool.acquire(&1).await.unwrap());
    pool.close().await;
    set(&pool, |config| config.min_idle_per_host = 2);
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Closed)));
    assert_eq!(open(&pool), 0);
}

#[tokio::test(start_paused = true)]
async fn shared_connections_above_a_lower_cap_take_no_new_leases() {
    let stage = sharing_with(1, |b| b.max_per_host(3));
    let leases = [stage.lease().await, stage.lease().await, stage.lease().await];
    stage.pool.reconfigure(|config| config.max_per_host = Some(1)).unwrap();
    drop(leases);
    quiet().await;
    assert_eq!((stage.pool.status().idle + stage.pool.status().in_use), 1);
    assert_eq!(stage.pool.config().max_per_host, Some(1));
}

#[tokio::test(start_paused = true)]
async fn each_setting_of_a_host_holds_for_that_host_alone() {
    let (pool, _) = pool(|b| {
        b.max_per_host(4).idle_timeout(secs(60)).settings_for(|host: &u32| match host {
            1 => HostConfig::new().max_per_host(1).acquire_timeout(secs(1)).max_waiters_per_host(1),
            2 => HostConfig::new().idle_timeout(secs(5)).min_idle_per_host(0),
            3 => HostConfig::new().max_lifetime(secs(20)).idle_timeout(None).min_idle_per_host(2),
            _ => HostConfig::new(),
        })
    });
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    assert!(poll(&mut waiter).is_pending());
    assert!(
        matches!(pool.acquire(&1).await, Err(AcquireError::QueueFull(full)) if *full.limit() == 1)
    );
    let began = tokio::time::Instant::now();
    assert!(matches!(waiter.await, Err(AcquireError::Timeout(_))));
    assert_eq!(began.elapsed().as_secs(), 1);
    drop(loan);

    let (third, fourth) = (pool.host(&3), pool.host(&4));
    for host in [&pool.host(&2), &third, &fourth] {
        drop(host.acquire().await.unwrap());
    }
    quiet().await;
    assert_eq!(third.status().idle, 3, "the minimum, and the one that was in use");
    tokio::time::sleep(secs(6)).await;
    assert_eq!([pool.host(&2).status().idle, fourth.status().idle], [0, 1]);
    let dials = third.status().dials;
    tokio::time::sleep(secs(20)).await;
    assert_eq!((third.status().idle, third.status().dials), (2, dials + 2), "they were too old");
}

#[tokio::test(start_paused = true)]
async fn the_function_of_a_host_is_asked_again_when_settings_change() {
    let max = Arc::new(AtomicUsize::new(2));
    let asked = max.clone();
    let (pool, _) =
        pool(|b| b.settings_for(move |_: &u32| HostConfig::new().max_per_host(asked.load(SeqCst))));
    let host = pool.host(&1);
    assert_eq!(host.status().max, 2);
    max.store(5, SeqCst);
    set(&pool, |_| {});
    assert_eq!(host.status().max, 5);
}

/// What is asked of each setting in turn.
fn nth(config: &mut Config, n: usize) {
    let some = |values: [usize; 3]| Some(values[n / 16 % 3]);
    match n % 16 {
        0 => config.max_per_host = some([1, 4, 9]),
        1 => config.max_total = some([2, 8, 20]),
        2 => config.max_idle = (n % 3 != 0).then_some(n % 5 + 2),
        3 => config.max_dialing = some([1, 3, 9]),
        4 => config.min_idle_per_host = n / 16 % 2,
        5 => config.max_idle_per_host = (n % 2 == 0).then_some(3),
        6 => config.acquire_timeout = Some(secs(20 + (n as u64) % 20)),
        7 => config.heartbeat = (n % 3 == 0).then(|| Heartbeat::every(ms(2))),
        8 => config.leak_after = (n % 2 == 0).then_some(ms(1)),
        9 => config.max_uses = (n % 3 == 0).then_some(5),
        10 => config.max_lifetime = (n % 3 == 0).then_some(ms(3)),
        11 => config.idle_timeout = (n % 2 == 0).then_some(ms(2)),
        12 => config.reuse = if n % 3 == 0 { Reuse::LeastRecent } else { Reuse::MostRecent },
        13 => config.order = if n % 3 == 0 { Order::Fifo } else { Order::Adaptive },
        14 => config.advice = (n % 2 == 0).then_some(secs(10)),
        _ => {
            config.health_check = if n % 3 == 0 { HealthCheck::Always } else { HealthCheck::Never }
        }
    }
    let most = [config.max_per_host, config.max_total, config.max_idle, config.max_idle_per_host];
    let most = most.into_iter().flatten().min().unwrap_or(usize::MAX);
    config.min_idle_per_host = config.min_idle_per_host.min(most);
}

/// Callers on four threads, of hosts that come and go, while every setting changes again and again.
#[test]
fn settings_that_change_while_threads_use_the_pool_lose_nothing() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    let (pool, connector) = pool(|b| {
        b.max_total(8).settings_for(|host: &u32| match host % 3 {
            0 => HostConfig::new().max_per_host(2).idle_timeout(ms(5)),
            1 => HostConfig::new().max_waiters_per_host(None).max_lifetime(ms(50)),
            _ => HostConfig::new(),
        })
    });
    let callers = (0..64u32).map(|caller| {
        let pool = pool.clone();
        runtime.spawn(async move {
            for round in 0..60 {
                let host = (caller + round) % 7;
                drop(pool.acquire(&host).await.unwrap());
                if round % 8 == 0 {
                    tokio::time::sleep(ms(2)).await;
                }
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let changes = (0..2u32).map(|who| {
        let pool = pool.clone();
        std::thread::spawn(move || {
            for n in 0..400 {
                pool.reconfigure(|config| nth(config, n * 2 + who as usize)).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        })
    });
    let changes: Vec<_> = changes.collect();
    for change in changes {
        change.join().unwrap();
    }
    // From here on all can be served.
    pool.reconfigure(|config| {
        let deadlock_warnings = config.deadlock_warnings;
        *config = Config::default();
        (config.max_total, config.deadlock_warnings) = (Some(8), deadlock_warnings);
    })
    .unwrap();
    runtime.block_on(async {
        for caller in callers {
            caller.await.unwrap();
        }
        pool.close().await;
    });
    assert_eq!(pool.status().waiting, 0);
    assert_balanced(&pool, &connector);
    assert_eq!(connector.counts().open, 0);
}

#[tokio::test(start_paused = true)]
async fn the_settings_of_a_host_may_be_asked_for_while_others_change_them() {
    let own: Arc<OnceLock<TestPool>> = Arc::default();
    let this = own.clone();
    let (pool, connector) = pool(|b| {
        b.settings_for(move |host: &u32| {
            // User code: it may use the pool and change it.
            if let Some(pool) = this.get()
                && *host == 2
                && pool.config().max_waiters_per_host.is_none()
            {
                set(pool, |config| config.max_waiters_per_host = Some(50));
            }
            HostConfig::new().max_per_host(*host as usize)
        })
    });
    own.set(pool.clone()).unwrap();
    let _loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&2).await.unwrap()];
    assert_eq!(pool.config().max_waiters_per_host, Some(50));
    set(&pool, |config| config.idle_timeout = None);
    assert_eq!([1, 2].map(|host| pool.host(&host).status().max), [1, 2]);
    assert_eq!(connector.counts().dials, 2);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_after_max_total_is_lowered() {
    let (pool, connector) = pool(|b| b.max_per_host(4).max_total(8));
    let mut loans = Vec::new();
    for host in [1, 1, 1, 1, 2, 2, 2, 2] {
        loans.push(pool.acquire(&host).await.unwrap());
    }
    let waiters: Vec<_> = (3..=6)
        .map(|host| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire(&host).await.map(drop) })
        })
        .collect();
    quiet().await;
    set(&pool, |config| config.max_total = Some(2));
    for loan in loans {
        drop(loan);
        tokio::time::sleep(ms(10)).await;
    }
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    quiet().await;
    assert!(open(&pool) <= 2, "{}", open(&pool));
    assert_balanced(&pool, &connector);
}
