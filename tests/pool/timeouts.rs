//! Time-outs: when, and what they say. (Behaviour 34.)

use std::error::Error;

use tokio::time::Instant;
use wharf::{AcquireError, Phase};

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
    let text = AcquireError::<TestError>::Timeout(report).to_string();
    let expected = format!(
        "timed out after 3.0 s waiting in the queue for a connection to 7: 1 of 1 in use, 0 idle, \
         0 dialing, 1 waiting; longest held 5.0 s, acquired at {}:{line}; raise max_per_host or \
         look for loans that are never returned",
        file!()
    );
    assert_eq!(text, expected);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_during_a_dial_says_so() {
    let (pool, connector) = pool_of(1);
    connector.always(Stage::Connect, Step::Never);
    let error = pool.acquire_timeout(&1, secs(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "timed out after 1.0 s waiting for a dial for a connection to 1: 0 of 1 in use, 0 idle, \
         1 dialing, 1 waiting; dials are slow: look at the host, or raise acquire_timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_carries_the_last_dial_error_as_its_source() {
    let (pool, connector) = pool_of(2);
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    let error = pool.acquire_timeout(&1, secs(30)).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "told to fail");
    let text = error.to_string();
    assert!(text.contains(" ago: told to fail; dials fail: look at the host"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_loan_is_the_callers_line_through_pool_and_host() {
    let (pool, _) = pool_of(4);
    let host = pool.host(&1);
    let first = line!() + 1;
    let _a = host.acquire().await.unwrap();
    let _b = host.acquire_timeout(secs(1)).await.unwrap();
    let _c = pool.acquire_timeout(&1, secs(1)).await.unwrap();
    let _d = pool.acquire(&1).await.unwrap();
    let Err(AcquireError::Timeout(report)) = pool.acquire_timeout(&1, ms(1)).await else {
        panic!()
    };
    let lines: Vec<_> = report.loans.iter().map(|loan| loan.place.line()).collect();
    assert_eq!(lines, [first, first + 1, first + 2, first + 3]);
}

#[tokio::test(start_paused = true)]
async fn every_error_says_what_is_the_matter() {
    let errors = [
        (AcquireError::Connect(TestError.into()), "the connection could not be made"),
        (
            AcquireError::ConnectTimeout,
            "the dial took longer than connect_timeout; raise it or look at the network",
        ),
        (AcquireError::ConnectorPanicked, "the connector panicked while dialing"),
        (AcquireError::QueueFull, "the queue is full: max_waiters_per_host callers wait already"),
        (AcquireError::Closed, "the pool is closed"),
        (AcquireError::NoRuntime, "a dial needs a tokio runtime, and this thread is in none"),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.source().is_some(), matches!(error, AcquireError::Connect(_)));
    }
}
