//! A pool that is used in a runtime that stands still, and in another one. Each was found by a review.

use tokio::time::timeout;

use crate::support::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_caller_without_a_limit_looks_after_the_pool_also_if_upkeep_has_run_elsewhere_since_its_runtimes_timer()
 {
    for between in [false, true] {
        no_limit(between);
    }
}

fn no_limit(between: bool) {
    let backoff = wharf::Backoff::default().initial(ms(300)).jitter(0.0);
    let (pool, connector) = pool(|b| b.retry(backoff).acquire_timeout(None));
    let standing = runtime();
    standing.block_on(async {
        drop(pool.acquire(&9).await.unwrap());
        quiet().await;
    });
    let other = runtime();
    other.block_on(async { drop(pool.acquire(&8).await.unwrap()) });
    if between {
        standing.block_on(async { drop(pool.acquire(&6).await.unwrap()) });
    }
    other.block_on(async {
        connector.once_for(&1, Stage::Connect, Step::Error);
        let outcome = timeout(secs(600), pool.acquire(&1)).await;
        assert!(outcome.is_ok(), "it waits without end");
    });
    drop(standing);
}

fn dial_for_a_live_caller(waiter_stays: bool) {
    let (pool, connector) =
        pool(|b| b.max_per_host(10).connect_timeout(secs(1)).acquire_timeout(secs(30)));
    connector.once(Stage::Connect, Step::Slow(ms(10)));
    let standing = runtime();
    let inside = standing.enter();
    let waiter = waiting(&pool, 1);
    drop(inside);
    let _waiter = if waiter_stays {
        Some(waiter)
    } else {
        drop(waiter);
        None
    };
    runtime().block_on(async {
        let outcome = pool.acquire(&1).await;
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    });
    drop(standing);
}

#[test]
fn a_caller_in_a_driven_runtime_is_dialed_for_behind_one_that_stands_still() {
    dial_for_a_live_caller(false);
    dial_for_a_live_caller(true);
}
