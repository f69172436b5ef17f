//! What a borrower has left is undone before the next one.

use std::sync::Arc;
use std::time::Duration;

use wharf::test_util::Gate;
use wharf::{AcquireError, Builder, CloseReason, HealthCheck, Pool, PooledConnection};

use crate::dials::dials;
use crate::sharing::sharing;
use crate::support::*;
use crate::tally::Tally;

/// A pool whose connections need a reset after each use.
fn resetting(set: impl FnOnce(Builder) -> Builder) -> (TestPool, TestConnector) {
    let (pool, connector) = pool(set);
    connector.let_need_reset();
    (pool, connector)
}

/// This number of connections that have come back, and whose resets are held up.
async fn held_up(n: usize) -> (TestPool, TestConnector, Gate) {
    let (pool, connector) = resetting(|b| b.max_per_host(n).ping_timeout(None));
    let gate = connector.gate(Stage::Reset);
    drop(lent(&pool, n).await);
    quiet().await;
    (pool, connector, gate)
}

async fn lent(pool: &TestPool, n: usize) -> Vec<TestLoan> {
    let mut loans = Vec::new();
    for _ in 0..n {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    loans
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_reset_once_after_each_use() {
    let (pool, connector) = resetting(|b| b);
    for uses in 1..5 {
        drop(pool.acquire(&1).await.unwrap());
        quiet().await;
        assert_eq!(connector.counts().resets, uses);
    }
    let status = pool.status();
    assert_eq!((status.dials, status.pings, connector.counts().pings), (1, 4, 0));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_needs_no_reset_is_idle_at_once_and_is_not_reset() {
    let (pool, connector) = pool_of(1);
    drop(pool.acquire(&1).await.unwrap());
    assert!(pool.try_acquire(&1).is_some());
    quiet().await;
    assert_eq!(connector.counts().resets, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_a_connection_before_its_reset_has_ended() {
    let (pool, connector) = resetting(|b| b.max_per_host(1));
    let gate = connector.gate(Stage::Reset);
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!((pool.status().pinging, pool.status().idle), (1, 1));
    assert!(pool.try_acquire(&1).is_none());
    let mut next = waiting(&pool, 1);
    quiet().await;
    assert!(poll(&mut next).is_pending());
    gate.open();
    assert_eq!(next.await.unwrap().number, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_handed_over_is_reset_on_its_way() {
    let (pool, connector) = resetting(|b| b.max_per_host(1));
    let loan = pool.acquire(&1).await.unwrap();
    let mut next = waiting(&pool, 1);
    drop(loan);
    assert!(poll(&mut next).is_pending());
    assert_eq!(next.await.unwrap().number, 0);
    assert_eq!(connector.counts().resets, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_the_ping_of_a_hand_over_where_each_loan_has_one() {
    let (pool, connector) = resetting(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    let loan = pool.acquire(&1).await.unwrap();
    let next = waiting(&pool, 1);
    drop(loan);
    drop(next.await.unwrap());
    assert_eq!((connector.counts().resets, connector.counts().pings), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_counts_as_on_its_way_for_as_long_as_a_ping_and_then_a_dial_races_it() {
    let (pool, connector) = resetting(|b| b.max_per_host(2));
    connector.once(Stage::Reset, Step::Slow(secs(2)));
    drop(pool.acquire(&1).await.unwrap());
    let next = waiting(&pool, 1);
    tokio::time::sleep(ms(240)).await;
    assert_eq!(connector.counts().dials, 1);
    tokio::time::sleep(ms(20)).await;
    assert_eq!(connector.counts().dials, 2);
    assert_eq!(next.await.unwrap().number, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_reset_fails_is_closed_and_replaced_for_who_waits() {
    let tally = Tally::default();
    let observer = tally.clone();
    let (pool, connector) = resetting(|b| b.max_per_host(1).observer(observer));
    connector.once(Stage::Reset, Step::Error);
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    let status = pool.status();
    assert_eq!((status.failed_pings, status.closes.of(CloseReason::ResetFailed)), (1, 1));
    assert_eq!(tally.of("ping failed"), 1);
    quiet().await;
    tally.assert_agrees(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_fails_makes_older_connections_suspect_as_a_ping_does() {
    let (pool, connector) = resetting(|b| b.max_per_host(2));
    let [older, failing] = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    drop(older);
    quiet().await;
    connector.once(Stage::Reset, Step::Error);
    drop(failing);
    quiet().await;
    assert_eq!(connector.counts().pings, 1);
}

#[tokio::test(start_paused = true)]
async fn the_reset_of_a_suspect_is_its_ping() {
    let (pool, connector) = resetting(|b| b.max_per_host(2));
    let [suspect, dead] = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    PooledConnection::discard(dead);
    drop(suspect);
    quiet().await;
    assert_eq!(pool.try_acquire(&1).map(|loan| loan.number), Some(0));
    assert_eq!((connector.counts().resets, connector.counts().pings), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_never_returns_is_cut_off_at_the_ping_timeout() {
    let (pool, connector) = resetting(|b| b.ping_timeout(secs(5)));
    connector.once(Stage::Reset, Step::Never);
    drop(pool.acquire(&1).await.unwrap());
    tokio::time::sleep(ms(4_990)).await;
    assert_eq!(pool.status().pinging, 1);
    tokio::time::sleep(ms(20)).await;
    let status = pool.status();
    assert_eq!((status.failed_pings, status.closes.of(CloseReason::ResetFailed)), (1, 1));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_reset_closes_the_connection() {
    let (pool, connector) = resetting(|b| b);
    connector.once(Stage::Reset, Step::Panic);
    drop(pool.acquire(&1).await.unwrap());
    quiet().await;
    assert_eq!(pool.status().closes.of(CloseReason::ResetFailed), 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_question_whether_a_reset_is_needed_closes_the_connection() {
    let connector = dials(|(): &()| Ok::<_, TestError>(7))
        .with_reset(|_| panic!("told to panic"), |_| Box::pin(async { Ok(()) }));
    let pool = Pool::new(connector);
    drop(pool.acquire(&()).await.unwrap());
    quiet().await;
    let status = pool.status();
    assert_eq!((status.closes.of(CloseReason::NotOpen), status.in_use), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_went_well_is_proof_of_life() {
    let (pool, connector) = resetting(|b| b.health_check(HealthCheck::IdleFor(secs(10))));
    connector.always(Stage::Reset, Step::Slow(secs(3)));
    drop(pool.acquire(&1).await.unwrap());
    tokio::time::sleep(secs(12)).await;
    assert_eq!(pool.acquire(&1).await.unwrap().number, 0);
    assert_eq!(connector.counts().pings, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_during_its_reset_is_not_lent() {
    let (pool, connector) = resetting(|b| b);
    let gate = connector.gate(Stage::Reset);
    drop(pool.acquire(&1).await.unwrap());
    quiet().await;
    connector.kill_all();
    gate.open();
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
}

#[tokio::test(start_paused = true)]
async fn at_most_eight_resets_that_no_waiter_needs_run_at_once() {
    let (pool, connector, gate) = held_up(12).await;
    assert_eq!((connector.counts().resets, pool.status().pinging), (8, 12));
    gate.let_through(1);
    quiet().await;
    assert_eq!((connector.counts().resets, pool.status().pinging), (9, 11));
    gate.open();
    quiet().await;
    assert_eq!((connector.counts().resets, pool.status().pinging), (12, 0));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_a_waiter_needs_is_not_limited() {
    let (pool, connector, _gate) = held_up(12).await;
    tokio::time::sleep(ms(300)).await;
    // None of the eight counts as on its way any more.
    let next = [waiting(&pool, 1), waiting(&pool, 1)];
    quiet().await;
    assert_eq!(connector.counts().resets, 10);
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_end_a_reset() {
    let (pool, connector) = resetting(|b| b.max_per_host(1));
    let gate = connector.gate(Stage::Reset);
    drop(pool.acquire(&1).await.unwrap());
    drop(waiting(&pool, 1));
    gate.open();
    quiet().await;
    assert_eq!((pool.status().idle, pool.status().closed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_has_used_is_not_reset_again() {
    let (pool, connector) = resetting(|b| b.max_per_host(1));
    drop(pool.acquire(&1).await.unwrap());
    let gave_up = waiting(&pool, 1);
    quiet().await;
    // Its connection lies ready for it.
    assert_eq!((connector.counts().resets, pool.status().in_use), (1, 1));
    drop(gave_up);
    pool.retain(|_, _, _| true);
    quiet().await;
    assert_eq!((connector.counts().resets, pool.status().idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_discarded_or_detached_is_not_reset() {
    let (pool, connector) = resetting(|b| b);
    PooledConnection::discard(pool.acquire(&1).await.unwrap());
    drop(PooledConnection::detach(pool.acquire(&1).await.unwrap()));
    quiet().await;
    assert_eq!(connector.counts().resets, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_will_not_be_lent_again_is_closed_without_a_reset() {
    type Case = (CloseReason, fn(Builder) -> Builder, fn(&TestPool));
    let cases: [Case; 6] = [
        (CloseReason::Uses, |b| b.max_uses(1), |_| {}),
        (CloseReason::Age, |b| b.max_lifetime(secs(1)).lifetime_jitter(0.0), |_| {}),
        (CloseReason::OverIdleLimit, |b| b.max_idle_per_host(0), |_| {}),
        (CloseReason::Retired, |b| b, |pool| pool.retire(&1)),
        (CloseReason::PoolClosed, |b| b, |pool| drop(pool.close())),
        (CloseReason::OverCap, |b| b, |pool| pool.host(&1).set_max(1).unwrap()),
    ];
    for (reason, set, then) in cases {
        let (pool, connector) = resetting(set);
        let [loan, other] = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
        tokio::time::sleep(secs(2)).await;
        then(&pool);
        drop(loan);
        quiet().await;
        assert_eq!(pool.status().closes.of(reason), 1, "{reason:?}");
        assert_eq!(connector.counts().resets, 0, "{reason:?}");
        drop(other);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_retired_during_its_reset_is_closed_after_it() {
    let (pool, connector, gate) = held_up(1).await;
    pool.retire(&1);
    quiet().await;
    assert_eq!((pool.status().pinging, pool.status().closed), (1, 0));
    gate.open();
    quiet().await;
    assert_eq!(pool.status().closes.of(CloseReason::Retired), 1);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_pool_cuts_off_resets() {
    let (pool, connector, _gate) = held_up(12).await;
    let waiter = tokio::spawn(pool.acquire(&1));
    quiet().await;
    pool.close().await;
    assert!(matches!(waiter.await.unwrap(), Err(AcquireError::Closed)));
    assert_eq!(pool.status().closes.of(CloseReason::PoolClosed), 12);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_handle_is_dropped_resets_are_cut_off_and_none_begins() {
    let (pool, connector, _gate) = held_up(12).await;
    drop(pool);
    quiet().await;
    assert_eq!((connector.counts().resets, connector.counts().live()), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn close_idle_closes_what_waits_for_its_reset_too() {
    let (pool, connector, gate) = held_up(12).await;
    pool.close_idle();
    assert_eq!(pool.status().closes.of(CloseReason::Asked), 4);
    gate.open();
    quiet().await;
    assert_eq!((pool.status().closes.of(CloseReason::Asked), connector.counts().live()), (12, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_runtime_a_connection_that_needs_a_reset_is_closed() {
    let (pool, connector) = resetting(|b| b);
    let made = connector.make(1);
    std::thread::spawn(move || {
        pool.add(&1, made).unwrap();
        drop(pool.try_acquire(&1).expect("it is idle"));
        assert_eq!(pool.status().closes.of(CloseReason::ResetFailed), 1);
    })
    .join()
    .unwrap();
    assert_eq!(connector.counts().live(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lease_resets_nothing() {
    let stage = sharing(1, 2);
    stage.script.let_need_reset();
    let [one, other] = [stage.lease().await, stage.lease().await];
    assert!(Arc::ptr_eq(&one, &other));
    drop(one);
    drop(other);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = stage.pool.status();
    assert_eq!((stage.script.counts().resets, status.pings, status.idle), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_above_the_idle_limit_is_closed_without_a_reset() {
    let (pool, connector) = pool(|b| b.max_per_host(8).max_idle_per_host(1));
    connector.let_need_reset();
    connector.always(Stage::Reset, Step::Slow(ms(20)));
    let mut loans = Vec::new();
    for _ in 0..8 {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    drop(loans);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(pool.status().closes.of(CloseReason::OverIdleLimit), 7);
    assert_eq!(connector.counts().resets, 1, "seven were reset to be closed");
}

#[tokio::test(start_paused = true)]
async fn a_lowered_cap_closes_what_waits_for_its_reset_at_once_and_without_it() {
    let (pool, connector) = pool(|b| b.max_per_host(12).ping_timeout(None));
    connector.let_need_reset();
    let gate = connector.gate(Stage::Reset);
    let mut loans = Vec::new();
    for _ in 0..12 {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    drop(loans);
    quiet().await;
    assert_eq!(connector.counts().resets, 8);
    pool.host(&1).set_max(1).unwrap();
    quiet().await;
    let (closed, resets) =
        (pool.status().closes.of(CloseReason::OverCap), connector.counts().resets);
    gate.open();
    quiet().await;
    let later = connector.counts().resets;
    assert_eq!((closed, resets, later), (4, 8, 8), "closed at once, resets then and later");
}
