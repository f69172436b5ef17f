//! An acquire that has a label is told apart from others at the same line. (Behaviour 141.)

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use wharf::test_util::{self, SharedTestConnector};
use wharf::{Deadlocked, Leaked, Observer, Pool, SharedPool, SlowAcquire};

use crate::support::*;

/// What an application has in one place: every caller acquires at this line.
async fn checked_out(pool: &TestPool, label: &'static str) -> TestLoan {
    pool.acquire(&1).label(label).await.unwrap()
}

fn here(end: &str) -> String {
    format!("tests/pool/labels.rs:{end}")
}

#[tokio::test(start_paused = true)]
async fn loans_and_time_outs_show_the_label() {
    let (pool, _) = pool_of(2);
    let _first = checked_out(&pool, "checkout").await;
    sleep(secs(1)).await;
    let _second = checked_out(&pool, "refund").await;

    let labels: Vec<_> = pool.loans().iter().map(|loan| loan.place.label()).collect();
    assert_eq!(labels, [Some("checkout"), Some("refund")]);
    let error = pool.acquire_within(&1, secs(1)).await.unwrap_err().to_string();
    assert!(error.contains(&here("14 (checkout); raise")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_loan_without_a_label_has_none_also_after_one_with_a_label() {
    let (pool, _) = pool_of(1);
    drop(checked_out(&pool, "checkout").await);
    let _loan = pool.acquire(&1).await.unwrap();
    let place = pool.loans()[0].place;
    assert_eq!((place.label(), place.to_string()), (None, here(&place.line().to_string())));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_takes_its_label_along_to_the_connection_that_is_returned_to_it() {
    let (pool, _) = pool_of(1);
    let loan = checked_out(&pool, "first").await;
    let waiter = tokio::spawn(pool.acquire(&1).label("second"));
    quiet().await;
    drop(loan);
    let _loan = waiter.await.unwrap().unwrap();
    assert_eq!(pool.loans()[0].place.label(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_label_stays_with_a_call_site_of_its_own() {
    let (pool, _) = pool_of(1);
    let elsewhere = std::panic::Location::caller();
    let _loan = pool.acquire(&1).label("checkout").called_at(elsewhere).await.unwrap();
    let place = pool.loans()[0].place;
    assert_eq!((place.location(), place.label()), (elsewhere, Some("checkout")));
}

#[tokio::test(start_paused = true)]
async fn leases_have_labels_too() {
    let pool = SharedPool::new(SharedTestConnector::new(test_util::TestConnector::<u32>::new(), 4));
    let _lease = pool.acquire(&1).label("prices").await.unwrap();
    let _host_lease = pool.host(&1).acquire().label("orders").await.unwrap();
    let mut labels: Vec<_> = pool.loans().iter().map(|loan| loan.place.label()).collect();
    labels.sort();
    assert_eq!(labels, [Some("orders"), Some("prices")]);
}

/// Notes what an observer is told about places.
#[derive(Default)]
struct Places(Mutex<Vec<String>>);

impl Observer for &'static Places {
    fn slow_acquire(&self, event: &SlowAcquire<'_>) {
        self.0.lock().push(format!("slow: {:?}", event.place.label()));
    }

    fn deadlocked(&self, event: &Deadlocked<'_>) {
        let (held, waits) = (event.acquired_at.label(), event.waits_at.label());
        self.0.lock().push(format!("deadlocked: {held:?}, {waits:?}"));
    }

    fn leaked(&self, event: &Leaked<'_>) {
        self.0.lock().push(format!("leaked: {:?}", event.place.label()));
    }
}

#[tokio::test(start_paused = true)]
async fn leaks_and_slow_acquires_are_told_with_the_label() {
    let places: &'static Places = Box::leak(Box::default());
    let connector = TestConnector::new();
    connector.always(Stage::Connect, Step::Slow(ms(500)));
    let pool = Pool::builder()
        .leak_after(secs(10))
        .slow_acquire(ms(100))
        .observer(places)
        .build(connector)
        .unwrap();
    let _loan = checked_out(&pool, "checkout").await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(*places.0.lock(), ["slow: Some(\"checkout\")", "leaked: Some(\"checkout\")"]);
}

#[tokio::test(start_paused = true)]
async fn deadlocks_are_told_with_both_labels() {
    let places: &'static Places = Box::leak(Box::default());
    let (pool, _) = pool(|b| b.max_per_host(1).deadlock_warnings(true).observer(places));
    let task = tokio::spawn(async move {
        let _loan = checked_out(&pool, "order").await;
        pool.acquire(&1).label("stock").at_most(secs(5)).await.map(drop).unwrap_err().to_string()
    });
    let error = task.await.unwrap();
    assert!(error.contains(" (order); held by waiting tasks: 1 of 1"), "{error}");
    assert_eq!(*places.0.lock(), ["deadlocked: Some(\"order\"), Some(\"stock\")"]);
}
