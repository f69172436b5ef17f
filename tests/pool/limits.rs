//! Caps, per host and across hosts, and changes of them. (Behaviours 8 to 11, 65.)

use std::time::Duration;

use tokio::time::sleep;
use wharf::{AcquireError, HealthCheck};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_full_host_does_not_block_another() {
    let (pool, connector) = pool(|b| b.max_per_host(2).max_total(3));
    let _full = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    let _waiter = waiting(&pool, 1);
    drop(pool.acquire(&2).await.unwrap());
    assert_eq!(connector.counts().peak_of[&1], 2);
    assert_eq!(connector.counts().peak_open, 3);
}

#[tokio::test(start_paused = true)]
async fn at_the_total_cap_an_idle_connection_of_another_host_is_closed_to_make_room() {
    let (pool, connector) = pool(|b| b.max_total(2));
    drop(pool.acquire(&1).await.unwrap());
    drop(pool.acquire(&2).await.unwrap());
    let loan = pool.acquire(&3).await.unwrap();
    assert_eq!(connector.closed_hosts(), [1], "the least recently used one");
    assert_eq!(connector.counts().peak_open, 2);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn one_dial_never_costs_two_connections() {
    let (pool, connector) = pool(|b| b.max_total(3));
    let close = connector.gate(Stage::Close);
    for host in 1..=3 {
        drop(pool.acquire(&host).await.unwrap());
    }
    let mut waiter = waiting(&pool, 4);
    quiet().await;
    assert!(poll(&mut waiter).is_pending());
    quiet().await;
    assert_eq!((pool.status().closing, pool.status().idle), (1, 2));
    close.let_through(1);
    quiet().await;
    drop(ready(&mut waiter));
    assert_eq!(connector.counts().closes, 1);
}

#[tokio::test(start_paused = true)]
async fn under_the_total_cap_a_host_that_has_nothing_is_not_starved_by_a_busy_one() {
    let (pool, connector) = pool(|b| b.max_total(1));
    let mut loan = Some(pool.acquire(&1).await.unwrap());
    let mut starving = waiting(&pool, 2);
    let mut first = waiting(&pool, 1);
    let mut second = waiting(&pool, 1);
    drop(loan.take());
    // A connection serves its host for its tenure: a tenth of a second, where dials take less than a hundredth.
    loan = Some(ready(&mut first));
    sleep(ms(100)).await;
    drop(loan.take());
    quiet().await;
    assert!(poll(&mut second).is_pending());
    drop(ready(&mut starving));
    quiet().await;
    drop(ready(&mut second));
    assert_eq!(connector.counts().peak_open, 1);
    assert_balanced(&pool, &connector);
}

/// Hosts of one caller each, under a cap of ten: how often they were served in 30 s, and how many dials that took.
async fn served_by_ten(hosts: u32) -> (usize, usize) {
    let (pool, connector) = pool(|b| b.max_total(10).acquire_timeout(secs(30)));
    connector.always(Stage::Connect, Step::Slow(ms(50)));
    let mut callers = tokio::task::JoinSet::new();
    for host in 0..hosts {
        let pool = pool.clone();
        callers.spawn(async move {
            let end = tokio::time::Instant::now() + secs(30);
            let mut uses = 0;
            while tokio::time::Instant::now() < end {
                let loan = pool.acquire(&host).await.unwrap();
                sleep(ms(5)).await;
                drop(loan);
                uses += 1;
            }
            uses
        });
    }
    let uses = callers.join_all().await;
    assert!(uses.iter().all(|&uses| uses > 0), "{uses:?}");
    assert!(connector.counts().peak_open <= 10);
    (uses.iter().sum(), connector.counts().dials)
}

/// (Behaviour 100.)
#[tokio::test(start_paused = true)]
async fn one_host_more_than_the_cap_allows_costs_two_in_a_hundred_uses() {
    let (ten, dials) = served_by_ten(10).await;
    assert_eq!(dials, 10);
    let (eleven, dials) = served_by_ten(11).await;
    assert!(eleven * 100 >= ten * 98, "{ten} uses by ten hosts, {eleven} by eleven");
    assert!(dials < 100, "{dials} dials");
}

/// (Behaviour 100.)
#[tokio::test(start_paused = true)]
async fn an_idle_connection_makes_room_when_it_has_been_idle_for_one_dial() {
    let (pool, connector) = pool(|b| b.max_total(1));
    connector.always(Stage::Connect, Step::Slow(ms(50)));
    drop(pool.acquire(&1).await.unwrap());
    let began = tokio::time::Instant::now();
    drop(pool.acquire(&2).await.unwrap());
    let took = began.elapsed();
    assert!((ms(100)..ms(103)).contains(&took), "a dial's time of rest, and a dial: {took:?}");
    assert_eq!(connector.counts().peak_open, 1);
}

/// (Design, part 4: across hosts.)
#[tokio::test(start_paused = true)]
async fn hosts_that_hang_hold_at_most_a_quarter_of_the_permits_while_others_want_them() {
    let (pool, connector) = pool(|b| b.max_total(8).acquire_timeout(secs(60)));
    connector.leave_to_chance(|host, stage| {
        if *host < 100 || stage != Stage::Connect { Step::Ok } else { Step::Never }
    });
    let mut callers = tokio::task::JoinSet::new();
    for host in (0..8).chain(100..120) {
        let pool = pool.clone();
        callers.spawn(async move {
            let began = tokio::time::Instant::now();
            let mut uses = 0;
            while began.elapsed() < secs(60) {
                if let Ok(loan) = pool.acquire(&host).await {
                    sleep(ms(5)).await;
                    drop(loan);
                    // Before the first dial of each has failed nobody knows that they hang.
                    uses += usize::from(host < 100 && began.elapsed() > secs(30));
                }
            }
            uses
        });
    }
    let uses: usize = callers.join_all().await.iter().sum();
    // Eight hosts alone would make 48,000.
    assert!(uses > 24_000, "{uses} uses while twenty hosts hang");
}

/// Once a dial that hangs has ended, its permit is for a host that has not failed: also where only dials are capped.
#[tokio::test(start_paused = true)]
async fn hosts_that_hang_do_not_keep_other_hosts_from_dialing_under_max_dialing() {
    let (pool, connector) = pool(|b| {
        let retried = b.retry(wharf::Backoff::default()).acquire_timeout(secs(3600));
        retried.max_dialing(4).connect_timeout(secs(1))
    });
    let callers: Vec<_> = (1..=100)
        .map(|host| {
            connector.always_for(&host, Stage::Connect, Step::Never);
            waiting(&pool, host)
        })
        .collect();
    sleep(ms(60_500)).await;
    let began = tokio::time::Instant::now();
    drop(pool.acquire(&0).await.unwrap());
    assert!(began.elapsed() <= secs(1), "{:?}", began.elapsed());
    drop(callers);
}

/// Two hosts use both places all the time and want more; a third one was down 20 s ago. Returns how long its caller
/// waits.
async fn wait_of_one_that_was_down(acquire_timeout: Duration) -> Duration {
    let (pool, connector) = pool(|b| b.max_total(2).acquire_timeout(acquire_timeout));
    connector.once_for(&3, Stage::Connect, Step::SlowError(secs(2)));
    pool.acquire(&3).await.map(drop).unwrap_err();
    let mut busy = tokio::task::JoinSet::new();
    for host in [1, 1, 2, 2] {
        let pool = pool.clone();
        busy.spawn(async move {
            loop {
                let loan = pool.acquire(&host).await;
                sleep(ms(5)).await;
                drop(loan);
            }
        });
    }
    sleep(secs(20)).await;
    let began = tokio::time::Instant::now();
    pool.acquire(&3).await.map(drop).unwrap();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn under_the_total_cap_a_host_that_was_down_is_not_starved_by_busy_ones() {
    let waited = wait_of_one_that_was_down(secs(3600)).await;
    assert!(waited < secs(11), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn under_the_total_cap_a_host_that_was_down_is_served_within_the_acquire_timeout() {
    let waited = wait_of_one_that_was_down(secs(5)).await;
    assert!(waited < secs(2), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn hosts_that_wait_for_room_are_served_in_order_of_arrival() {
    let (pool, connector) = pool(|b| b.max_total(1));
    let mut loan = Some(pool.acquire(&0).await.unwrap());
    let mut waiters: Vec<_> = (1..=5).map(|host| waiting(&pool, host)).collect();
    for n in 0..waiters.len() {
        drop(loan.take());
        quiet().await;
        assert!(waiters[n + 1..].iter_mut().all(|waiter| poll(waiter).is_pending()));
        loan = Some(ready(&mut waiters[n]));
    }
    drop(loan);
    assert_eq!(connector.counts().peak_open, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_returns_is_closed_when_another_host_waits_for_room() {
    let (pool, connector) = pool(|b| b.max_total(1));
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 2);
    drop(loan);
    quiet().await;
    drop(ready(&mut waiter));
    assert_eq!(connector.closed_hosts(), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_global_idle_cap_closes_the_least_recently_used_idle_connection() {
    let (pool, connector) = pool(|b| b.max_idle(3));
    for host in [1, 2, 3] {
        drop(pool.acquire(&host).await.unwrap());
    }
    drop(pool.acquire(&1).await.unwrap());
    drop(pool.acquire(&4).await.unwrap());
    quiet().await;
    assert_eq!(connector.closed_hosts(), [2]);
    // From another thread too.
    let loan = pool.acquire(&5).await.unwrap();
    std::thread::spawn(move || drop(loan)).join().unwrap();
    quiet().await;
    assert_eq!(connector.closed_hosts(), [2, 3]);
    assert_eq!(pool.status().idle, 3);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_returns_above_the_idle_limit_is_closed_and_other_hosts_are_untouched() {
    let (pool, connector) = pool(|b| b.max_idle_per_host(1));
    drop(pool.acquire(&2).await.unwrap());
    let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    drop(loans);
    quiet().await;
    assert_eq!(connector.closed_hosts(), [1]);
    assert_eq!(pool.status().idle, 2);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_served_before_any_idle_limit_is_looked_at() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_idle_per_host(0).max_idle(0));
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    drop(loan);
    let loan = ready(&mut waiter);
    assert_eq!(loan.number, 0);
    drop(loan);
    quiet().await;
    assert_eq!(connector.counts().closes, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn above_the_limit_of_waiters_the_queue_is_full_at_once() {
    let (pool, _) = pool(|b| b.max_per_host(1).max_waiters_per_host(2));
    let loan = pool.acquire(&1).await.unwrap();
    let mut first = waiting(&pool, 1);
    let second = waiting(&pool, 1);
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::QueueFull { .. })));
    drop(second);
    drop(waiting(&pool, 1));
    drop(loan);
    drop(ready(&mut first));
}

#[tokio::test(start_paused = true)]
async fn lowering_a_cap_closes_idle_connections_at_once_and_the_rest_as_they_return() {
    let (pool, connector) = pool_of(10);
    let host = pool.host(&1);
    let mut loans = Vec::new();
    for _ in 0..10 {
        loans.push(host.acquire().await.unwrap());
    }
    loans.truncate(6);
    assert_eq!((host.status().idle, host.status().in_use), (4, 6));
    host.set_max(3).unwrap();
    quiet().await;
    assert_eq!((host.status().idle, host.status().in_use), (0, 6));
    drop(loans);
    quiet().await;
    assert_eq!((host.status().idle, host.status().max), (3, 3));
    assert_eq!(connector.counts().closes, 7);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn lowering_and_raising_a_cap_is_exact_in_both_directions() {
    let (pool, connector) = pool_of(10);
    let host = pool.host(&1);
    let mut loans = Vec::new();
    for _ in 0..10 {
        loans.push(host.acquire().await.unwrap());
    }
    host.set_max(5).unwrap();
    let mut waiter = waiting(&pool, 1);
    for held in (5..10).rev() {
        loans.pop();
        quiet().await;
        assert!(poll(&mut waiter).is_pending(), "{held} are out of 5");
    }
    assert_eq!(pool.status().in_use, 5);
    loans.pop();
    loans.push(ready(&mut waiter));
    host.set_max(10).unwrap();
    for _ in 0..5 {
        loans.push(host.acquire().await.unwrap());
    }
    assert_eq!((pool.status().in_use, connector.counts().peak_open), (10, 10));
    let mut waiters: Vec<_> = (0..10).map(|_| waiting(&pool, 1)).collect();
    quiet().await;
    assert_eq!(connector.counts().dials, 15, "there is no room: all are out");
    drop(loans);
    let loans: Vec<_> = waiters.iter_mut().map(ready).collect();
    drop(loans);
    assert_eq!(connector.counts().peak_open, 10);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn raising_a_cap_starts_the_dials_that_waiters_are_owed() {
    let (pool, connector) = pool_of(1);
    let host = pool.host(&1);
    let loan = host.acquire().await.unwrap();
    let mut waiters: Vec<_> = (0..4).map(|_| waiting(&pool, 1)).collect();
    host.set_max(3).unwrap();
    quiet().await;
    let loans = [ready(&mut waiters[0]), ready(&mut waiters[1])];
    assert_eq!(connector.counts().dials, 3);
    assert!(poll(&mut waiters[2]).is_pending());
    drop((loan, loans));
    drop([ready(&mut waiters[2]), ready(&mut waiters[3])]);
    let error = host.set_max(0).unwrap_err();
    assert_eq!(error.to_string(), "max_per_host is 0: it must be at least 1");
}

#[tokio::test(start_paused = true)]
async fn an_added_connection_is_lent_or_given_back_when_there_is_no_room() {
    let (pool, connector) = pool_of(1);
    pool.add(&1, connector.make(1)).unwrap();
    assert_eq!(pool.status().idle, 1);
    let refused = pool.add(&1, connector.make(1)).unwrap_err();
    assert!(refused.to_string().starts_with("no room for another connection to 1"), "{refused}");
    drop(refused.into_connection());
    let loan = pool.acquire(&1).await.unwrap();
    assert_eq!((loan.number, connector.counts().dials), (0, 0));
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn an_added_connection_serves_the_oldest_waiter() {
    let (pool, connector) = pool_of(2);
    let _gate = connector.gate(Stage::Connect);
    let mut waiter = waiting(&pool, 1);
    quiet().await;
    pool.add(&1, connector.make(1)).unwrap();
    drop(ready(&mut waiter));
}

#[tokio::test(start_paused = true)]
async fn no_limit_means_no_limit() {
    let (pool, connector) = pool(|b| b.max_per_host(None));
    let mut loans = Vec::new();
    for _ in 0..500 {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    drop(loans);
    assert_eq!(pool.status().idle, 500);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_returned_connection_is_not_closed_for_a_host_that_may_not_dial() {
    let (pool, connector) = pool(|b| b.max_total(2).max_dialing(1));
    let loan = pool.acquire(&1).await.unwrap();
    connector.gate(Stage::Connect);
    let _dialing = waiting(&pool, 3);
    quiet().await;
    let mut starving = waiting(&pool, 2);
    let mut younger = waiting(&pool, 1);
    drop(loan);
    assert!(poll(&mut starving).is_pending());
    let loan = ready(&mut younger);
    assert_eq!((loan.number, pool.status().closes.total()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn hosts_that_fill_up_do_not_push_each_others_connections_out() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(2).max_idle(3));
    for host in 1..4 {
        drop(pool.acquire(&host).await.unwrap());
        sleep(secs(1)).await;
    }
    let dials = connector.counts().dials;
    sleep(secs(20)).await;
    assert_eq!((connector.counts().dials, connector.counts().open), (dials, 3));
    // Each host's own, what filled the first one up, and no more.
    assert!(dials <= 5, "{dials} dials for three hosts");
}

#[tokio::test(start_paused = true)]
async fn limit_zero_an_idle_connection_that_needs_a_ping_serves_its_caller() {
    let (pool, _) = pool(|b| {
        b.max_per_host(1).max_waiters_per_host(0).health_check(HealthCheck::IdleFor(secs(10)))
    });
    drop(pool.acquire(&1).await.unwrap());
    sleep(secs(20)).await;
    assert_eq!(pool.status().idle, 1);
    for _ in 0..5 {
        let served = pool.acquire(&1).await;
        assert!(served.is_ok(), "a free connection is there, and nobody waits: {served:?}");
        sleep(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn limit_of_waiters_holds_under_max_total() {
    let (pool, _) = pool(|b| b.max_per_host(None).max_total(1).max_waiters_per_host(3));
    let loan = pool.acquire(&1).await.unwrap();
    let queued: Vec<_> = (0..3).map(|_| waiting(&pool, 1)).collect();
    let mut more: Vec<_> = (0..100).map(|_| pool.acquire(&1)).collect();
    let refused = more
        .iter_mut()
        .filter_map(|acquire| match poll(acquire) {
            std::task::Poll::Ready(Err(AcquireError::QueueFull { .. })) => Some(()),
            _ => None,
        })
        .count();
    assert_eq!(refused, 100, "no room is left under max_total, and three wait");
    drop((loan, queued));
}

#[tokio::test(start_paused = true)]
async fn limit_zero_resets_that_wait_for_others_count() {
    let (pool, connector) = pool(|b| b.max_per_host(12).max_waiters_per_host(0));
    connector.let_need_reset();
    connector.always(Stage::Reset, Step::Slow(ms(50)));
    let mut loans = Vec::new();
    for _ in 0..12 {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    drop(loans);
    // Twelve connections are free, and nobody waits: all twelve callers could be served in 50 ms.
    let mut callers: Vec<_> = (0..12).map(|_| pool.acquire(&1)).collect();
    let refused = callers.iter_mut().map(poll).filter(|p| p.is_ready()).count();
    assert_eq!(refused, 0, "12 are being reset or about to be");
}
