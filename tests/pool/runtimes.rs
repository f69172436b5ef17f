//! Pools that outlive runtimes, and threads that are in none. (Behaviours 53, 72, 73, 126.)

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wharf::{AcquireError, PooledConnection};

use crate::support::*;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_pool_is_made_outside_any_runtime() {
    let (pool, connector) = pool_of(1);
    runtime().block_on(async { drop(pool.acquire(&1).await.unwrap()) });
    assert_balanced(&pool, &connector);
}

#[test]
fn an_acquire_outside_any_runtime_says_so_when_it_must_dial() {
    let (pool, connector) = pool_of(1);
    let std::task::Poll::Ready(Err(error)) = poll(&mut pool.acquire(&1)) else { panic!() };
    assert!(matches!(error, AcquireError::NoRuntime), "{error}");
    pool.add(&1, connector.make(1)).unwrap();
    drop(ready(&mut pool.acquire(&1)));
    assert_balanced(&pool, &connector);
}

#[test]
fn a_caller_outside_any_runtime_gets_a_connection_that_needs_no_ping() {
    let check = wharf::HealthCheck::IdleFor(secs(5));
    let (pool, connector) = pool(|b| b.health_check(check).reuse(wharf::Reuse::LeastRecent));
    let rt = runtime();
    let young = rt.block_on(async {
        let [old, young] = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
        drop(old);
        tokio::time::sleep(secs(6)).await;
        young.number
    });
    drop(rt);
    assert_eq!(ready(&mut pool.acquire(&1)).number, young);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_pool_outlives_a_runtime_it_dials_anew_and_its_timers_work() {
    let (pool, connector) = pool(|b| b.idle_timeout(secs(15)));
    let first = runtime();
    first.block_on(async { drop(pool.acquire(&1).await.unwrap()) });
    drop(first);
    connector.kill_all();
    runtime().block_on(async {
        let loan = pool.acquire(&1).await.unwrap();
        assert_eq!(loan.number, 1);
        drop(loan);
        tokio::time::sleep(secs(16)).await;
        assert_eq!(pool.status().idle, 0);
        assert_balanced(&pool, &connector);
    });
}

#[test]
fn a_guard_dropped_after_its_runtime_has_ended_frees_its_slot() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1));
    let first = runtime();
    let loan = first.block_on(async { pool.acquire(&1).await.unwrap() });
    drop(first);
    drop(loan);
    assert_eq!(connector.counts().closes, 0, "nothing is left to run a polite close");
    assert_balanced(&pool, &connector);
    runtime().block_on(async { drop(pool.acquire(&1).await.unwrap()) });
}

#[test]
fn a_dial_that_dies_with_its_runtime_frees_its_slot_and_its_waiters_dial_for_themselves() {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, Step::Never);
    let (first, second) = (runtime(), runtime());
    let (mut elsewhere,) = first.block_on(async {
        let own = waiting(&pool, 1);
        quiet().await;
        drop(own);
        (waiting(&pool, 1),)
    });
    assert_eq!(pool.status().dialing, 1);
    drop(first);
    assert_eq!((pool.status().dialing, pool.status().waiting), (0, 1));
    second.block_on(async {
        drop((&mut elsewhere).await.unwrap());
        assert_eq!(connector.counts().dials, 2);
        assert_balanced(&pool, &connector);
    });
}

#[test]
fn a_waiter_that_was_to_dial_for_itself_and_is_dropped_leaves_that_to_the_next() {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, Step::Never);
    let (first, second) = (runtime(), runtime());
    let (one, mut two) = first.block_on(async {
        let pair = (waiting(&pool, 1), waiting(&pool, 1));
        quiet().await;
        pair
    });
    drop(first);
    second.block_on(async {
        drop(one);
        drop((&mut two).await.unwrap());
        assert_balanced(&pool, &connector);
    });
}

