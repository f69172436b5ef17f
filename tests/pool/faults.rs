//! Every stage does everything while its caller stays or goes. (Behaviour 37.)

use crate::support::*;

/// Dials and closes in every combination, with a caller who stays or goes at once: the counts are
/// exact, and the pool still serves.
#[tokio::test(start_paused = true)]
async fn every_stage_with_every_outcome_kept_or_cancelled_leaves_exact_counts() {
    let steps = || [Step::Ok, Step::Error, Step::Slow(ms(500)), Step::Never, Step::Panic];
    for connect in steps() {
        for close in steps() {
            for stays in [true, false] {
                for dies in [true, false] {
                    run(connect.clone(), close.clone(), stays, dies).await;
                }
            }
        }
    }
}

async fn run(connect: Step, close: Step, stays: bool, dies: bool) {
    let (pool, connector) = pool(|b| b.max_per_host(2).max_total(2).max_uses(1));
    connector.once(Stage::Connect, connect);
    connector.once(Stage::Close, close);
    let mut acquires: Vec<_> = (0..3).map(|_| waiting(&pool, 1)).collect();
    quiet().await;
    if !stays {
        drop(acquires.pop());
        drop(acquires.remove(0));
    }
    let tasks: Vec<_> = acquires
        .into_iter()
        .map(|acquire| {
            tokio::spawn(async move {
                let Ok(loan) = acquire.await else { return };
                if dies {
                    loan.kill();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // Longer than every time-out: all that hangs has been cut off.
    tokio::time::sleep(secs(60)).await;
    assert_balanced(&pool, &connector);
    assert!(connector.counts().peak_open <= if dies { 4 } else { 2 });
    let served = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    drop(served);
    quiet().await;
    assert_balanced(&pool, &connector);
}
