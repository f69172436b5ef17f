//! The end of a pool that several threads use: many rounds, too many for the run under Valgrind.

use crate::support::*;

/// Threads acquire and return until the pool is closed.
#[test]
fn after_close_no_gauge_of_the_pool_counts_anything_and_no_host_is_listed() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    for round in 0..1_000 {
        let (pool, _) = pool(|b| b.max_per_host(2));
        runtime.block_on(async {
            let handle = (round >= 500).then(|| pool.host(&1));
            let callers = (0..6).map(|n| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    while pool.acquire(&(n % 3)).await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                })
            });
            let callers: Vec<_> = callers.collect();
            drop(pool.acquire(&7).await.unwrap());
            tokio::spawn(pool.close());
            pool.close().await;
            let status = pool.status();
            let gauges = [
                status.hosts,
                status.idle,
                status.in_use,
                status.dialing,
                status.pinging,
                status.draining,
                status.closing,
                status.waiting,
            ];
            assert_eq!(gauges, [0; 8], "in round {round}");
            for caller in callers {
                caller.await.unwrap();
            }
            drop(handle);
        });
    }
}
