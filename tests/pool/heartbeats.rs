//! Heartbeats. (Behaviours 44 to 46.)

use tokio::time::{Instant, sleep};
use wharf::{Heartbeat, PooledConnection};

use crate::support::*;

/// Every 30 seconds, 10 for the answer, 3 missed; idle connections stay.
fn beaten(cap: usize) -> (TestPool, TestConnector) {
    pool(|b| b.max_per_host(cap).heartbeat(Heartbeat::default()).idle_timeout(None))
}

/// One idle connection, just returned.
async fn one_idle() -> (TestPool, TestConnector) {
    let (pool, connector) = beaten(1);
    drop(pool.acquire(&1).await.unwrap());
    (pool, connector)
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_asked_once_an_interval_that_is_a_little_shorter_than_set() {
    let (pool, connector) = one_idle().await;
    sleep(secs(26)).await;
    assert_eq!(connector.counts().pings, 0);
    sleep(secs(5)).await;
    assert_eq!(connector.counts().pings, 1);
    sleep(secs(300)).await;
    assert!((11..=12).contains(&connector.counts().pings), "{:?}", connector.counts());
    let status = pool.status();
    assert_eq!(u64::try_from(connector.counts().pings), Ok(status.heartbeats));
    assert_eq!((status.missed_heartbeats, status.pings, status.at_once), (0, 0, 0));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn connections_made_together_are_not_asked_together_for_long() {
    let (pool, connector) = beaten(10);
    pool.warm(&1, 10).await.unwrap();
    let mut moments = 0;
    let mut pings = 0;
    for _ in 0..310 {
        sleep(ms(100)).await;
        let now = connector.counts().pings;
        moments += usize::from(now > pings);
        pings = now;
    }
    assert_eq!(pings, 10);
    assert!(moments > 3, "all in {moments} moments");
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_not_asked_before_it_returns() {
    let (pool, connector) = beaten(1);
    let loan = pool.acquire(&1).await.unwrap();
    sleep(secs(300)).await;
    assert_eq!(connector.counts().pings, 0);
    drop(loan);
    quiet().await;
    assert_eq!(connector.counts().pings, 1);
    sleep(secs(31)).await;
    assert_eq!(connector.counts().pings, 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_closed_after_the_missed_beats_that_are_allowed() {
    let (pool, connector) = one_idle().await;
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(30)).await;
    // Asked by now; it misses beats 10, 40 and 70 seconds after that.
    for (missed, wait) in [(0, 6), (1, 10), (1, 15), (2, 10), (2, 22)] {
        sleep(secs(wait)).await;
        assert_eq!(pool.status().missed_heartbeats, missed);
        assert_eq!((pool.status().idle, connector.counts().closes), (1, 0));
    }
    sleep(secs(10)).await;
    assert_eq!(pool.status().missed_heartbeats, 3);
    assert_eq!((pool.status().idle, connector.counts().closes), (0, 1));
    assert_eq!(connector.counts().pings, 1, "it was asked once: nobody cut that off");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_resets_the_count() {
    let (pool, connector) = one_idle().await;
    for missed in [2, 4, 6] {
        connector.once(Stage::Ping, Step::Slow(secs(45)));
        sleep(secs(76)).await;
        assert_eq!(pool.status().missed_heartbeats, missed);
    }
    assert_eq!((pool.status().idle, pool.status().heartbeats), (1, 3));
    assert_eq!(connector.counts().closes, 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_a_missed_beat_and_an_answer_resets_the_count() {
    let (pool, connector) = one_idle().await;
    for step in [Step::Error, Step::Error, Step::Ok, Step::Error, Step::Panic] {
        connector.once(Stage::Ping, step);
    }
    sleep(secs(155)).await;
    assert_eq!((pool.status().missed_heartbeats, pool.status().heartbeats), (4, 1));
    assert_eq!(pool.status().idle, 1);
    connector.once(Stage::Ping, Step::Error);
    sleep(secs(30)).await;
    assert_eq!((pool.status().missed_heartbeats, connector.counts().closes), (5, 1));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_open_after_a_missed_beat_is_closed_at_once() {
    let (pool, connector) = one_idle().await;
    connector.once(Stage::Ping, Step::Error);
    connector.kill_all();
    sleep(secs(31)).await;
    assert_eq!((pool.status().missed_heartbeats, connector.counts().closes), (1, 1));
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_it_as_soon_as_it_answers() {
    let (pool, connector) = one_idle().await;
    connector.always(Stage::Ping, Step::Slow(secs(8)));
    sleep(secs(31)).await;
    assert!(pool.try_acquire(&1).is_none(), "it is being asked");
    let began = Instant::now();
    let loan = pool.acquire(&1).await.unwrap();
    assert!(began.elapsed() < secs(8));
    assert_eq!((loan.number, connector.counts().dials), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_does_not_wait_for_it_beyond_the_time_out() {
    let (pool, connector) = one_idle().await;
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(31)).await;
    let began = Instant::now();
    let loan = pool.acquire(&1).await.unwrap();
    assert!((6..=10).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(loan.number, 1);
    drop(loan);
    quiet().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_missed_a_beat_already_makes_room_at_once() {
    let (pool, connector) = one_idle().await;
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(45)).await;
    let began = Instant::now();
    let loan = pool.acquire(&1).await.unwrap();
    assert!(began.elapsed() < ms(10), "{:?}", began.elapsed());
    assert_eq!((loan.number, connector.counts().closes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_room_a_dial_races_the_answer() {
    let (pool, connector) = beaten(2);
    drop(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(45)).await;
    let loan = pool.acquire(&1).await.unwrap();
    assert_eq!(loan.number, 1);
    quiet().await;
    assert_eq!((pool.status().idle, connector.counts().closes), (1, 0), "it may still answer");
}

#[tokio::test(start_paused = true)]
async fn a_beat_is_no_use() {
    let beat = Heartbeat::every(secs(10));
    let (pool, connector) = pool(|b| b.heartbeat(beat).idle_timeout(secs(60)).max_uses(2));
    pool.warm(&1, 2).await.unwrap();
    sleep(secs(45)).await;
    let loan = pool.acquire(&1).await.unwrap();
    let info = PooledConnection::info(&loan);
    assert_eq!((info.uses, info.idle_for.as_secs()), (1, 45));
    assert!(connector.counts().pings >= 8);
    sleep(secs(16)).await;
    assert_eq!(pool.status().idle, 0, "its time was over, heartbeats or not");
    drop(loan);
}

#[tokio::test(start_paused = true)]
async fn a_beat_does_not_change_the_order_of_lending() {
    let (pool, connector) = beaten(2);
    let (first, second) = (pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap());
    drop(first);
    quiet().await;
    drop(second);
    // The one that went idle first answers last.
    connector.once(Stage::Ping, Step::Slow(secs(9)));
    sleep(secs(45)).await;
    assert_eq!(connector.counts().pings, 2);
    assert_eq!(pool.acquire(&1).await.unwrap().number, 1, "the most recent one");
}

#[tokio::test(start_paused = true)]
async fn so_many_are_asked_at_once_and_the_rest_when_those_have_answered() {
    let (pool, connector) = beaten(20);
    pool.warm(&1, 20).await.unwrap();
    let gate = connector.gate(Stage::Ping);
    // All are due within 3 seconds, and 8 at once are enough for 20 whose answers take so long.
    sleep(secs(31)).await;
    assert_eq!(connector.counts().pings, 8);
    assert_eq!(pool.status().idle, 20);
    gate.let_through(5);
    quiet().await;
    assert_eq!(connector.counts().pings, 13);
    assert_eq!(pool.status().heartbeats, 5);
}

#[tokio::test(start_paused = true)]
async fn a_missed_beat_makes_the_older_peers_suspect_and_they_are_asked_next() {
    let (pool, connector) = beaten(4);
    pool.warm(&1, 4).await.unwrap();
    let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    sleep(secs(20)).await;
    drop(loans);
    // The two that were not lent are asked 10 seconds from now, the others 20 seconds later.
    connector.once(Stage::Ping, Step::Error);
    connector.once(Stage::Ping, Step::Ok);
    sleep(secs(11)).await;
    assert_eq!(pool.status().missed_heartbeats, 1);
    assert_eq!(connector.counts().pings, 4, "those two were asked before their time");
    let loans = [(); 4].map(|()| pool.try_acquire(&1));
    assert_eq!(loans.iter().flatten().count(), 3, "one has not answered");
    drop(loans);
    connector.always(Stage::Connect, Step::Never);
    let loans = lent(&pool, 4).await;
    assert_eq!(connector.counts().pings, 5, "it was asked before it was lent");
    drop(loans);
    assert_eq!((pool.status().idle, connector.counts().live()), (4, 4));
}

/// `n` connections, lent together.
async fn lent(pool: &TestPool, n: usize) -> Vec<TestLoan> {
    let mut loans = Vec::new();
    for _ in 0..n {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    loans
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_put_a_connection_before_a_waiter() {
    let (pool, connector) = one_idle().await;
    let ping = connector.gate(Stage::Ping);
    sleep(secs(31)).await;
    let mut waiter = waiting(&pool, 1);
    connector.kill_all();
    ping.fail();
    quiet().await;
    assert_eq!(ready(&mut waiter).number, 1);
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_answers() {
    let (pool, connector) = beaten(4);
    pool.warm(&1, 4).await.unwrap();
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(45)).await;
    let began = Instant::now();
    pool.close().await;
    assert!(began.elapsed() < ms(10), "{:?}", began.elapsed());
    assert_eq!(connector.counts().closes, 4);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_heartbeats() {
    let (pool, connector) = beaten(4);
    pool.warm(&1, 4).await.unwrap();
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(29)).await;
    drop(pool);
    quiet().await;
    let pings = connector.counts().pings;
    assert!(pings > 0, "some were being asked");
    sleep(secs(300)).await;
    assert_eq!((connector.counts().pings, connector.counts().live()), (pings, 0));
}

#[tokio::test(start_paused = true)]
async fn a_retired_connection_that_is_being_asked_is_closed_when_it_has_answered() {
    let (pool, connector) = one_idle().await;
    connector.always(Stage::Ping, Step::Slow(secs(5)));
    sleep(secs(31)).await;
    pool.retire(&1);
    assert_eq!(pool.status().idle, 1);
    sleep(secs(5)).await;
    assert_eq!((pool.status().idle, connector.counts().closes), (0, 1));
    assert_balanced(&pool, &connector);
}

#[test]
fn a_beat_whose_runtime_ends_closes_its_connection() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let (pool, connector) = beaten(1);
    connector.always(Stage::Ping, Step::Never);
    let first = runtime();
    first.block_on(async {
        drop(pool.acquire(&1).await.unwrap());
        sleep(secs(31)).await;
        assert_eq!(connector.counts().pings, 1);
    });
    drop(first);
    assert_eq!((pool.status().idle, connector.counts().live()), (0, 0));
    let second = runtime();
    assert_eq!(second.block_on(pool.acquire(&1)).unwrap().number, 1);
}

#[tokio::test(start_paused = true)]
async fn close_idle_closes_one_that_is_being_asked_when_it_has_answered() {
    let (pool, connector) = pool(|b| b.heartbeat(Heartbeat::default()));
    drop(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Ping, Step::Slow(secs(5)));
    sleep(secs(31)).await;
    pool.close_idle();
    sleep(secs(6)).await;
    let status = pool.status();
    assert_eq!((status.idle, status.closes.of(wharf::CloseReason::Asked)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn close_idle_leaves_one_that_is_being_asked_to_whoever_waits_for_it() {
    let (pool, connector) = pool(|b| b.max_per_host(1).heartbeat(Heartbeat::default()));
    drop(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Ping, Step::Slow(secs(5)));
    sleep(secs(31)).await;
    let mut waiter = waiting(&pool, 1);
    pool.close_idle();
    assert_eq!((&mut waiter).await.unwrap().number, 0);
}

/// (Behaviour 76.)
#[tokio::test(start_paused = true)]
async fn of_the_pings_that_nobody_needs_eight_run_at_once() {
    let check = wharf::HealthCheck::IdleFor(secs(5));
    let (pool, connector) = pool(|b| b.max_per_host(500).health_check(check));
    pool.warm(&1, 500).await.unwrap();
    sleep(secs(10)).await;
    let gate = connector.gate(Stage::Ping);
    let mut waiter = waiting(&pool, 1);
    quiet().await;
    // The one that the waiter needs fails: all others are suspect.
    gate.fail();
    connector.gate(Stage::Ping);
    quiet().await;
    let _loan = ready(&mut waiter);
    assert_eq!(pool.status().pinging, 9, "eight, one for the waiter, which a dial races");
    // What waiters need is not limited by that.
    let waiters: Vec<_> = (0..20).map(|_| waiting(&pool, 1)).collect();
    assert!(pool.status().pinging >= 20, "{}", pool.status().pinging);
    drop(waiters);
}

#[tokio::test(start_paused = true)]
async fn slow_answers_do_not_keep_connections_from_one_heartbeat_an_interval() {
    let (pool, connector) = beaten(100);
    pool.warm(&1, 100).await.unwrap();
    connector.always(Stage::Ping, Step::Slow(secs(5)));
    // Until the pool knows how long an answer takes, eight are pinged at once.
    sleep(secs(90)).await;
    let (before, mut most) = (connector.counts().pings, 0);
    for _ in 0..350 {
        sleep(secs(1)).await;
        most = most.max(connector.counts().pinging_of[&1]);
    }
    // Thirty seconds at most after each answer, which takes five.
    let pings = connector.counts().pings - before;
    assert!((960..=1100).contains(&pings), "{pings} in ten rounds of 100");
    assert!((9..=34).contains(&most), "{most} at once");
    let status = pool.status();
    assert_eq!((status.idle, status.missed_heartbeats), (100, 0));
}
