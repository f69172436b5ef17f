//! A hit allocates nothing, a wait its place in the queue, and a second lease its share of the connection.

use std::alloc::System;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wharf::{
    Builder, Connector, Host, Pool, SharedConnector, SharedHost, SharedPool, connector_fn,
};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// How often a thousand hits of each kind allocate, free or grow memory.
fn allocations_of_hits<C: Connector<Key = String>>(pool: &Pool<C>, host: &Host<C>) -> usize {
    let region = Region::new(GLOBAL);
    for _ in 0..1000 {
        drop(now(host.acquire()).unwrap());
        drop(now(pool.acquire("a")).unwrap());
        drop(host.try_acquire().unwrap());
    }
    let change = region.change();
    change.allocations + change.reallocations + change.deallocations
}

/// Allocations of a hundred waits, of which each is served by a return.
fn allocations_of_waits<C: Connector<Key = String>>(host: &Host<C>) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let held = now(host.acquire()).unwrap();
    // Somebody waits all the time: else the queue is made anew for each.
    let mut waits: VecDeque<_> = (0..10).map(|_| Box::pin(host.acquire())).collect();
    assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut context).is_pending()));
    drop(held);
    let region = Region::new(GLOBAL);
    for _ in 0..100 {
        let mut first = waits.pop_front().unwrap();
        let Poll::Ready(loan) = first.as_mut().poll(&mut context) else { panic!("it was served") };
        first.set(host.acquire());
        assert!(first.as_mut().poll(&mut context).is_pending());
        waits.push_back(first);
        drop(loan);
    }
    region.change().allocations
}

/// Nothing here is ever idle: no deadline but that of those who wait.
fn assert_one_for_a_wait() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connector = connector_fn(|key: String| async { Ok::<_, Infallible>(key) });
        let builder = Pool::builder().max_per_host(1).idle_timeout(None).max_lifetime(None);
        // One that waits beyond what it holds is told of.
        let builder = builder.deadlock_warnings(false);
        let host = builder.build(connector).unwrap().host("a");
        drop(host.acquire().await.unwrap());
        tokio::task::yield_now().await;
        let least = (0..10).map(|_| allocations_of_waits(&host)).min();
        // The queue itself grows now and then.
        assert_eq!(least.map(|all| all / 100), Some(1));
    });
}

/// Connections that carry ten leases each.
struct Lines;

#[async_trait]
impl Connector for Lines {
    type Key = String;
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, _: &String) -> Result<u64, Infallible> {
        Ok(0)
    }
}

impl SharedConnector for Lines {
    fn max_leases(&self, _: &u64) -> usize {
        10
    }
}

/// Allocations of a hundred leases of each kind that begin and end while another one stays.
fn allocations_of_leases(host: &SharedHost<Lines>) -> usize {
    let stays = now(host.acquire()).unwrap();
    let region = Region::new(GLOBAL);
    for _ in 0..100 {
        drop(now(host.acquire()).unwrap());
        drop(host.try_acquire().unwrap());
    }
    let change = region.change();
    drop(stays);
    change.allocations + change.reallocations
}

/// A lease has a share of the connection in a box of its own. Beyond that a second one allocates nothing.
fn assert_one_for_a_second_lease() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = SharedPool::builder().build(Lines).unwrap().host("a");
        drop(host.acquire().await.unwrap());
        tokio::task::yield_now().await;
        let least = (0..10).map(|_| allocations_of_leases(&host)).min();
        // What the first second lease makes room for is there for all of them.
        assert_eq!(least.map(|all| all / 200), Some(1));
    });
}

// The only test of its program: another's allocations would count.
#[test]
fn a_hit_and_its_return_allocate_nothing_a_wait_its_place_and_a_second_lease_its_share() {
    assert_free(Pool::builder().deadlock_warnings(false));
    assert_free(Pool::builder().deadlock_warnings(true));
    // Its own part: a recorder may allocate.
    #[cfg(feature = "metrics")]
    assert_free(Pool::builder().observer(wharf::metrics::Metrics::new("pool")));
    assert_one_for_a_wait();
    assert_one_for_a_second_lease();
}

fn assert_free(builder: Builder) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connector = connector_fn(|key: String| async { Ok::<_, Infallible>(key) });
        let pool = builder.build(connector).unwrap();
        let host = pool.host("a");
        // What is lent first may make room for its loan.
        drop(pool.acquire("a").await.unwrap());
        tokio::task::yield_now().await;
        // The test's harness has a thread of its own, which allocates now and then: what the pool
        // did itself it would have done every time.
        let least = (0..10).map(|_| allocations_of_hits(&pool, &host)).min();
        assert_eq!(least, Some(0));
    });
}
