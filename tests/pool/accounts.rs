//! Three accounts of one story agree: what the pool's status says, what its observer was told, and
//! what its connector counted.

use tokio::time::sleep;
use wharf::{HealthCheck, Heartbeat, PooledConnection};

use crate::support::*;
use crate::tally::Tally;

#[tokio::test(start_paused = true)]
async fn the_accounts_agree_after_a_time_out_in_a_ping() {
    let tally = Tally::default();
    let (pool, connector) =
        pool(|b| b.max_per_host(1).health_check(HealthCheck::Always).observer(tally.clone()));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    assert!(pool.acquire_within(&1, secs(1)).await.is_err());
    sleep(secs(5)).await;
    assert_eq!((pool.status().failed_pings, pool.status().timed_out), (1, 1));
    tally.assert_agrees(&pool, &connector);
}

/// What the faults' matrix does not do: time-outs, heartbeats, ends of loans but for a return.
#[tokio::test(start_paused = true)]
async fn the_accounts_agree_after_all_that_can_become_of_a_connection() {
    let tally = Tally::default();
    let (pool, connector) = pool(|b| {
        let heartbeat = Heartbeat::every(secs(5)).max_missed(2);
        b.max_per_host(2).idle_timeout(secs(60)).heartbeat(heartbeat).observer(tally.clone())
    });
    pool.add(&1, connector.make(1)).unwrap();
    tally.count("added");
    let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    assert!(pool.acquire_within(&1, secs(1)).await.is_err());
    let mut gone = waiting(&pool, 1);
    assert!(poll(&mut gone).is_pending());
    drop(gone);
    let [first, second] = loans;
    PooledConnection::discard(first);
    drop(PooledConnection::detach(second));
    quiet().await;
    tally.assert_agrees(&pool, &connector);

    let dead = pool.acquire(&2).await.unwrap();
    dead.kill();
    drop(dead);
    quiet().await;
    tally.assert_agrees(&pool, &connector);

    drop(pool.acquire(&3).await.unwrap());
    connector.once(Stage::Ping, Step::Ok);
    connector.once(Stage::Ping, Step::Error);
    sleep(secs(13)).await;
    connector.always(Stage::Ping, Step::Error);
    sleep(secs(60)).await;
    assert!(tally.of("heartbeat missed") >= 2, "{}", tally.of("heartbeat missed"));
    tally.assert_agrees(&pool, &connector);

    connector.once(Stage::Connect, Step::Error);
    assert!(pool.acquire(&4).await.is_err());
    sleep(secs(60)).await;
    drop([pool.acquire(&4).await.unwrap(), pool.acquire(&4).await.unwrap()]);
    assert_eq!(pool.status().idle, 2);
    pool.close().await;
    tally.assert_agrees(&pool, &connector);
    assert_eq!((pool.status().idle, pool.status().hosts), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_is_late_and_then_fails_is_missed_once() {
    let tally = Tally::default();
    let (pool, connector) = pool(|b| {
        let heartbeat = Heartbeat::every(secs(30)).timeout(secs(1)).max_missed(2);
        b.heartbeat(heartbeat).observer(tally.clone())
    });
    drop(pool.acquire(&1).await.unwrap());
    let gate = connector.gate(Stage::Ping);
    sleep(ms(31_500)).await;
    assert_eq!(tally.of("heartbeat missed"), 1);
    // The answer is an error.
    connector.kill_all();
    gate.let_through(1);
    sleep(secs(60)).await;
    assert_eq!(pool.status().missed_heartbeats, 1);
    tally.assert_agrees(&pool, &connector);
}
