//! Time-outs: when, and what they report; their words are in `errors`. (Behaviour 34.)

use std::error::Error;

use tokio::time::Instant;
use wharf::{AcquireError, Backoff, Phase};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_acquire_never_outlives_its_deadline_by_more_than_a_tick() {
    let (pool, connector) = pool(|b| b.max_per_host(2).connect_timeout(None));
    connector.always(Stage::Connect, Step::Never);
    for patience in [1, 5, 100, 650] {
        let began = Instant::now();
        let error = pool.acquire_timeout(&1, ms(patience)).await.unwrap_err();
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
async fn a_time_out_carries_the_last_dial_error_as_its_source() {
    let (pool, connector) = pool(|b| b.max_per_host(2).retry(Backoff::default()));
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    let error = pool.acquire_timeout(&1, secs(30)).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "told to fail");
    let text = error.to_string();
    assert!(text.contains(" ago: told to fail; dials fail: look at the host"), "{text}");
}