#[test]
fn tasks_of_two_runtimes_share_a_pool() {
    let (pool, connector) = pool_of(2);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.unwrap().block_on(async {
                    let tasks: Vec<_> = (0..16)
                        .map(|_| {
                            let pool = pool.clone();
                            tokio::spawn(async move {
                                for _ in 0..200 {
                                    let _loan = pool.acquire(&1).await.unwrap();
                                    tokio::task::yield_now().await;
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(connector.counts().peak_open <= 2);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_connection_that_expired_while_the_runtime_slept_is_not_lent() {
    // Real time: the point is that no task of the pool has run in between.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (pool, _) = pool(|b| b.idle_timeout(ms(50)));
        drop(pool.acquire(&1).await.unwrap());
        std::thread::sleep(Duration::from_millis(120));
        assert!(pool.try_acquire(&1).is_none());
    });
}

/// A connection of the host that is being closed in a runtime that stands still from then on.
fn close_that_stands_still(pool: &TestPool, connector: &TestConnector, host: u32) -> Runtime {
    connector.always_for(&host, Stage::Close, Step::Never);
    let standing = runtime();
    standing.block_on(async {
        drop(pool.acquire(&host).await.unwrap());
        quiet().await;
    });
    assert_eq!((pool.status().closing, pool.status().idle), (1, 0));
    standing
}

#[test]
fn a_close_whose_runtime_stands_still_gives_its_place_back_when_its_host_is_used_in_another() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1).close_timeout(secs(5)));
    let standing = close_that_stands_still(&pool, &connector, 1);
    runtime().block_on(async {
        tokio::time::sleep(secs(4)).await;
        let error = pool.acquire_within(&1, ms(100)).await.unwrap_err();
        assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
        tokio::time::sleep(secs(1)).await;
        connector.behave();
        drop(pool.acquire_within(&1, ms(100)).await.unwrap());
        quiet().await;
        assert_eq!((pool.status().closing, connector.counts().live()), (0, 1), "it is there still");
        let mut close = pool.close();
        quiet().await;
        assert!(poll(&mut close).is_pending(), "a close has not ended");
        standing.shutdown_background();
        close.await;
    });
    assert_balanced(&pool, &connector);
}

#[test]
fn under_a_cap_across_hosts_it_gives_that_place_back_too() {
    let (pool, connector) =
        pool(|b| b.max_total(1).max_uses(1).close_timeout(secs(5)).acquire_timeout(secs(1)));
    let standing = close_that_stands_still(&pool, &connector, 1);
    runtime().block_on(async {
        tokio::time::sleep(secs(4)).await;
        let error = pool.acquire_within(&2, ms(900)).await.unwrap_err();
        assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
        drop(pool.acquire(&2).await.unwrap());
    });
    drop(standing);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_wait_ends_in_time_where_the_runtime_of_upkeep_stands_still() {
    let (pool, connector) = pool(|b| b.max_per_host(1).acquire_timeout(secs(30)));
    let upkeep = runtime();
    let loan = upkeep.block_on(async {
        let loan = pool.acquire(&1).await.unwrap();
        quiet().await;
        loan
    });
    runtime().block_on(async {
        let began = tokio::time::Instant::now();
        let error = pool.acquire(&1).await.unwrap_err();
        assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
        assert_eq!(began.elapsed(), secs(30));
    });
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_late_close_gives_its_place_up_when_another_caller_joins() {
    let plain = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1).close_timeout(ms(100)));
    connector.once(Stage::Close, Step::Never);
    let standing = plain();
    standing.block_on(async {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(ms(5)).await;
    });
    assert_eq!(pool.status().closing, 1);
    plain().block_on(async {
        let first = tokio::spawn(pool.acquire_within(&1, secs(2)));
        tokio::time::sleep(ms(300)).await;
        let second = tokio::spawn(pool.acquire_within(&1, secs(2)));
        tokio::time::sleep(ms(300)).await;
        let closing = pool.status().closing;
        let first = first.await.unwrap();
        drop(second);
        assert!(first.is_ok(), "closing: {closing}; {first:?}");
    });
    drop(standing);
}

/// A runtime in which the pool has begun its upkeep, and which stands still from then on. Host 9 has an idle connection.
fn upkeep_that_stands_still(pool: &TestPool) -> Runtime {
    let standing = runtime();
    standing.block_on(async {
        drop(pool.acquire(&9).await.unwrap());
        quiet().await;
    });
    standing
}

#[test]
fn a_waiter_gets_its_retry_after_a_failed_dial_where_the_runtime_of_upkeep_stands_still() {
    for time_out in [Some(secs(30)), None] {
        let backoff = wharf::Backoff::default().initial(ms(300)).jitter(0.0);
        let (pool, connector) = pool(|b| b.retry(backoff).acquire_timeout(time_out));
        let standing = upkeep_that_stands_still(&pool);
        runtime().block_on(async {
            // Now a timer of this runtime is known, also without a time limit.
            assert!(pool.acquire_within(&9, ms(1)).await.is_ok());
            connector.once_for(&8, Stage::Connect, Step::Ok);
            drop(pool.acquire(&8).await.unwrap());
            connector.once_for(&1, Stage::Connect, Step::Error);
            let began = tokio::time::Instant::now();
            drop(tokio::time::timeout(secs(60), pool.acquire(&1)).await.unwrap().unwrap());
            let waited = began.elapsed();
            assert!(waited >= ms(300) && waited <= ms(700), "{waited:?} with {time_out:?}");
        });
        drop(standing);
        assert_balanced(&pool, &connector);
    }
}

#[test]
fn a_waiter_has_the_idle_connections_of_other_hosts_closed_where_the_runtime_of_upkeep_stands_still()
 {
    let (pool, connector) = pool(|b| b.max_per_host(1).idle_timeout(secs(15)));
    let standing = upkeep_that_stands_still(&pool);
    runtime().block_on(async {
        let loan = pool.acquire(&1).await.unwrap();
        let waiter = tokio::spawn(pool.acquire_within(&1, secs(20)));
        tokio::time::sleep(secs(14)).await;
        assert_eq!(pool.status().idle, 1);
        tokio::time::sleep(secs(2)).await;
        assert_eq!((pool.status().idle, connector.counts().live()), (0, 1));
        drop(loan);
        drop(waiter.await.unwrap().unwrap());
    });
    drop(standing);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_waiter_has_all_hosts_looked_after_that_are_late_and_not_only_the_first_ones() {
    let (pool, connector) = pool(|b| b.max_per_host(1).idle_timeout(secs(15)));
    let standing = runtime();
    standing.block_on(async {
        for host in 100..1_000 {
            drop(pool.acquire(&host).await.unwrap());
        }
    });
    runtime().block_on(async {
        let loan = pool.acquire(&1).await.unwrap();
        let waiter = waiting(&pool, 1);
        let waiter = tokio::spawn(waiter);
        tokio::time::sleep(secs(16)).await;
        assert_eq!((pool.status().idle, connector.counts().live()), (0, 1));
        drop(loan);
        drop(waiter.await.unwrap().unwrap());
    });
    drop(standing);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_waiter_gets_the_place_of_a_late_close_where_the_runtime_of_both_stands_still() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1).close_timeout(secs(5)));
    let standing = close_that_stands_still(&pool, &connector, 1);
    connector.behave();
    runtime().block_on(async {
        let began = tokio::time::Instant::now();
        drop(pool.acquire(&1).await.unwrap());
        let waited = began.elapsed();
        assert!(waited >= secs(4) && waited < secs(6), "{waited:?}");
        quiet().await;
    });
    drop(standing);
    assert_balanced(&pool, &connector);
}

#[test]
fn a_waiter_gets_the_place_of_an_abandoned_dial_where_the_runtime_of_that_stands_still() {
    for (limit, at_most) in [(Some(secs(10)), secs(13)), (None, secs(5))] {
        let (pool, connector) = pool(|b| b.max_per_host(1).connect_timeout(limit));
        connector.once(Stage::Connect, Step::Never);
        let standing = runtime();
        standing.block_on(async {
            let gone = waiting(&pool, 1);
            quiet().await;
            drop(gone);
        });
        assert_eq!(pool.status().dialing, 1);
        runtime().block_on(async {
            let began = tokio::time::Instant::now();
            drop(pool.acquire(&1).await.unwrap());
            assert!(began.elapsed() <= at_most, "{:?} with {limit:?}", began.elapsed());
            assert_eq!(pool.status().dialing, 0, "it holds no place");
            let mut close = pool.close();
            quiet().await;
            assert!(poll(&mut close).is_pending(), "its task has not ended");
        });
        drop(standing);
        assert_balanced(&pool, &connector);
    }
}

#[test]
fn a_dial_that_gave_up_its_place_and_succeeds_after_all_has_its_connection_closed() {
    let (pool, connector) = pool(|b| b.max_per_host(1).connect_timeout(None));
    connector.once(Stage::Connect, Step::Slow(ms(10)));
    let standing = runtime();
    standing.block_on(async { drop(waiting(&pool, 1)) });
    runtime().block_on(async { drop(pool.acquire(&1).await.unwrap()) });
    // Both are polled at once: the dial that has made its connection, and was told to stop.
    standing.block_on(async { tokio::time::sleep(ms(20)).await });
    assert_eq!((pool.status().idle, pool.status().dialing, pool.status().closing), (1, 0, 0));
    assert_balanced(&pool, &connector);
}

#[test]
fn a_waiter_without_a_time_limit_needs_no_timers_next_to_upkeep_that_stands_still() {
    let (pool, connector) = pool(|b| b.max_per_host(1).acquire_timeout(None).connect_timeout(None));
    let standing = upkeep_that_stands_still(&pool);
    let plain = Builder::new_current_thread().build().unwrap();
    plain.block_on(async {
        let loan = pool.acquire(&1).await.unwrap();
        let waiter = tokio::spawn(pool.acquire(&1));
        tokio::task::yield_now().await;
        drop(loan);
        drop(waiter.await.unwrap().unwrap());
    });
    drop(standing);
    assert_balanced(&pool, &connector);
}

/// Waits for a future as threads do that know nothing of the runtime.
fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// A runtime of several threads, and a loan of the only connection. Its upkeep is known to have timers, and sleeps.
fn exhausted() -> (TestPool, Runtime, PooledConnection<TestConnector>) {
    let time_out = Duration::from_millis(20);
    let (pool, _) = pool(|b| b.max_per_host(1).acquire_timeout(time_out));
    let rt = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let loan = rt.block_on(async { pool.acquire(&1).await.unwrap() });
    for _ in 0..3 {
        let of_task = pool.clone();
        let error = rt.block_on(rt.spawn(async move { of_task.acquire(&1).await.err() })).unwrap();
        assert!(matches!(error, Some(AcquireError::Timeout(_))));
    }
    (pool, rt, loan)
}

/// Upkeep may be woken by a thread of its runtime that waits then, where no other thread finds it.
#[test]
fn a_wait_ends_in_time_that_blocks_a_thread_of_the_runtime_of_upkeep() {
    let (pool, rt, loan) = exhausted();
    let (tell, told) = mpsc::channel();
    rt.spawn(async move {
        let _ = tell.send(block_on(pool.acquire(&1)).is_err());
    });
    let has_ended = told.recv_timeout(Duration::from_secs(60));
    // A thread that still waits is not waited for.
    rt.shutdown_background();
    assert_eq!(has_ended, Ok(true));
    drop(loan);
}

#[test]
fn the_waits_of_others_end_in_time_when_a_caller_blocks_its_thread() {
    let (pool, rt, loan) = exhausted();
    let (end, is_over) = mpsc::channel::<()>();
    let (begin, has_begun) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let of_task = pool.clone();
    rt.spawn(async move {
        let mut acquire = of_task.acquire(&1);
        assert!(poll(&mut acquire).is_pending());
        begin.send(()).unwrap();
        let _ = is_over.recv();
    });
    has_begun.recv().unwrap();
    rt.spawn(async move {
        let _ = tell.send(pool.acquire(&1).await.is_err());
    });
    let has_ended = told.recv_timeout(Duration::from_secs(60));
    drop(end);
    rt.shutdown_background();
    assert_eq!(has_ended, Ok(true));
    drop(loan);
}
