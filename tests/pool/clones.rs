//! Each borrower of a shared connection has a clone of the pool's, and of nobody else's.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use wharf::{Connector, Lease, SharedConnector, SharedPool};

use crate::support::*;

/// A clone has a number of its own.
#[derive(Clone)]
struct Numbered {
    number: u32,
    /// As many references as clones.
    clones: Arc<()>,
}

/// Its connections carry two leases.
struct Two;

#[async_trait]
impl Connector for Two {
    type Key = u32;
    type Connection = Numbered;
    type Error = io::Error;

    async fn connect(&self, _: &u32) -> io::Result<Numbered> {
        Ok(Numbered { number: 0, clones: Arc::default() })
    }
}

impl SharedConnector for Two {
    fn max_leases(&self, _: &Numbered) -> usize {
        2
    }
}

/// A pool with one connection, both leases of which are out.
async fn full(deadlock_warnings: bool) -> (SharedPool<Two>, [Lease<Two>; 2]) {
    let builder = SharedPool::builder().max_per_host(1).deadlock_warnings(deadlock_warnings);
    let pool = builder.build(Two).unwrap();
    let leases = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    (pool, leases)
}

#[tokio::test(start_paused = true)]
async fn a_borrower_that_has_waited_gets_a_clone_of_the_pools_connection() {
    // With deadlock warnings each hand-over takes the slow path.
    for deadlock_warnings in [false, true] {
        let (pool, [mut one, _other]) = full(deadlock_warnings).await;
        one.number = 7;
        let mut waits = pool.acquire(&1);
        assert!(poll(&mut waits).is_pending());
        drop(one);
        assert_eq!(waits.await.unwrap().number, 0, "warnings: {deadlock_warnings}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clone_is_dropped_with_its_lease_though_somebody_waits() {
    for deadlock_warnings in [false, true] {
        let (pool, [one, other]) = full(deadlock_warnings).await;
        let before = Arc::strong_count(&other.clones);
        let mut waits = pool.acquire(&1);
        assert!(poll(&mut waits).is_pending());
        drop(one);
        let after = Arc::strong_count(&other.clones);
        assert_eq!(after, before - 1, "warnings: {deadlock_warnings}");
    }
}
