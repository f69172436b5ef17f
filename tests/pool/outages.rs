//! Servers that refuse, hang and come back, and what callers get meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wharf::{AcquireError, Backoff, HealthCheck, Heartbeat};

use crate::sharing::{KNOWN, Sharing, sharing, sharing_with};
use crate::support::*;

/// Callers that ask again as soon as they are told of an error. Returns when the first was served.
async fn first_served(pool: &TestPool, callers: usize) -> Instant {
    let ask = || {
        let pool = pool.clone();
        async move { while pool.acquire(&1).await.is_err() {} }
    };
    let mut tasks = tokio::task::JoinSet::new();
    (0..callers).for_each(|_| drop(tasks.spawn(ask())));
    tasks.join_next().await.expect("there are callers").expect("no panic");
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn dials_in_flight_together_that_fail_are_one_failure() {
    let (pool, connector) = pool(|b| b.max_per_host(10).retry(Backoff::default()));
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::SlowError(ms(50)));
    let task = tokio::spawn({
        let pool = pool.clone();
        async move { first_served(&pool, 10).await }
    });
    sleep(ms(50)).await;
    quiet().await;
    assert_eq!(pool.status().failed_dials, 10);
    connector.behave();
    let back = Instant::now();
    let waited = task.await.unwrap() - back;
    assert!(waited <= ms(100), "the backoff of one failure: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_blip_callers_are_served_within_the_shortest_backoff() {
    let (pool, connector) = pool_of(10);
    connector.always(Stage::Connect, Step::Error);
    let task = tokio::spawn({
        let pool = pool.clone();
        async move { first_served(&pool, 10).await }
    });
    sleep(ms(50)).await;
    connector.behave();
    let back = Instant::now();
    let waited = task.await.unwrap() - back;
    assert!(waited <= ms(100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_loan_counts_as_on_its_way_until_nothing_has_returned_for_three_seconds() {
    let (pool, connector) = pool_of(10);
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    let began = Instant::now();
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error}");
    assert!((ms(3000)..ms(3402)).contains(&began.elapsed()), "{:?}", began.elapsed());
    // The next caller has nothing to wait for.
    let began = Instant::now();
    pool.acquire(&1).await.unwrap_err();
    assert!(began.elapsed() <= ms(401), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_return_between_two_failures_lets_loans_count_again() {
    let (pool, connector) = pool_of(3);
    let one = pool.acquire(&1).await.unwrap();
    let two = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    let mut first = waiting(&pool, 1);
    let mut second = waiting(&pool, 1);
    quiet().await;
    drop(one);
    let first = ready(&mut first);
    sleep(ms(150)).await;
    assert_eq!(pool.status().failed_dials, 2);
    assert!(poll(&mut second).is_pending(), "the second failure is the first since a return");
    drop(two);
    drop(ready(&mut second));
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_will_not_be_lent_again_is_not_on_its_way() {
    let (pool, connector) = pool(|b| b.max_per_host(2).max_uses(1));
    let _last_use = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    let began = Instant::now();
    pool.acquire(&1).await.unwrap_err();
    assert!(began.elapsed() < ms(5), "{:?}", began.elapsed());

    let (pool, connector) = pool_of(2);
    let _retired = pool.acquire(&1).await.unwrap();
    pool.host(&1).retire();
    connector.always(Stage::Connect, Step::Error);
    let began = Instant::now();
    pool.acquire(&1).await.unwrap_err();
    assert!(began.elapsed() < ms(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_backoff_outlasts_half_of_the_time_that_the_oldest_waiter_has() {
    let backoff = Backoff::default().initial(ms(100)).max(secs(600)).factor(1000.0).jitter(0.0);
    let (pool, connector) = pool(|b| b.retry(backoff));
    connector.once(Stage::Connect, Step::Error);
    connector.once(Stage::Connect, Step::Error);
    let began = Instant::now();
    // The second failure is followed by a backoff of 400 ms. The caller has 400 of its 500 ms left then.
    drop(pool.acquire_within(&1, ms(500)).await.unwrap());
    assert_eq!(began.elapsed(), ms(100 + 200));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_causes_a_dial_within_half_of_its_time_also_during_a_backoff() {
    let backoff = Backoff::default().initial(ms(20)).max(secs(600)).factor(1000.0).jitter(0.0);
    let (pool, connector) = pool(|b| b.retry(backoff));
    connector.always(Stage::Connect, Step::Error);
    drop(waiting(&pool, 1));
    sleep(ms(30)).await;
    connector.behave();
    drop(pool.acquire_within(&1, ms(50)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn early_dials_are_as_far_apart_as_the_shortest_backoff() {
    let backoff = Backoff::default().initial(secs(1)).max(secs(600)).jitter(0.0);
    let (pool, connector) = pool(|b| b.retry(backoff));
    connector.always(Stage::Connect, Step::Error);
    for _ in 0..1000 {
        let _ = pool.acquire_within(&1, ms(10)).await;
    }
    assert!(connector.counts().dials <= 11, "{} dials in ten seconds", connector.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_does_not_keep_all_who_would_share_its_connection() {
    let stage = sharing(2, 100);
    stage.script.once(Stage::Connect, Step::Never);
    // Once a connection has said that it carries ten, its host expects that of the next.
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let pool = stage.pool.clone();
            tokio::spawn(async move { pool.acquire_within(&KNOWN, secs(5)).await.map(drop) })
        })
        .collect();
    let began = Instant::now();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_host_is_given_twenty_of_its_usual_dials_before_another_begins() {
    let stage = sharing_with(100, |b| b.max_per_host(5).connect_timeout(secs(60)));
    stage.script.always(Stage::Connect, Step::Slow(ms(800)));
    drop(stage.lease().await);
    stage.pool.close_idle();
    stage.script.always(Stage::Connect, Step::Never);
    let waiters: Vec<_> = (0..10).map(|_| stage.waiting()).collect();
    sleep(ms(15_900)).await;
    assert_eq!(stage.script.counts().dials, 2);
    sleep(ms(200)).await;
    assert_eq!(stage.script.counts().dials, 3);
    drop(waiters);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_idle_of_a_host_that_has_a_handle_is_restored_after_an_outage() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(4));
    let host = pool.host(&1);
    drop(host.acquire().await.unwrap());
    quiet().await;
    connector.always(Stage::Connect, Step::Error);
    connector.kill_all();
    for _ in 0..10 {
        let _ = host.acquire_within(ms(500)).await;
    }
    sleep(secs(60)).await;
    assert_eq!(pool.status().idle, 0);
    connector.behave();
    sleep(secs(11)).await;
    assert_eq!(pool.status().idle, 4);
}

#[tokio::test(start_paused = true)]
async fn warming_is_met_in_the_end_where_only_a_permit_to_dial_is_missing() {
    let (pool, connector) = pool(|b| b.max_dialing(1));
    connector.always(Stage::Connect, Step::Slow(ms(100)));
    let other = waiting(&pool, 2);
    let began = Instant::now();
    pool.warm(&1, 3).await.unwrap();
    assert_eq!(began.elapsed().as_millis() / 100, 4);
    drop(other.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn initial_connections_are_made_in_the_end_where_only_a_permit_to_dial_is_missing() {
    let (pool, connector) = pool(|b| b.max_dialing(1).initial_per_host(3));
    connector.always(Stage::Connect, Step::Slow(ms(100)));
    let other = waiting(&pool, 2);
    drop(pool.acquire(&1).await.unwrap());
    drop(other.await.unwrap());
    sleep(secs(2)).await;
    assert_eq!(pool.status().idle, 6);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_waiters_counts_those_that_no_dial_or_room_will_serve() {
    let (pool, connector) = pool(|b| b.max_per_host(10).max_waiters_per_host(3));
    connector.always(Stage::Connect, Step::Slow(ms(100)));
    let waiters: Vec<_> = (0..13).map(|_| waiting(&pool, 1)).collect();
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::QueueFull { .. })));
    for waiter in waiters {
        drop(waiter.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_of_zero_nobody_queues_and_dials_still_begin() {
    let (pool, _) = pool(|b| b.max_per_host(1).max_waiters_per_host(0));
    let loan = pool.acquire(&1).await.unwrap();
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::QueueFull { .. })));
    drop(loan);
    drop(pool.acquire(&1).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn lowering_a_cap_gives_up_dials_and_idle_connections_before_what_is_lent() {
    let (pool, connector) = pool_of(4);
    let host = pool.host(&1);
    let loans = [host.acquire().await.unwrap(), host.acquire().await.unwrap()];
    drop(host.acquire().await.unwrap());
    connector.always(Stage::Connect, Step::Never);
    let warming = tokio::spawn(host.warm(4));
    quiet().await;
    let status = pool.status();
    assert_eq!((status.in_use, status.idle, status.dialing), (2, 1, 1));
    host.set_max(3).unwrap();
    quiet().await;
    let status = pool.status();
    assert_eq!((status.in_use, status.idle, status.dialing), (2, 1, 0), "the dial is cut off");
    host.set_max(2).unwrap();
    quiet().await;
    assert_eq!((pool.status().in_use, pool.status().idle), (2, 0));
    drop(loans);
    assert_eq!(pool.status().idle, 2, "both stay");
    warming.abort();
}

#[tokio::test(start_paused = true)]
async fn connections_kept_for_the_minimum_idle_need_no_new_dial_while_they_answer() {
    let (pool, connector) = pool(|b| {
        b.min_idle_per_host(2).idle_timeout(secs(60)).heartbeat(Heartbeat::every(secs(20)))
    });
    pool.warm(&1, 2).await.unwrap();
    sleep(Duration::from_secs(1200)).await;
    assert_eq!((connector.counts().dials, pool.status().idle), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_shared_dial_that_hangs_after_a_failure_counts_for_a_second_too() {
    let stage =
        sharing_with(10, |b| b.max_per_host(5).retry(Backoff::default()).connect_timeout(secs(10)));
    stage.script.once(Stage::Connect, Step::Error);
    stage.script.once(Stage::Connect, Step::Never);
    let served = stage.pool.acquire_within(&1, secs(5)).await;
    assert!(served.is_ok(), "{} dials: {served:?}", stage.script.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_dial_error_when_the_ping_that_was_to_serve_it_fails() {
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::IdleFor(secs(1))));
    let loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::SlowError(ms(5)));
    connector.always(Stage::Ping, Step::SlowError(ms(100)));
    for _ in 0..10 {
        pool.acquire(&1).await.unwrap_err();
    }
    drop(loan);
    sleep(secs(20)).await;
    // The ping of what is idle is to serve the first, a dial the second. Both fail within 100 ms.
    let began = Instant::now();
    let callers = [tokio::spawn(pool.acquire(&1)), tokio::spawn(pool.acquire(&1))];
    for caller in callers {
        caller.await.unwrap().unwrap_err();
    }
    assert!(began.elapsed() < secs(1), "told after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_dial_error_when_the_loan_that_was_to_serve_it_comes_back_dead() {
    let (pool, connector) = pool_of(2);
    let mut loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::SlowError(ms(5)));
    for _ in 0..10 {
        pool.acquire(&1).await.unwrap_err();
    }
    drop(loan);
    loan = pool.acquire(&1).await.unwrap();
    sleep(secs(20)).await;
    let began = Instant::now();
    let caller = tokio::spawn(pool.acquire(&1));
    sleep(ms(20)).await;
    connector.kill_all();
    drop(loan);
    caller.await.unwrap().unwrap_err();
    assert!(began.elapsed() < secs(1), "told after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_dial_that_hangs_after_an_outage_does_not_keep_all_callers() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(10)
            .retry(Backoff::default())
            .connect_timeout(secs(10))
            .acquire_timeout(secs(5))
    });
    connector.once(Stage::Connect, Step::Error);
    connector.once(Stage::Connect, Step::Never);
    // The server is there from now on; one packet was lost.
    let mut first = waiting(&pool, 1);
    sleep(secs(1)).await;
    let callers: Vec<_> = (0..10).map(|_| tokio::spawn(pool.acquire(&1))).collect();
    let mut served = 0;
    for caller in callers {
        served += usize::from(caller.await.unwrap().is_ok());
    }
    let _ = poll(&mut first);
    assert!(served >= 9, "{served} of 10 were served, {} dials", connector.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn a_dial_of_a_shared_host_counts_for_a_second_also_where_it_carries_one() {
    let stage = sharing_with(1, |b| b.max_per_host(5).connect_timeout(secs(10)));
    drop(stage.lease().await);
    stage.pool.close_idle();
    quiet().await;
    stage.script.once(Stage::Connect, Step::Never);
    let gone = stage.waiting();
    quiet().await;
    drop(gone);
    let served = stage.pool.acquire_within(&1, secs(5)).await;
    assert!(served.is_ok(), "{} dials: {served:?}", stage.script.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn an_hour_after_an_error_one_dial_that_hangs_does_not_keep_all_callers() {
    let (pool, connector) = pool(|b| b);
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    pool.acquire(&1).await.unwrap_err();
    connector.behave();
    connector.once(Stage::Connect, Step::Never);
    sleep(secs(3600)).await;
    // An hour later the server is well, but one packet is lost.
    let callers: Vec<_> = (0..9).map(|_| tokio::spawn(pool.acquire_within(&1, secs(5)))).collect();
    let mut served = 0;
    for caller in callers {
        served += usize::from(caller.await.unwrap().is_ok());
    }
    assert!(served >= 8, "{served} of 9 were served, {} dials", connector.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_idle_is_restored_where_the_handle_was_made_during_the_outage() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(2));
    drop(pool.acquire(&1).await.unwrap());
    quiet().await;
    connector.always(Stage::Connect, Step::Error);
    connector.kill_all();
    for _ in 0..5 {
        let _ = pool.acquire_within(&1, ms(500)).await;
    }
    let _host = pool.host(&1);
    connector.behave();
    sleep(secs(60)).await;
    assert_eq!(pool.status().idle, 2);
}

#[tokio::test(start_paused = true)]
async fn a_host_knows_the_error_of_its_last_dial_and_its_age_until_one_succeeds() {
    let (pool, connector) = pool_of(10);
    let host = pool.host(&1);
    assert!(host.last_dial_error().is_none());
    connector.always(Stage::Connect, Step::Error);
    host.acquire().await.unwrap_err();
    sleep(secs(2)).await;
    let last = host.last_dial_error().unwrap();
    assert_eq!((&*last.message, last.age), ("told to fail", secs(2)));
    assert_eq!(last.error.unwrap().to_string(), "told to fail");
    // Another handle sees it, too; another host does not.
    assert!(pool.host(&1).last_dial_error().is_some() && pool.host(&2).last_dial_error().is_none());
    connector.behave();
    drop(host.acquire().await.unwrap());
    assert!(host.last_dial_error().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_shared_host_knows_that_its_last_dial_took_too_long() {
    let Sharing { pool, script, .. } = sharing_with(10, |b| b.connect_timeout(secs(3)));
    let host = pool.host(&1);
    script.always(Stage::Connect, Step::Never);
    host.acquire().await.unwrap_err();
    let last = host.last_dial_error().unwrap();
    assert_eq!(&*last.message, "the dial took longer than connect_timeout (3 s)");
    assert!(last.error.is_none());
}
