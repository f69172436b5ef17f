//! A hit allocates nothing.

use std::alloc::System;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wharf::{Builder, Connector, Host, Pool, connector_fn};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

/// Allocates, frees and grows so many times in a thousand hits of each kind.
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

// The only test of its program: another's allocations would count.
#[test]
fn a_hit_and_its_return_allocate_nothing_through_a_host_and_through_a_key() {
    assert_free(Pool::builder());
    // Its own part: a recorder may allocate.
    #[cfg(feature = "metrics")]
    assert_free(Pool::builder().observer(wharf::metrics::Metrics::new("pool")));
}

fn assert_free(builder: Builder) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connector =
            connector_fn(|key: String| async { Ok::<_, std::convert::Infallible>(key) });
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
