//! Time-outs: when, and what they report; their words are in `errors`. (Behaviour 34.)

use std::error::Error;

use tokio::time::Instant;
use wharf::{AcquireError, Backoff, Phase, PooledConnection};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_acquire_never_outlives_its_deadline_by_more_than_a_tick() {
    let (pool, connector) = pool(|b| b.max_per_host(2).connect_timeout(None));
    connector.always(Stage::Connect, Step::Never);
    for patience in [1, 5, 100, 650] {
        let began = Instant::now();
        let error = pool.acquire_within(&1, ms(patience)).await.unwrap_err();
        assert!(began.elapsed() <= ms(patience + 1), "{:?}", began.elapsed());
        assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_out_in_the_queue_names_the_loans_and_where_they_were_acquired() {
    let (pool, _) = pool(|b| b.max_per_host(1).acquire_timeout(secs(3)));
    let line = line!() + 1;
    let _loan = pool.acquire(&7).await.unwrap();
    tokio::time::advance(secs(2)).await;
    let Err(AcquireError::Timeout(report)) = pool.acquire(&7).await else { panic!("no time-out") };
    assert!(matches!(report.phase, Phase::Queue));
    assert_eq!((report.key.as_str(), report.waited, report.max), ("7", secs(3), 1));
    assert_eq!((report.in_use, report.idle, report.dialing, report.waiting), (1, 0, 0, 1));
    assert_eq!((report.loans[0].place.line(), report.loans[0].held), (line, secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_carries_the_sixteen_loans_held_longest_and_how_many_more_there_are() {
    let (pool, _) = pool_of(300);
    let mut loans = std::collections::VecDeque::new();
    for _ in 0..300 {
        loans.push_back(pool.acquire(&1).await.unwrap());
        tokio::time::advance(ms(20)).await;
    }
    // The oldest return one after the other, and others begin.
    for round in 0..300 {
        let Err(AcquireError::Timeout(report)) = pool.acquire_within(&1, secs(0)).await else {
            panic!("no time-out")
        };
        let told: Vec<_> = report.loans.iter().map(|loan| loan.id).collect();
        let held: Vec<_> =
            loans.iter().take(16).map(|loan| PooledConnection::info(loan).id).collect();
        assert_eq!((told, report.more_loans), (held, 284), "round {round}");
        drop(loans.pop_front());
        loans.push_back(pool.acquire(&1).await.unwrap());
        tokio::time::advance(ms(20)).await;
    }
    loans.truncate(3);
    tokio::time::advance(secs(1)).await;
    pool.host(&1).set_max(3).unwrap();
    let Err(AcquireError::Timeout(report)) = pool.acquire_within(&1, secs(0)).await else {
        panic!("no time-out")
    };
    assert_eq!((report.loans.len(), report.more_loans), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_carries_the_last_dial_error_as_its_source() {
    let (pool, connector) = pool(|b| b.max_per_host(2).retry(Backoff::default()));
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    let error = pool.acquire_within(&1, secs(30)).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "told to fail");
    let text = error.to_string();
    assert!(text.contains(" ago: told to fail; dials fail: look at the host"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn when_thousands_of_hosts_idle_out_together_callers_time_outs_come_first() {
    let (pool, _) = pool(|b| b.max_per_host(1).idle_timeout(secs(90)).acquire_timeout(secs(30)));
    let _held = pool.acquire(&0).await.unwrap();
    for host in 1..=5000 {
        drop(pool.acquire(&host).await.unwrap());
    }
    tokio::time::sleep(secs(61)).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move {
            let error = pool.acquire(&0).await.unwrap_err();
            assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
            pool.status().idle
        }
    });
    quiet().await;
    // The runtime was busy until both were due: the hosts for a second by then, and the caller just now.
    tokio::time::advance(secs(30)).await;
    let idle = waiter.await.unwrap();
    assert!(idle > 4000, "{idle} hosts were still to be idled out");
    tokio::time::sleep(secs(1)).await;
    assert_eq!(pool.status().idle, 0);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_call_only_shortens_the_wait() {
    for (set, limit, waits) in [
        (Some(secs(10)), secs(2), secs(2)),
        (Some(secs(10)), secs(20), secs(10)),
        (None, secs(3), secs(3)),
        (Some(secs(10)), secs(0), secs(0)),
    ] {
        let (pool, _) = pool(|b| b.max_per_host(1).acquire_timeout(set));
        let _held = pool.acquire(&1).await.unwrap();
        let began = Instant::now();
        let error = pool.acquire(&1).at_most(limit).await.unwrap_err();
        assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
        assert_eq!(began.elapsed(), waits, "{set:?} {limit:?}");
        assert_eq!(pool.status().waiting, 0);
    }
}
