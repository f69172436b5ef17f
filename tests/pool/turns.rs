//! Turns of tasks: what a caller that never waits means for the others on its thread. (Behaviour 130.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::{coop, yield_now};

use crate::support::*;

/// How often another task of the same thread has had a turn.
fn other_task() -> (Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let turns = Arc::new(AtomicUsize::new(0));
    let task = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
            }
        }
    });
    (turns, task)
}

/// Borrows an idle connection many times, and does this after each. Returns the other task's turns.
async fn turns_during_hits<F: Future<Output = ()>>(after: impl Fn() -> F) -> usize {
    let (pool, _) = pool_of(1);
    drop(pool.acquire(&1).await.unwrap());
    let (turns, task) = other_task();
    yield_now().await;
    let before = turns.load(Ordering::SeqCst);
    for _ in 0..1_000 {
        drop(pool.acquire(&1).await.unwrap());
        after().await;
    }
    task.abort();
    turns.load(Ordering::SeqCst) - before
}

#[tokio::test]
async fn a_caller_that_never_waits_keeps_its_thread_and_one_that_yields_gives_way() {
    assert_eq!(turns_during_hits(|| std::future::ready(())).await, 0, "each hit is at once");
    assert_eq!(turns_during_hits(yield_now).await, 1_000);
    let turns = turns_during_hits(coop::consume_budget).await;
    assert!((2..1_000).contains(&turns), "as often as tokio's own types: {turns}");
}
