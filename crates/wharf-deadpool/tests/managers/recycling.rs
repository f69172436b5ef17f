//! When a manager of deadpool's is asked to recycle, and told that an object has left.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio::sync::Semaphore;
use wharf::{Builder, HealthCheck, Pool, PooledConnection};
use wharf_deadpool::{Deadpool, DeadpoolObject};

#[derive(Default)]
struct Counts {
    created: AtomicU32,
    recycled: AtomicU32,
    detached: AtomicU32,
}

/// Makes numbers: 0, which a borrower changes, and recycling makes 0 again. It cannot recycle 13.
struct Numbers {
    counts: Arc<Counts>,
    /// Recycling takes one of these.
    permits: Arc<Semaphore>,
}

impl Manager for Numbers {
    type Type = u32;
    type Error = io::Error;

    async fn create(&self) -> io::Result<u32> {
        self.counts.created.fetch_add(1, Ordering::Relaxed);
        Ok(0)
    }

    async fn recycle(&self, number: &mut u32, metrics: &Metrics) -> RecycleResult<io::Error> {
        self.permits.acquire().await.unwrap().forget();
        assert_eq!(metrics.recycle_count == 0, metrics.recycled.is_none());
        if *number == 13 {
            return Err(RecycleError::message("an unlucky number"));
        }
        *number = 0;
        self.counts.recycled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn detach(&self, _: &mut u32) {
        self.counts.detached.fetch_add(1, Ordering::Relaxed);
    }
}

struct Test {
    pool: Pool<Deadpool<Numbers>>,
    counts: Arc<Counts>,
    permits: Arc<Semaphore>,
}

fn test(set: impl FnOnce(Builder) -> Builder) -> Test {
    let counts = Arc::<Counts>::default();
    let permits = Arc::new(Semaphore::new(1000));
    let numbers = Numbers { counts: counts.clone(), permits: permits.clone() };
    let pool = set(Pool::builder()).build(Deadpool::new(numbers)).unwrap();
    Test { pool, counts, permits }
}

impl Test {
    /// Created, recycled, detached.
    fn counts(&self) -> (u32, u32, u32) {
        let Counts { created, recycled, detached } = &*self.counts;
        let read = |count: &AtomicU32| count.load(Ordering::Relaxed);
        (read(created), read(recycled), read(detached))
    }

    async fn get(&self) -> PooledConnection<Deadpool<Numbers>> {
        self.pool.acquire(&()).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_recycled_once_before_each_loan_with_any_health_check() {
    for check in [HealthCheck::Never, HealthCheck::Always] {
        let test = test(|b| b.health_check(check));
        let mut loan = test.get().await;
        assert_eq!(test.counts(), (1, 0, 0), "it is new");
        for n in 1..5 {
            **loan = 7;
            drop(loan);
            loan = test.get().await;
            assert_eq!((**loan, test.counts()), (0, (1, n, 0)));
            assert_eq!(DeadpoolObject::metrics(&loan).recycle_count, n as usize);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_handed_over_is_recycled_on_its_way() {
    let test = test(|b| b.max_per_host(1));
    let mut loan = test.get().await;
    **loan = 7;
    let next = tokio::spawn(test.pool.acquire(&()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(test.pool.status().waiting, 1);
    drop(loan);
    assert_eq!(**next.await.unwrap().unwrap(), 0);
    assert_eq!(test.counts(), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn where_recycling_is_only_a_check_it_can_be_left_to_the_health_check() {
    let numbers = Numbers { counts: Arc::default(), permits: Arc::new(Semaphore::new(1000)) };
    let builder = Pool::builder().health_check(HealthCheck::IdleFor(Duration::from_secs(30)));
    let pool = builder.build(Deadpool::new(numbers).recycle_by_health_check()).unwrap();
    **pool.acquire(&()).await.unwrap() = 7;
    assert_eq!(**pool.acquire(&()).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_recycled_is_replaced_and_detached_from_the_manager() {
    let test = test(|b| b);
    **test.get().await = 13;
    assert_eq!(**test.get().await, 0);
    assert_eq!(test.counts(), (2, 0, 1));
    test.pool.close().await;
    assert_eq!(test.counts(), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_recycling_that_takes_longer_than_the_ping_timeout_closes_the_connection() {
    let test = test(|b| b.max_per_host(1).ping_timeout(Duration::from_secs(5)));
    **test.get().await = 7;
    test.permits.forget_permits(1000);
    assert_eq!(**test.get().await, 0);
    assert_eq!(test.counts(), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_recycling_whose_caller_gives_up_serves_the_next_one() {
    let test = test(|b| b.max_per_host(1));
    **test.get().await = 7;
    test.permits.forget_permits(1000);
    let getting = tokio::time::timeout(Duration::from_secs(1), test.get());
    assert!(getting.await.is_err());
    let next = tokio::spawn(test.pool.acquire(&()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    test.permits.add_permits(1000);
    assert_eq!(**next.await.unwrap().unwrap(), 0);
    assert_eq!(test.counts(), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_manager_is_told_of_each_object_that_leaves_once() {
    let test = test(|b| b);
    let taken = DeadpoolObject::take(PooledConnection::detach(test.get().await));
    assert_eq!((taken, test.counts()), (0, (1, 0, 1)));
    drop(PooledConnection::detach(test.get().await));
    assert_eq!(test.counts(), (2, 0, 2));
    PooledConnection::discard(test.get().await);
    test.pool.close().await;
    assert_eq!(test.counts(), (3, 0, 3));
}
