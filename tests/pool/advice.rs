//! What the pool says of its size, from what it has seen. (Behaviour 136.)

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::Level;
use wharf::{Advice, Host};

use crate::log::Log;
use crate::support::*;

const WINDOW: Duration = secs(60);

/// A pool that watches one minute.
fn watched(max: usize) -> (TestPool, Host<TestConnector>) {
    let (pool, _) = pool(|b| b.max_per_host(max).advice(WINDOW).deadlock_warnings(false));
    let host = pool.host(&1);
    (pool, host)
}

/// Callers arrive with this pause for a minute and a half; each uses its connection for a time that
/// depends on how many are in use.
async fn arrivals(host: &Host<TestConnector>, pause: Duration, usage: fn(usize) -> Duration) {
    let mut callers = JoinSet::new();
    for _ in 0..secs(90).as_micros() / pause.as_micros() {
        let host = host.clone();
        callers.spawn(async move {
            let _loan = host.acquire().await.unwrap();
            sleep(usage(host.status().in_use)).await;
        });
        sleep(pause).await;
    }
}

/// Of 100 ms each half second, as many at once as this.
async fn bursts(host: &Host<TestConnector>, at_once: usize, usage: fn(usize) -> Duration) {
    let mut callers = JoinSet::new();
    for round in 0..180 {
        let many = if round % 3 == 0 { at_once } else { 2 };
        for _ in 0..many {
            let host = host.clone();
            callers.spawn(async move {
                let _loan = host.acquire().await.unwrap();
                sleep(usage(host.status().in_use)).await;
            });
        }
        sleep(ms(500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_is_too_large_is_told_with_one_that_is_enough() {
    let (pool, host) = watched(50);
    arrivals(&host, ms(10), |_| ms(95)).await;
    let advice = host.advice().unwrap();
    let Advice::TooLarge { max: Some(50), enough, watched } = advice else { panic!("{advice}") };
    assert!((9..=12).contains(&enough), "{advice}");
    assert_eq!(watched, WINDOW);
    assert_eq!((pool.advice(), advice.label()), (vec![(1, advice)], "too_large"));
    let text = format!(
        "max_per_host is 50; {enough} would have served 99.9 % of acquires without a wait in the last 1 min"
    );
    assert_eq!(advice.to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_fits_is_not_spoken_of() {
    let (pool, host) = watched(11);
    arrivals(&host, ms(10), |_| ms(95)).await;
    assert_eq!((host.advice(), pool.advice().len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_is_too_small_is_told_with_one_that_ends_the_waits() {
    let (_pool, host) = watched(5);
    bursts(&host, 12, |_| ms(150)).await;
    let advice = host.advice().unwrap();
    let Advice::TooSmall { max: 5, enough, mean_wait } = advice else { panic!("{advice}") };
    assert!((6..=14).contains(&enough), "{advice}");
    assert!(mean_wait > ms(10) && mean_wait < ms(400), "{advice}");
}

#[tokio::test(start_paused = true)]
async fn where_uses_take_longer_when_all_are_in_use_the_cap_is_not_the_reason() {
    let (_pool, host) = watched(8);
    let contended = |in_use: usize| ms(20 * u64::try_from(in_use).unwrap());
    bursts(&host, 20, contended).await;
    let advice = host.advice().unwrap();
    let Advice::NotTheCap { max: 8, when_full, when_few } = advice else { panic!("{advice}") };
    assert!(when_full > when_few * 2, "{advice}");
    assert!(advice.to_string().contains("more connections would wait inside the server"));
}

#[tokio::test(start_paused = true)]
async fn where_all_are_always_in_use_it_cannot_tell() {
    let (_pool, host) = watched(10);
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let host = host.clone();
        callers.spawn(async move {
            loop {
                let _loan = host.acquire().await.unwrap();
                sleep(ms(10)).await;
            }
        });
    }
    sleep(secs(45)).await;
    assert_eq!(host.advice(), Some(Advice::AlwaysFull { max: 10, next: 13 }));
}

#[tokio::test(start_paused = true)]
async fn callers_that_leave_early_are_told_with_their_time() {
    let (_pool, host) = watched(1);
    let mut callers = JoinSet::new();
    for _ in 0..4000 {
        let host = host.clone();
        callers.spawn(async move {
            // The server's work goes on when its user has left.
            if let Ok(loan) = timeout(secs(1), host.acquire()).await {
                let usage = async move {
                    sleep(ms(20)).await;
                    drop(loan);
                };
                tokio::spawn(usage).await.unwrap();
            }
        });
        sleep(ms(15)).await;
    }
    let advice = host.advice().unwrap();
    let Advice::CallersLeave { after, acquire_timeout } = advice else { panic!("{advice}") };
    assert!(after > ms(800) && after < ms(1100), "{advice}");
    assert_eq!(acquire_timeout, Some(secs(30)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_too_early_or_without_being_asked_for() {
    let (_pool, host) = watched(50);
    let mut callers = JoinSet::new();
    let silent = pool(|b| b.max_per_host(50)).0.host(&1);
    for _ in 0..29 {
        for _ in 0..10 {
            let (host, silent) = (host.clone(), silent.clone());
            callers.spawn(async move {
                let _loans = (host.acquire().await.unwrap(), silent.acquire().await.unwrap());
                sleep(ms(10)).await;
            });
        }
        sleep(secs(1)).await;
    }
    assert_eq!(host.advice(), None, "half of the window has not passed");
    sleep(secs(2)).await;
    assert!(host.advice().is_some());
    assert_eq!(silent.advice(), None);
}

#[tokio::test(start_paused = true)]
async fn it_is_logged_when_it_changes_and_not_again() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::INFO));
    let (pool, host) = watched(50);
    arrivals(&host, ms(10), |_| ms(95)).await;
    arrivals(&host, ms(10), |_| ms(95)).await;
    let said = |log: &Log| {
        let lines = log.take().into_iter().filter(|line| line.contains("wharf::advice"));
        lines.collect::<Vec<_>>()
    };
    let lines = said(&log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("would have served 99.9 %"), "{lines:?}");
    pool.reconfigure(|config| config.max_per_host = Some(5)).unwrap();
    arrivals(&host, ms(10), |_| ms(95)).await;
    let lines = said(&log);
    assert!(lines.last().unwrap().contains("5 of 5 in use, too often to tell"), "{lines:?}");
    pool.reconfigure(|config| config.advice = None).unwrap();
    assert_eq!(host.advice(), None);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_too_short_is_refused() {
    let built = wharf::Pool::builder().advice(secs(9)).build(TestConnector::new());
    assert_eq!(built.unwrap_err().to_string(), "advice is 9s: it must be at least 10s");
}
