//! Nobody is overtaken and nobody starves. (Behaviours 7, 12.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wharf::PooledConnection;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn the_cap_holds_under_a_thousand_tasks_that_acquire_drop_cancel_and_discard() {
    let (pool, connector) = pool_of(7);
    connector.always(Stage::Connect, Step::Slow(ms(3)));
    let tasks: Vec<_> = (0..1000u64)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut rng = fastrand::Rng::with_seed(n);
                for _ in 0..5 {
                    let acquire = pool.acquire(&1);
                    let patience = ms(rng.u64(0..400));
                    let Ok(got) = tokio::time::timeout(patience, acquire).await else { continue };
                    let loan = got.unwrap();
                    let status = pool.status();
                    let open = status.idle + status.in_use + status.dialing + status.closing;
                    assert!(open <= 7, "{status:?}");
                    tokio::time::sleep(ms(rng.u64(0..3))).await;
                    match rng.u32(0..4) {
                        0 => PooledConnection::discard(loan),
                        1 => drop(PooledConnection::detach(loan)),
                        _ => drop(loan),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    assert!(connector.counts().made > 100);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_exactly_when_connections_are_only_closed() {
    let (pool, connector) = pool(|b| b.max_per_host(5).max_uses(2));
    connector.always(Stage::Connect, Step::Slow(ms(3)));
    connector.always(Stage::Close, Step::Slow(ms(2)));
    let tasks: Vec<_> = (0..300u64)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut rng = fastrand::Rng::with_seed(n);
                for _ in 0..5 {
                    let patience = ms(rng.u64(0..400));
                    let acquire = pool.acquire(&1);
                    if let Ok(got) = tokio::time::timeout(patience, acquire).await {
                        let loan = got.unwrap();
                        tokio::time::sleep(ms(rng.u64(0..3))).await;
                        drop(loan);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    assert_eq!(connector.counts().peak_open, 5);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_one_with_many_looping_tasks_never_stalls_and_each_makes_progress() {
    let (pool, _) = pool_of(1);
    let served: Arc<Vec<AtomicUsize>> = Arc::new((0..64).map(|_| AtomicUsize::new(0)).collect());
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let (pool, served) = (pool.clone(), served.clone());
            tokio::spawn(async move {
                loop {
                    let loan = pool.acquire(&1).await.unwrap();
                    served[n].fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(ms(1)).await;
                    drop(loan);
                }
            })
        })
        .collect();
    tokio::time::sleep(secs(10)).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let counts: Vec<_> = served.iter().map(|n| n.load(Ordering::SeqCst)).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 0 && most - least <= 1, "served from {least} to {most} times");
}
