//! Dials: how many, for which callers, and how they end. (Behaviours 15 to 24, 27, 28.)

use std::error::Error;

use tokio::time::Instant;
use wharf::{AcquireError, Backoff, PooledConnection};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_waiter_takes_a_returned_connection_while_a_dial_for_it_is_still_running() {
    let (pool, connector) = pool_of(2);
    let loan = pool.acquire(&1).await.unwrap();
    let gate = connector.gate(Stage::Connect);
    let mut waiter = waiting(&pool, 1);
    quiet().await;
    assert_eq!(connector.counts().dialing, 1);
    drop(loan);
    let loan = ready(&mut waiter);
    assert_eq!(loan.number, 0);
    assert_eq!(connector.counts().dialing, 1);
    // That dial, finished later, is not thrown away.
    gate.let_through(1);
    quiet().await;
    assert_eq!((pool.status().idle, connector.counts().made), (1, 2));
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_dial_whose_waiter_was_served_otherwise_serves_the_next_waiter() {
    let (pool, connector) = pool_of(2);
    let loan = pool.acquire(&1).await.unwrap();
    let gate = connector.gate(Stage::Connect);
    let mut first = waiting(&pool, 1);
    drop(loan);
    let loan = ready(&mut first);
    let mut second = waiting(&pool, 1);
    quiet().await;
    assert_eq!(connector.counts().dials, 2, "the second waiter has the first one's dial");
    gate.let_through(1);
    quiet().await;
    assert_eq!(ready(&mut second).number, 1);
    drop(loan);
}

#[tokio::test(start_paused = true)]
async fn a_second_waiter_does_not_start_a_second_dial_while_an_unclaimed_one_is_in_flight() {
    let (pool, connector) = pool_of(10);
    let gate = connector.gate(Stage::Connect);
    drop(waiting(&pool, 1));
    let mut second = waiting(&pool, 1);
    quiet().await;
    assert_eq!(connector.counts().dials, 1);
    gate.let_through(1);
    quiet().await;
    drop(ready(&mut second));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn with_a_cap_of_one_the_next_dial_starts_only_after_the_first_connection_is_gone() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1));
    let close = connector.gate(Stage::Close);
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    drop(loan);
    quiet().await;
    assert_eq!((connector.counts().dials, pool.status().closing), (1, 1));
    close.let_through(1);
    quiet().await;
    assert_eq!(connector.counts().peak_open, 1);
    drop(ready(&mut waiter));
    close.let_through(1);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_dial_in_flight_counts_against_the_cap() {
    let (pool, connector) = pool_of(2);
    let _known = learn(&pool, 1).await;
    let _gate = connector.gate(Stage::Connect);
    let _waiters = [waiting(&pool, 1), waiting(&pool, 1), waiting(&pool, 1)];
    quiet().await;
    assert_eq!(connector.counts().dials, 1 + 2);
    assert_eq!(pool.status().dialing, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_or_panicking_dial_gives_its_slot_back() {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, Step::Error);
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Connect(_))));
    connector.once(Stage::Connect, Step::Panic);
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::ConnectorPanicked { .. })));
    drop(pool.acquire(&1).await.unwrap());
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn sixty_four_acquires_at_once_on_an_empty_host_with_cap_eight_dial_eight_times() {
    let (pool, connector) = pool_of(8);
    connector.always(Stage::Connect, Step::Slow(ms(20)));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let _loan = pool.acquire(&1).await.unwrap();
                tokio::time::sleep(ms(5)).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(connector.counts().dials, 8);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_spike_is_served_by_what_returns_and_unneeded_dials_are_never_begun() {
    let (pool, connector) = pool(|b| b.max_per_host(50).max_dialing_per_host(2));
    pool.warm(&1, 5).await.unwrap();
    connector.always(Stage::Connect, Step::Slow(ms(150)));
    let began = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let _loan = pool.acquire(&1).await.unwrap();
                tokio::time::sleep(ms(2)).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(began.elapsed() <= ms(60), "{:?}", began.elapsed());
    tokio::time::sleep(secs(1)).await;
    assert_eq!(connector.counts().dials, 5 + 2);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn no_more_dials_than_permitted_run_at_once_and_a_permit_is_back_before_the_next_is_chosen() {
    let (pool, connector) = pool(|b| b.max_per_host(9).max_dialing_per_host(2));
    connector.always(Stage::Connect, Step::Slow(ms(10)));
    let began = Instant::now();
    pool.warm(&1, 8).await.unwrap();
    assert_eq!(connector.counts().peak_dialing, 2);
    assert_eq!(began.elapsed().as_millis() / 10, 1 + 4, "one, then two at a time, without a pause");
}

#[tokio::test(start_paused = true)]
async fn dials_of_all_hosts_together_keep_to_their_cap() {
    let (pool, connector) = pool(|b| b.max_dialing(3));
    connector.always(Stage::Connect, Step::Slow(ms(10)));
    let tasks: Vec<_> = (0..30)
        .map(|host| {
            let pool = pool.clone();
            tokio::spawn(async move { drop(pool.acquire(&host).await.unwrap()) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(connector.counts().peak_dialing, 3);
    assert_eq!(connector.counts().dials, 30);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn every_waiter_gets_the_error_of_a_dial_when_nothing_else_can_serve_it() {
    let (pool, connector) = pool_of(4);
    connector.always(Stage::Connect, Step::Error);
    let began = Instant::now();
    let errors: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire(&1).await.map(drop).unwrap_err() })
        })
        .collect();
    for error in errors {
        let error = error.await.unwrap();
        assert!(matches!(&error, AcquireError::Connect(e) if **e == TestError), "{error}");
        assert_eq!(error.source().unwrap().to_string(), "told to fail");
    }
    assert!(began.elapsed() < ms(5));
    assert_eq!(connector.counts().dials, 1, "nothing is known of the server");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_does_not_fail_waiters_whom_a_connection_in_use_can_still_serve() {
    let (pool, connector) = pool_of(2);
    let loan = pool.acquire(&1).await.unwrap();
    connector.once(Stage::Connect, Step::Error);
    let mut waiter = waiting(&pool, 1);
    quiet().await;
    assert!(poll(&mut waiter).is_pending());
    drop(loan);
    assert_eq!(ready(&mut waiter).number, 0);
    assert_eq!(pool.status().failed_dials, 1);
}

#[tokio::test(start_paused = true)]
async fn the_host_dials_again_after_a_backoff_for_those_who_still_wait() {
    let (pool, connector) = pool_of(2);
    let _loan = pool.acquire(&1).await.unwrap();
    connector.once(Stage::Connect, Step::Error);
    let began = Instant::now();
    let second = pool.acquire(&1).await.unwrap();
    assert_eq!(second.number, 1);
    assert!(began.elapsed() >= ms(50), "{:?}", began.elapsed());
    assert_eq!(connector.counts().dials, 3);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_connection_dies_during_a_backoff_the_next_dial_serves() {
    let (pool, connector) = pool_of(2);
    let loan = pool.acquire(&1).await.unwrap();
    connector.once(Stage::Connect, Step::Error);
    let waiter = waiting(&pool, 1);
    quiet().await;
    let began = Instant::now();
    PooledConnection::discard(loan);
    drop(waiter.await.unwrap());
    assert!(began.elapsed() <= ms(100), "the first backoff: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_hangs_ends_at_the_connect_timeout() {
    let (pool, connector) = pool(|b| b.max_per_host(1).connect_timeout(secs(2)));
    connector.once(Stage::Connect, Step::Never);
    let began = Instant::now();
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout { .. }), "{error}");
    assert_eq!(began.elapsed().as_secs(), 2);
    drop(pool.acquire(&1).await.unwrap());
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_dial_nobody_wants_any_more_is_not_repeated() {
    let (pool, connector) = pool(|b| b.connect_timeout(secs(2)));
    connector.always(Stage::Connect, Step::Never);
    drop(waiting(&pool, 1));
    tokio::time::sleep(secs(120)).await;
    assert_eq!(connector.counts().dials, 1);
    assert_eq!(pool.status().hosts, 0);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_early_on_a_slow_host_succeed_within_a_few_tries_with_one_dial() {
    let (pool, connector) = pool_of(10);
    connector.always(Stage::Connect, Step::Slow(ms(300)));
    let mut tries = 0;
    let loan = loop {
        tries += 1;
        if let Ok(loan) = pool.acquire_within(&1, ms(100)).await {
            break loan;
        }
    };
    assert!(tries <= 4, "{tries}");
    assert_eq!(connector.counts().dials, 1);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_initial_connections_are_dialed_as_soon_as_a_host_is_first_used() {
    let (pool, connector) = pool(|b| b.max_per_host(10).initial_per_host(5));
    drop(pool.acquire(&1).await.unwrap());
    quiet().await;
    assert_eq!((pool.status().idle, connector.counts().made), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn warming_counts_what_is_open_and_tells_how_it_went() {
    let (pool, connector) = pool_of(4);
    let loan = pool.acquire(&1).await.unwrap();
    pool.warm(&1, 3).await.unwrap();
    assert_eq!((pool.status().idle, connector.counts().made), (2, 3));
    assert!(matches!(pool.warm(&1, 5).await, Err(wharf::WarmError::NoRoom { .. })));
    assert_eq!(connector.counts().made, 4);
    connector.always(Stage::Connect, Step::Error);
    assert!(matches!(pool.warm(&2, 1).await, Err(wharf::WarmError::Connect(_))));
    let failed = connector.counts().dials;
    let again = pool.warm(&2, 1).await;
    assert!(matches!(again, Err(wharf::WarmError::Connect(_))), "it backs off: {again:?}");
    assert_eq!(connector.counts().dials, failed);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn warming_goes_on_when_nobody_awaits_it() {
    let (pool, connector) = pool(|b| b.max_dialing_per_host(1));
    connector.always(Stage::Connect, Step::Slow(ms(10)));
    drop(pool.warm(&1, 3));
    tokio::time::sleep(secs(1)).await;
    assert_eq!(pool.status().idle, 3);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_backoff_grows_has_jitter_resets_on_success_and_is_kept_per_host() {
    let backoff = Backoff::default().initial(secs(1)).max(secs(8)).jitter(0.5);
    let (pool, connector) = pool(|b| b.retry(backoff).acquire_timeout(secs(600)));
    let mut waits = Vec::new();
    for _ in 0..2 {
        (0..6).for_each(|_| connector.once(Stage::Connect, Step::Error));
        let began = Instant::now();
        let loan = pool.acquire(&1).await.unwrap();
        waits.push(began.elapsed());
        PooledConnection::discard(loan);
    }
    // 1 + 2 + 4 + 4 + 4 + 4 seconds while somebody waits, each shortened by up to a half, and anew after the success.
    for wait in &waits {
        assert!((9..=19).contains(&wait.as_secs()), "{wait:?}");
    }
    assert_ne!(waits[0], waits[1], "jitter");
    connector.once(Stage::Connect, Step::Error);
    let failing = waiting(&pool, 1);
    quiet().await;
    let began = Instant::now();
    drop(pool.acquire(&2).await.unwrap());
    assert!(began.elapsed() < ms(5), "another host does not wait");
    drop(failing);
}

#[tokio::test(start_paused = true)]
async fn a_callers_cancellation_starts_no_backoff() {
    let (pool, connector) = pool(|b| b.retry(Backoff::default().initial(secs(60)).max(secs(60))));
    let gate = connector.gate(Stage::Connect);
    drop(waiting(&pool, 1));
    quiet().await;
    gate.let_through(2);
    quiet().await;
    let began = Instant::now();
    let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    assert!(began.elapsed() < ms(5));
    drop(loans);
}

#[tokio::test(start_paused = true)]
async fn with_retry_callers_wait_for_the_next_dial_and_one_dial_probes_for_all() {
    let (pool, connector) = pool(|b| b.max_per_host(8).retry(Backoff::default()));
    connector.once(Stage::Connect, Step::Error);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire(&1).await.map(drop) })
        })
        .collect();
    quiet().await;
    assert_eq!((pool.status().failed_dials, pool.status().waiting), (1, 20));
    (0..2).for_each(|_| connector.once(Stage::Connect, Step::Error));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(pool.status().failed_dials, 3);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn with_retry_the_time_out_carries_the_last_dial_error() {
    let (pool, connector) = pool(|b| b.retry(Backoff::default()).acquire_timeout(secs(5)));
    connector.always(Stage::Connect, Step::Error);
    let began = Instant::now();
    let error = pool.acquire(&1).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "told to fail");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_retryable_ends_the_wait_at_once_also_with_retry_on() {
    let (pool, connector) = pool(|b| b.retry(Backoff::default()));
    connector.let_no_error_be_retryable();
    connector.always(Stage::Connect, Step::Error);
    for _ in 0..3 {
        let began = Instant::now();
        let error = pool.acquire(&1).await.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{error}");
        assert!(
            began.elapsed() <= ms(401),
            "a newcomer is told after four of the shortest backoff"
        );
    }
    assert_eq!(connector.counts().dials, 3);
}
