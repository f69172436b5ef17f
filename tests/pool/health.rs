//! Pings before lending, and suspicion. (Behaviours 33, 39 to 42.)

use tokio::time::Instant;
use wharf::{AcquireError, CloseReason, HealthCheck, Phase, PooledConnection};

use crate::support::*;

fn checked(check: HealthCheck) -> (TestPool, TestConnector) {
    pool(|b| b.health_check(check).ping_timeout(secs(5)))
}

/// One connection: nothing can be dialed during a ping.
fn checked_one(check: HealthCheck) -> (TestPool, TestConnector) {
    pool(|b| b.max_per_host(1).health_check(check).ping_timeout(secs(5)))
}

#[tokio::test(start_paused = true)]
async fn by_default_nothing_is_pinged() {
    let (pool, connector) = pool_of(10);
    for _ in 0..10 {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(secs(10)).await;
    }
    assert_eq!((connector.counts().pings, pool.status().pings), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn always_means_each_time_an_idle_connection_is_lent() {
    let (pool, connector) = checked(HealthCheck::Always);
    for _ in 0..10 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!((connector.counts().pings, pool.status().pings), (9, 9));
    assert_eq!(
        (pool.status().acquired, pool.status().at_once),
        (10, 0),
        "who needs a ping waits for it"
    );
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_used_a_moment_ago_skips_the_ping_until_its_last_proof_is_three_times_as_old()
{
    let (pool, connector) = checked(HealthCheck::IdleFor(secs(10)));
    for _ in 0..4 {
        drop(pool.acquire(&1).await.unwrap());
        tokio::time::sleep(secs(9)).await;
    }
    assert_eq!(connector.counts().pings, 0);
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(connector.counts().pings, 1);
}

#[tokio::test(start_paused = true)]
async fn try_acquire_passes_over_connections_that_would_need_a_ping() {
    let (pool, connector) = checked(HealthCheck::IdleFor(secs(10)));
    pool.warm(&1, 2).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    assert!(pool.try_acquire(&1).is_none());
    // That had one pinged for the next.
    quiet().await;
    assert_eq!(pool.try_acquire(&1).map(|loan| loan.number), Some(1));
    assert_eq!(connector.counts().pings, 1);
    assert_eq!(pool.status().idle, 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_wait_gets_no_connection_that_needs_a_ping() {
    let (pool, connector) = checked(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    let before = pool.status();
    assert!(pool.acquire_within(&1, std::time::Duration::ZERO).await.is_err());
    assert_eq!(pool.status(), before);
    assert_eq!(connector.counts().pings, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_never_returns_is_cut_at_the_ping_timeout_and_its_connection_is_closed() {
    let (pool, connector) = checked_one(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    let began = Instant::now();
    let loan = pool.acquire(&1).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(loan.number, 1);
    assert_eq!(pool.status().failed_pings, 1);
    drop(loan);
    quiet().await;
    assert_eq!(connector.counts().closes, 1);
    assert_balanced(&pool, &connector);
}

/// (Behaviour 74.)
#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_during_a_ping_costs_no_connection_and_raises_no_suspicion() {
    let (pool, connector) = checked(HealthCheck::IdleFor(secs(1)));
    pool.warm(&1, 2).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    connector.once(Stage::Ping, Step::Slow(ms(100)));
    drop(waiting(&pool, 1));
    assert_eq!((pool.status().idle, pool.status().pinging, pool.status().cancelled), (2, 1, 1));
    tokio::time::sleep(ms(110)).await;
    // Its answer counts for the next one.
    assert!(pool.try_acquire(&1).is_some());
    assert_eq!((connector.counts().pings, connector.counts().closes), (1, 0));
    assert_balanced(&pool, &connector);
}

/// (Behaviour 74.)
#[tokio::test(start_paused = true)]
async fn callers_with_less_time_than_a_ping_takes_cost_no_connection() {
    let check = HealthCheck::IdleFor(secs(1));
    let (pool, connector) = pool(|b| b.health_check(check).idle_timeout(None));
    pool.warm(&1, 10).await.unwrap();
    connector.always(Stage::Ping, Step::Slow(ms(20)));
    let mut served = 0;
    for _ in 0..20 {
        tokio::time::sleep(secs(10)).await;
        served += usize::from(pool.acquire_within(&1, ms(2)).await.is_ok());
        tokio::time::sleep(ms(100)).await;
        served += usize::from(pool.try_acquire(&1).is_some());
    }
    assert_eq!((served, connector.counts().closes, pool.status().failed_pings), (20, 0, 0));
    assert!(connector.counts().pings <= 20, "{} pings", connector.counts().pings);
}

/// (Behaviour 75.)
#[tokio::test(start_paused = true)]
async fn an_answered_ping_or_heartbeat_is_proof_as_a_use_is() {
    let beat = wharf::Heartbeat::every(secs(4));
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::IdleFor(secs(5))).heartbeat(beat));
    drop(pool.acquire(&1).await.unwrap());
    for _ in 0..10 {
        tokio::time::sleep(secs(6)).await;
        let beats = pool.status().heartbeats;
        assert!(beats > 0 && pool.try_acquire(&1).is_some(), "{beats} beats were answered");
    }
    assert_eq!(pool.status().pings, 0, "nobody had to ask again");
    assert_balanced(&pool, &connector);
}

/// (Behaviour 77.)
#[tokio::test(start_paused = true)]
async fn a_ping_that_is_not_answered_at_once_is_joined_by_a_dial_where_there_is_room() {
    let (pool, connector) = checked(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    let began = Instant::now();
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    assert!((ms(250)..ms(260)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// (Behaviour 77.)
#[tokio::test(start_paused = true)]
async fn with_a_short_ping_timeout_a_ping_counts_for_half_of_it() {
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::Always).ping_timeout(ms(100)));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    let began = Instant::now();
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    assert!((ms(50)..ms(60)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// (Behaviour 77.)
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_two_pings_in_a_row_while_there_is_room_to_dial() {
    let (pool, connector) = checked(HealthCheck::IdleFor(secs(1)));
    pool.warm(&1, 10).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    connector.once(Stage::Ping, Step::Error);
    connector.always(Stage::Ping, Step::Never);
    let began = Instant::now();
    assert_eq!(pool.acquire(&1).await.unwrap().number, 10, "its place went to a dial");
    assert!(began.elapsed() < ms(10), "{:?}", began.elapsed());
}

/// (Behaviour 78.)
#[tokio::test(start_paused = true)]
async fn always_means_before_a_waiter_gets_what_returns_too() {
    let (pool, connector) = pool(|b| b.max_per_host(4).health_check(HealthCheck::Always));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..100 {
                let loan = pool.acquire(&1).await.unwrap();
                tokio::task::yield_now().await;
                drop(loan);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!((pool.status().acquired, connector.counts().pings), (800, 796));
    assert_balanced(&pool, &connector);
}

/// (Behaviour 78.)
#[tokio::test(start_paused = true)]
async fn one_dead_connection_that_fails_fast_meets_one_borrower() {
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    let dead = pool.acquire(&1).await.unwrap();
    let mut waiters: Vec<_> = (0..9).map(|_| waiting(&pool, 1)).collect();
    connector.once(Stage::Ping, Step::Error);
    drop(dead);
    for waiter in &mut waiters {
        assert_eq!(waiter.await.unwrap().number, 1);
    }
}

/// (Behaviour 78.)
#[tokio::test(start_paused = true)]
async fn a_suspect_that_returns_answers_before_a_waiter_gets_it() {
    let (pool, connector) = pool_of(2);
    let (dead, suspect) = (pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap());
    let gate = connector.gate(Stage::Connect);
    let mut waiter = waiting(&pool, 1);
    // It was lent before the other one was found dead: its return says nothing of the time after that.
    PooledConnection::discard(dead);
    drop(suspect);
    assert!(poll(&mut waiter).is_pending());
    quiet().await;
    assert_eq!((ready(&mut waiter).number, connector.counts().pings), (1, 1));
    drop(gate);
}

/// (Behaviour 80.)
#[tokio::test(start_paused = true)]
async fn a_caller_whose_ping_hangs_is_told_of_the_end_at_once() {
    let (pool, connector) = checked_one(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    let acquire = waiting(&pool, 1);
    quiet().await;
    let (began, close) = (Instant::now(), pool.close());
    assert!(matches!(acquire.await, Err(AcquireError::Closed)));
    close.await;
    assert_eq!(began.elapsed(), ms(0), "nobody waits for the ping");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_during_a_ping_is_kept_and_says_so() {
    let (pool, connector) = checked_one(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    let began = Instant::now();
    let result = pool.acquire_within(&1, secs(1)).await;
    let Err(AcquireError::Timeout(report)) = result else { panic!("no time-out") };
    assert!(matches!(report.phase, Phase::Ping));
    assert_eq!(began.elapsed(), secs(1));
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn ten_connections_silently_dead_cost_the_next_acquire_one_ping_timeout_and_one_dial() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(10).health_check(HealthCheck::IdleFor(secs(1))).ping_timeout(secs(5))
    });
    pool.warm(&1, 10).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    connector.always(Stage::Ping, Step::Never);
    connector.always(Stage::Connect, Step::Slow(ms(100)));
    let began = Instant::now();
    let loan = pool.acquire(&1).await.unwrap();
    assert!(began.elapsed() <= ms(5102), "{:?}", began.elapsed());
    assert_eq!(loan.number, 10);
    // The others were asked in the background, meanwhile and all at once.
    tokio::time::sleep(secs(5)).await;
    assert_eq!((pool.status().idle, pool.status().failed_pings), (0, 10));
    drop(loan);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_is_asked_in_the_background_is_no_loan() {
    let (pool, connector) = checked(HealthCheck::Always);
    let two = (pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap());
    drop(two);
    connector.once(Stage::Ping, Step::Error);
    connector.always(Stage::Ping, Step::Never);
    connector.always(Stage::Connect, Step::Never);
    let result = pool.acquire_within(&1, secs(1)).await;
    let Err(AcquireError::Timeout(report)) = result else { panic!("no time-out") };
    assert_eq!((report.in_use, report.idle, report.loans.len()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_answers_serves_whoever_waits_before_the_dial_does() {
    let (pool, connector) = checked(HealthCheck::IdleFor(secs(1)));
    pool.warm(&1, 3).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    connector.once(Stage::Ping, Step::Error);
    connector.always(Stage::Connect, Step::Slow(secs(2)));
    let began = Instant::now();
    let loan = pool.acquire(&1).await.unwrap();
    assert!(loan.number < 2 && began.elapsed() < ms(10));
    assert_eq!(connector.counts().pings, 3, "what is handed over afterwards is not pinged again");
    drop(loan);
    tokio::time::sleep(secs(3)).await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_ping_failed_is_still_first() {
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    drop(pool.acquire(&1).await.unwrap());
    let ping = connector.gate(Stage::Ping);
    let mut asking = waiting(&pool, 1);
    let mut later = waiting(&pool, 1);
    quiet().await;
    ping.fail();
    quiet().await;
    let loan = ready(&mut asking);
    assert!(poll(&mut later).is_pending());
    connector.behave();
    drop(loan);
    quiet().await;
    drop(ready(&mut later));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_discard_makes_older_idle_peers_suspect_and_newer_ones_not() {
    let (pool, connector) = pool_of(4);
    pool.warm(&1, 3).await.unwrap();
    let loan = pool.acquire(&1).await.unwrap();
    PooledConnection::discard(loan);
    assert_eq!(connector.counts().pings, 0, "a discard only marks");
    assert!(pool.try_acquire(&1).is_none());
    let old = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    assert_eq!(connector.counts().pings, 2);
    let new = pool.acquire(&1).await.unwrap();
    assert_eq!(new.number, 3);
    drop((old, new));
    // All three have answered or were made since: none is asked again.
    for _ in 0..3 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(connector.counts().pings, 2);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn one_failure_makes_suspects_once() {
    let (pool, connector) = pool_of(4);
    pool.warm(&1, 4).await.unwrap();
    let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    let [first, second] = loans;
    PooledConnection::discard(first);
    let fresh = pool.acquire(&1).await.unwrap();
    drop(fresh);
    let pings = connector.counts().pings;
    PooledConnection::discard(second);
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(connector.counts().pings, pings, "the second one was suspect itself");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_ping_counts_as_no_answer() {
    let (pool, connector) = checked(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Panic);
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn closing_during_a_ping_ends_with_nothing_open() {
    let (pool, connector) = checked(HealthCheck::Always);
    pool.warm(&1, 3).await.unwrap();
    connector.once(Stage::Ping, Step::Error);
    connector.always(Stage::Ping, Step::Slow(secs(1)));
    connector.always(Stage::Connect, Step::Slow(secs(2)));
    let mut acquire = waiting(&pool, 1);
    quiet().await;
    assert!(poll(&mut acquire).is_pending());
    let close = pool.close();
    assert!(matches!(acquire.await, Err(AcquireError::Closed)));
    close.await;
    assert_eq!(connector.counts().live(), 0);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_during_a_ping_counts_as_a_time_out_and_lends_nothing() {
    let (pool, connector) = checked_one(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    assert!(pool.acquire_within(&1, secs(1)).await.is_err());
    let status = pool.status();
    assert_eq!((status.timed_out, status.at_once), (1, 0), "timed out, reused");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_a_ping_counts_as_cancelled_and_lends_nothing() {
    let (pool, connector) = checked(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    drop(waiting(&pool, 1));
    let status = pool.status();
    assert_eq!((status.cancelled, status.at_once), (1, 0), "cancelled, reused");
}

/// With an `acquire_timeout` below `ping_timeout` nobody ever learns that the peers are dead too.
#[tokio::test(start_paused = true)]
async fn acquires_shorter_than_a_ping_are_not_spent_on_one_dead_connection_after_the_other() {
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::Always).ping_timeout(secs(5)));
    pool.warm(&1, 10).await.unwrap();
    connector.always(Stage::Ping, Step::Never);
    let mut failed = 0;
    while pool.acquire_within(&1, secs(1)).await.is_err() {
        failed += 1;
    }
    assert!(failed <= 5, "{failed} acquires failed, dials were healthy");
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_that_needs_no_ping_is_lent_before_one_that_does() {
    let (pool, connector) = pool(|b| b.reuse(wharf::Reuse::LeastRecent));
    let [old, dead] = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    drop(old);
    // The first one is suspect from now on, and what comes later is not.
    PooledConnection::discard(dead);
    let [closed, open] = [connector.make(1), connector.make(1)];
    let (number, closed_number) = (open.number, closed.number);
    pool.add(&1, closed).unwrap();
    pool.add(&1, open).unwrap();
    connector.kill(closed_number);
    let loan = pool.acquire(&1).await.unwrap();
    assert_eq!((connector.counts().pings, loan.number), (0, number));
    drop(loan);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_retired_during_its_ping_is_not_lent() {
    let (pool, connector) = checked(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    let gate = connector.gate(Stage::Ping);
    let acquire = waiting(&pool, 1);
    pool.retire(&1);
    gate.let_through(1);
    let loan = acquire.await.unwrap();
    assert_eq!(loan.number, 1, "a new one");
    assert_eq!((pool.status().closes.of(CloseReason::Retired), pool.status().pings), (1, 1));
    drop(loan);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_life_ends_during_its_ping_is_not_lent() {
    let (pool, connector) = pool(|b| {
        let b = b.max_per_host(1).health_check(HealthCheck::Always);
        b.max_lifetime(secs(2)).lifetime_jitter(0.0)
    });
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Slow(secs(3)));
    let loan = pool.acquire(&1).await.unwrap();
    assert_eq!((loan.number, pool.status().closes.of(CloseReason::Age)), (1, 1));
    drop(loan);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_retain_inspected_is_pinged_before_a_waiter_gets_it() {
    let (pool, connector) = checked(HealthCheck::Always);
    drop(pool.acquire(&1).await.unwrap());
    let mut waiter = None;
    connector.gate(Stage::Connect);
    pool.retain(|_, _, _| {
        waiter = Some(waiting(&pool, 1));
        true
    });
    let loan = waiter.expect("it looked at one").await.unwrap();
    assert_eq!((loan.number, connector.counts().pings), (0, 1));
}

/// Ten suspects that are silent would take 2.5 s, one after the other.
#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_one_silent_ping_before_a_dial_begins_and_not_for_one_after_the_other() {
    let (pool, connector) =
        pool(|b| b.max_per_host(20).health_check(HealthCheck::IdleFor(secs(1))));
    pool.warm(&1, 10).await.unwrap();
    tokio::time::sleep(secs(5)).await;
    connector.always(Stage::Ping, Step::Never);
    for _ in 0..3 {
        let began = tokio::time::Instant::now();
        let loan = pool.acquire(&1).await.unwrap();
        assert!(began.elapsed() <= ms(251), "after {:?}", began.elapsed());
        wharf::PooledConnection::detach(loan);
        tokio::time::sleep(secs(1)).await;
    }
}
