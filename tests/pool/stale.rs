//! What is dead, too old or idle for too long. (Behaviours 38, 43, 47 to 52, 73.)

use std::time::Duration;

use wharf::{Heartbeat, PooledConnection};

use crate::support::*;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_connection_whose_peer_closed_it_while_idle_is_not_lent() {
    let (pool, connector) = pool_of(3);
    pool.warm(&1, 3).await.unwrap();
    connector.kill_all();
    let loan = pool.acquire(&1).await.unwrap();
    assert_eq!(loan.number, 3);
    assert_eq!(pool.status().at_once, 0);
    quiet().await;
    assert_eq!(connector.counts().closes, 3);
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_open_when_it_returns_is_closed_and_replaced() {
    let (pool, connector) = pool_of(1);
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    loan.kill();
    drop(loan);
    quiet().await;
    assert_eq!(ready(&mut waiter).number, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_gives_its_slot_back_at_once_and_is_closed_beside() {
    let (pool, connector) = pool_of(1);
    let close = connector.gate(Stage::Close);
    let loan = pool.acquire(&1).await.unwrap();
    loan.kill();
    drop(loan);
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!((pool.status().closing, pool.status().idle), (0, 1));
    close.let_through(1);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_never_returns_frees_its_slot_at_the_close_timeout() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(1).close_timeout(secs(4)));
    connector.once(Stage::Close, Step::Never);
    drop(pool.acquire(&1).await.unwrap());
    let began = tokio::time::Instant::now();
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(began.elapsed().as_secs(), 4);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_at_its_time_out_without_any_traffic() {
    let (pool, connector) = pool(|b| b.idle_timeout(secs(15)));
    pool.warm(&1, 3).await.unwrap();
    tokio::time::sleep(ms(14_900)).await;
    assert_eq!(pool.status().idle, 3);
    tokio::time::sleep(ms(200)).await;
    assert_eq!((pool.status().idle, pool.status().hosts), (0, 0));
    assert_eq!(connector.counts().closes, 3);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_idle_time_out_goes_down_to_min_idle_and_not_below_while_heartbeats_are_answered() {
    let (pool, connector) = pool(|b| {
        let beats = Heartbeat::every(secs(10));
        b.min_idle_per_host(2).idle_timeout(secs(15)).max_lifetime(None).heartbeat(beats)
    });
    pool.warm(&1, 5).await.unwrap();
    tokio::time::sleep(HOUR).await;
    assert_eq!(pool.status().idle, 2);
    assert_eq!((connector.counts().closes, connector.counts().dials), (3, 5));
    // They can be lent, and what comes above them idles out again.
    let loans = [(); 3].map(|()| pool.acquire(&1));
    let mut kept = Vec::new();
    for acquire in loans {
        kept.push(acquire.await.unwrap());
    }
    drop(kept);
    tokio::time::sleep(HOUR).await;
    assert_eq!(pool.status().idle, 2);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn min_idle_is_filled_up_when_connections_are_lent() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(2));
    let loan = pool.acquire(&1).await.unwrap();
    quiet().await;
    assert_eq!(pool.status().idle, 2);
    let another = pool.acquire(&1).await.unwrap();
    quiet().await;
    assert_eq!((pool.status().idle, pool.status().in_use), (2, 2));
    drop((loan, another));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_failing_refill_does_not_spin() {
    let (pool, connector) = pool(|b| b.min_idle_per_host(2));
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Error);
    pool.close_idle();
    tokio::time::sleep(secs(60)).await;
    let dials = connector.counts().dials;
    assert!((5..=30).contains(&dials), "{dials} dials in a minute");
}

#[tokio::test(start_paused = true)]
async fn an_expired_connection_is_never_lent() {
    let (pool, connector) = pool(|b| b.idle_timeout(secs(15)).max_lifetime(secs(40)));
    drop(pool.acquire(&1).await.unwrap());
    // No task runs between the jump and the look: upkeep has had no chance.
    tokio::time::advance(secs(15)).await;
    assert!(pool.try_acquire(&1).is_none());
    for _ in 0..10 {
        let loan = pool.acquire(&1).await.unwrap();
        assert!(PooledConnection::info(&loan).age < secs(40));
        tokio::time::advance(secs(10)).await;
    }
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn lifetimes_are_spread() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(100).idle_timeout(None).max_lifetime(secs(1000)).lifetime_jitter(0.1)
    });
    pool.warm(&1, 100).await.unwrap();
    tokio::time::sleep(secs(899)).await;
    assert_eq!(pool.status().idle, 100);
    let mut most_at_once = 0;
    for _ in 0..102 {
        let before = pool.status().idle;
        tokio::time::sleep(secs(1)).await;
        most_at_once = most_at_once.max(before - pool.status().idle);
    }
    assert_eq!(pool.status().idle, 0);
    assert!(most_at_once < 10, "{most_at_once} expired within a second");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_past_its_uses_is_closed_on_return_and_replaced_if_someone_waits() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_uses(3));
    for _ in 0..7 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(connector.counts().made, 3);
    let loan = pool.acquire(&1).await.unwrap();
    drop(loan);
    let last = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    drop(last);
    quiet().await;
    drop(ready(&mut waiter));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_past_its_age_is_closed_on_return_and_replaced_if_someone_waits() {
    let (pool, connector) =
        pool(|b| b.max_per_host(1).max_lifetime(secs(10)).acquire_timeout(HOUR));
    let loan = pool.acquire(&1).await.unwrap();
    let mut waiter = waiting(&pool, 1);
    tokio::time::advance(secs(11)).await;
    drop(loan);
    quiet().await;
    assert_eq!(ready(&mut waiter).number, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_do_the_pool_does_not_wake_up() {
    let (pool, connector) = pool(|b| b.idle_timeout(secs(15)).max_lifetime(None));
    drop(pool.acquire(&1).await.unwrap());
    tokio::time::sleep(secs(20)).await;
    assert_eq!(pool.status().hosts, 0);
    // Nothing is pending but the one timer below: a day passes in a few steps of tokio's own, where
    // a task that looked every idle time-out would take thousands.
    let metrics = tokio::runtime::Handle::current().metrics();
    let polls_before = metrics.worker_park_count(0);
    tokio::time::sleep(HOUR * 24).await;
    let parks = metrics.worker_park_count(0) - polls_before;
    assert!(parks < 20, "the runtime was woken {parks} times");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_causes_no_panic_and_no_burst_of_dials() {
    let (pool, connector) = pool(|b| b.max_per_host(5).min_idle_per_host(2));
    connector.always(Stage::Connect, Step::Slow(ms(5)));
    for host in 0..20 {
        drop(pool.acquire(&host).await.unwrap());
    }
    quiet().await;
    for _ in 0..5 {
        tokio::time::advance(HOUR * 1000).await;
        quiet().await;
        tokio::time::sleep(ms(100)).await;
        let counts = connector.counts();
        assert!(counts.peak_of.values().all(|&peak| peak <= 5));
        assert!(pool.status().idle <= 60);
    }
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn retain_closes_what_it_says_no_to_and_leaves_the_rest_in_order() {
    let (pool, connector) = pool_of(5);
    pool.warm(&1, 5).await.unwrap();
    tokio::time::advance(secs(10)).await;
    pool.retain(|key, conn, info| {
        assert_eq!((*key, info.idle_for.as_secs(), info.uses), (1, 10, 0));
        conn.number % 2 == 0
    });
    quiet().await;
    assert_eq!((pool.status().idle, connector.counts().closes), (3, 2));
    let mut lent = Vec::new();
    for _ in 0..3 {
        lent.push(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(lent.iter().map(|loan| loan.number).collect::<Vec<_>>(), [4, 2, 0]);
    drop(lent);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn retain_under_a_cap_across_hosts_keeps_the_order_of_use() {
    let (pool, connector) = pool(|b| b.max_idle(3));
    for host in [1, 2, 3] {
        drop(pool.acquire(&host).await.unwrap());
    }
    pool.retain(|_, _, _| true);
    drop(pool.acquire(&4).await.unwrap());
    quiet().await;
    assert_eq!(connector.closed_hosts(), [1]);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn retire_lets_loans_finish_never_lends_the_old_ones_again_and_dials_anew() {
    let (pool, connector) = pool_of(3);
    let lent = pool.acquire(&1).await.unwrap();
    drop(pool.acquire(&1).await.unwrap());
    let other = pool.acquire(&2).await.unwrap();
    drop(other);
    pool.retire(&1);
    quiet().await;
    assert_eq!((pool.status().idle, pool.status().in_use), (1, 1));
    drop(lent);
    let fresh = pool.acquire(&1).await.unwrap();
    assert_eq!(fresh.number, 3);
    pool.retire_all();
    drop(fresh);
    quiet().await;
    assert_eq!(pool.status().idle, 0);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_dial_begun_before_a_retire_is_not_lent_to_who_comes_after_it() {
    let (pool, connector) = pool_of(1);
    let gate = connector.gate(Stage::Connect);
    let earlier = waiting(&pool, 1);
    quiet().await;
    pool.host(&1).retire();
    drop(earlier);
    let mut waiter = waiting(&pool, 1);
    gate.let_through(1);
    quiet().await;
    assert!(poll(&mut waiter).is_pending());
    gate.let_through(1);
    quiet().await;
    assert_eq!(ready(&mut waiter).number, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_of_the_minimum_are_dialed_anew_at_their_time_out() {
    let (pool, connector) =
        pool(|b| b.min_idle_per_host(2).idle_timeout(secs(15)).max_lifetime(None));
    pool.warm(&1, 3).await.unwrap();
    tokio::time::sleep(secs(16)).await;
    assert_eq!((connector.counts().closes, connector.counts().dials), (3, 5));
    assert_eq!(pool.status().idle, 2);
    // A caller never gets one that has been idle for longer.
    tokio::time::sleep(HOUR).await;
    let loan = pool.acquire(&1).await.unwrap();
    assert!(PooledConnection::info(&loan).idle_for <= secs(15));
}

#[tokio::test(start_paused = true)]
async fn close_idle_closes_what_is_idle_and_nothing_else() {
    let (pool, connector) = pool_of(3);
    let lent = pool.acquire(&1).await.unwrap();
    drop(pool.acquire(&1).await.unwrap());
    pool.close_idle();
    quiet().await;
    assert_eq!((pool.status().idle, connector.counts().closes), (0, 1));
    drop(lent);
    assert_eq!(pool.status().idle, 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_missed_heartbeat_does_not_keep_a_connection_past_its_idle_time_out() {
    let beats = Heartbeat::every(secs(20)).max_missed(1000);
    let (pool, connector) =
        pool(|b| b.min_idle_per_host(1).idle_timeout(secs(60)).heartbeat(beats));
    pool.warm(&1, 1).await.unwrap();
    drop(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Ping, Step::Error);
    tokio::time::sleep(secs(600)).await;
    let dials = connector.counts().dials;
    assert!(dials >= 5, "nothing was answered for 600 s, and {dials} dialed");
}
