//! Every stage does everything while its caller stays or goes. (Behaviour 37.)

use std::task::Poll;

use wharf::HealthCheck;

use crate::support::*;
use crate::tally::Tally;

/// Dials, pings and closes in every combination, with callers who stay or go: the counts are exact,
/// the cap holds, and the pool still serves.
#[tokio::test(start_paused = true)]
async fn every_stage_with_every_outcome_kept_or_cancelled_leaves_exact_counts() {
    let steps = || [Step::Ok, Step::Error, Step::Slow(ms(500)), Step::Never, Step::Panic];
    for connect in steps() {
        for ping in steps() {
            for close in steps() {
                for gone in [None, Some(Stage::Connect), Some(Stage::Ping)] {
                    run([connect.clone(), ping.clone(), close.clone()], gone).await;
                }
            }
        }
    }
}

/// `gone`: the stage during which one of three callers goes.
async fn run([connect, ping, close]: [Step; 3], gone: Option<Stage>) {
    let tally = Tally::default();
    let (pool, connector) = pool(|b| {
        b.max_per_host(2)
            .max_total(2)
            .max_uses(2)
            .health_check(HealthCheck::Always)
            .observer(tally.clone())
    });
    connector.once(Stage::Connect, connect);
    connector.once(Stage::Ping, ping);
    connector.once(Stage::Close, close);
    ask(&pool, gone == Some(Stage::Connect)).await;
    ask(&pool, gone == Some(Stage::Ping)).await;
    // Longer than every time-out: all that hangs has been cut off.
    tokio::time::sleep(secs(60)).await;
    assert_balanced(&pool, &connector);
    let served = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    drop(served);
    tokio::time::sleep(secs(60)).await;
    assert_balanced(&pool, &connector);
    tally.assert_agrees(&pool, &connector);
    pool.close().await;
    tally.assert_agrees(&pool, &connector);
}

/// Three callers at once, the first of which may give up while it waits.
async fn ask(pool: &TestPool, first_goes: bool) {
    let mut acquires: Vec<_> = (0..3).map(|_| Some(pool.acquire(&1))).collect();
    let mut loans = Vec::new();
    for acquire in &mut acquires {
        if let Some(Poll::Ready(result)) = acquire.as_mut().map(poll) {
            loans.extend(result);
            *acquire = None;
        }
    }
    quiet().await;
    if first_goes {
        acquires[0] = None;
    }
    drop(loans);
    for acquire in acquires.into_iter().flatten() {
        drop(acquire.await);
    }
}
