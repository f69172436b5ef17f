//! Dials that hang: a caller is served as soon as the server is able to, and nobody storms it.

use tokio::time::{Instant, sleep};
use wharf::Backoff;

use crate::log::Log;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn one_place_is_enough_for_a_server_that_has_become_slow() {
    let (pool, connector) = pool_of(1);
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Slow(secs(6)));
    let began = Instant::now();
    let mut served = false;
    while began.elapsed() < secs(300) {
        if pool.acquire_within(&1, secs(30)).await.is_ok() {
            served = true;
            break;
        }
    }
    assert!(served, "never in 300 s, {} dials", connector.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn a_short_backoff_leaves_a_slow_server_the_time_that_it_needs() {
    let backoff = Backoff::default().max(ms(400));
    let (pool, connector) = pool(|b| b.max_per_host(10).max_dialing_per_host(1).retry(backoff));
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Slow(ms(1200)));
    let began = Instant::now();
    let mut served = false;
    while began.elapsed() < secs(300) {
        if pool.acquire_within(&1, secs(30)).await.is_ok() {
            served = true;
            break;
        }
    }
    assert!(served, "never in 300 s, {} dials", connector.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn three_places_and_a_short_backoff_leave_a_slow_server_the_time_that_it_needs() {
    let backoff = Backoff::default().max(ms(400));
    let (pool, connector) = pool(|b| b.max_per_host(3).retry(backoff));
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Slow(ms(3500)));
    let served = pool.acquire_within(&1, secs(120)).await;
    assert!(served.is_ok(), "never in 120 s, {} dials: {served:?}", connector.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn old_dials_that_succeed_late_cause_no_pause() {
    let (pool, connector) = pool(|b| b.max_per_host(30));
    connector.always(Stage::Connect, Step::Slow(ms(5)));
    let _known = learn(&pool, 1).await;
    for late in [7_000, 6_990, 6_980] {
        connector.once(Stage::Connect, Step::Slow(ms(late)));
    }
    let mut loans = Vec::new();
    let callers: Vec<_> = (0..3).map(|_| tokio::spawn(pool.acquire(&1))).collect();
    for caller in callers {
        loans.push(caller.await.unwrap().unwrap());
    }
    sleep(ms(7_050 - 1005)).await;
    for _ in 0..pool.status().idle {
        loans.push(pool.acquire(&1).await.unwrap());
    }
    let began = Instant::now();
    let callers: Vec<_> = (0..10).map(|_| tokio::spawn(pool.acquire(&1))).collect();
    for caller in callers {
        loans.push(caller.await.unwrap().unwrap());
    }
    assert!(began.elapsed() <= ms(30), "after {:?}, {} loans", began.elapsed(), loans.len());
}

#[tokio::test(start_paused = true)]
async fn one_slow_success_does_not_end_the_search_for_slow_dials() {
    let (pool, connector) = pool_of(10);
    connector.once(Stage::Connect, Step::Slow(ms(5)));
    let _known = learn(&pool, 1).await;
    // A hang of 8 s: all dials in flight end with it.
    let gate = connector.gate(Stage::Connect);
    let caller = tokio::spawn(pool.acquire(&1));
    sleep(secs(8)).await;
    gate.open();
    connector.behave();
    connector.always(Stage::Connect, Step::Slow(ms(5)));
    drop(caller.await.unwrap().unwrap());
    sleep(secs(60)).await;
    pool.close_idle();
    quiet().await;
    connector.once(Stage::Connect, Step::Never);
    let began = Instant::now();
    let served = pool.acquire(&1).await;
    // Sooner than after connect_timeout.
    assert!(served.is_ok() && began.elapsed() < secs(6), "{:?}: {served:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn connect_timeout_is_told_although_a_loan_is_held_for_long() {
    let (pool, connector) = pool(|b| b.max_per_host(10).acquire_timeout(secs(300)));
    let _held = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Never);
    let began = Instant::now();
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(began.elapsed() < secs(15), "after {:?}: {error}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_connect_timeout_one_lost_packet_does_not_lose_a_new_host() {
    let (pool, connector) = pool(|b| b.max_per_host(1).connect_timeout(None));
    connector.once(Stage::Connect, Step::Never);
    let began = Instant::now();
    let served = pool.acquire(&1).await;
    assert!(served.is_ok() && began.elapsed() < secs(6), "{:?}: {served:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_with_dials_of_one_to_three_seconds_serves_fifty() {
    let (pool, connector) = pool_of(50);
    let mut n = 0_u64;
    connector.leave_to_chance(move |_, stage| match stage {
        Stage::Connect => {
            n = (n * 7 + 3) % 11;
            Step::Slow(ms(1000 + 200 * n))
        }
        _ => Step::Ok,
    });
    let began = Instant::now();
    let callers: Vec<_> = (0..50).map(|_| tokio::spawn(pool.acquire(&1))).collect();
    let (mut loans, mut failed) = (Vec::new(), 0);
    for caller in callers {
        match caller.await.unwrap() {
            Ok(loan) => loans.push(loan),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(
        failed,
        0,
        "{} served in {:?}, {} dials",
        loans.len(),
        began.elapsed(),
        connector.counts().dials
    );
}

#[tokio::test(start_paused = true)]
async fn frequent_retiring_does_not_storm_a_host_that_hangs() {
    let (pool, connector) = pool(|b| b.acquire_timeout(secs(5)));
    connector.always(Stage::Connect, Step::Never);
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    while began.elapsed() < secs(30) {
        let acquire = pool.acquire(&1);
        callers.spawn(async move { drop(acquire.await) });
        sleep(ms(50)).await;
        pool.retire(&1);
    }
    let counts = connector.counts();
    assert!(counts.dials < 60, "{} dials in 30 s, {} in flight", counts.dials, counts.dialing);
}

#[tokio::test(start_paused = true)]
async fn lowering_a_cap_gives_up_slow_dials_before_young_ones() {
    let (pool, connector) = pool(|b| b.max_per_host(2).connect_timeout(secs(60)));
    let host = pool.host(&1);
    connector.once(Stage::Connect, Step::Never);
    connector.always(Stage::Connect, Step::Slow(ms(200)));
    let began = Instant::now();
    let caller = tokio::spawn(host.acquire());
    sleep(ms(2600)).await;
    assert_eq!(pool.status().dialing, 2);
    host.set_max(1).unwrap();
    let served = caller.await.unwrap();
    assert!(served.is_ok() && began.elapsed() < secs(5), "{:?}: {served:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_which_every_dial_is_cut_off_is_logged() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(tracing::Level::INFO));
    let (pool, connector) = pool_of(1);
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Never);
    let began = Instant::now();
    let mut told = 0;
    let mut last = String::new();
    while began.elapsed() < secs(120) {
        if let Err(error) = pool.acquire_within(&1, secs(8)).await {
            told += 1;
            last = error.to_string();
        }
    }
    let lines = log.take();
    assert!(
        lines.iter().any(|line| line.contains("cannot be dialed")),
        "{told} told, {last}; {lines:#?}; {:?}",
        pool.status()
    );
}

#[tokio::test(start_paused = true)]
async fn a_retired_dial_that_hangs_does_not_keep_its_waiter() {
    let (pool, connector) = pool_of(10);
    connector.once(Stage::Connect, Step::Never);
    let old = tokio::spawn(pool.acquire_within(&1, secs(8)));
    sleep(ms(100)).await;
    pool.retire(&1);
    let old = old.await.unwrap();
    assert!(old.is_ok(), "{old:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retired_dial_that_hangs_makes_room() {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, Step::Slow(ms(50)));
    let _known = learn(&pool, 1).await;
    connector.once(Stage::Connect, Step::Never);
    let old = waiting(&pool, 1);
    sleep(ms(20)).await;
    pool.retire(&1);
    drop(old);
    let began = Instant::now();
    let newcomer = pool.acquire_within(&1, secs(8)).await;
    assert!(newcomer.is_ok(), "after {:?}: {newcomer:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_retired_dial_that_hangs_keeps_nobody_without_time_limits() {
    let (pool, connector) =
        pool(|b| b.max_per_host(10).connect_timeout(None).acquire_timeout(None));
    connector.once(Stage::Connect, Step::Slow(ms(50)));
    let _known = learn(&pool, 1).await;
    connector.once(Stage::Connect, Step::Never);
    let old = tokio::spawn(pool.acquire(&1));
    sleep(ms(20)).await;
    pool.retire(&1);
    let old = tokio::time::timeout(secs(3600), old).await;
    assert!(old.is_ok(), "not within an hour");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_in_a_pause_names_the_pause_and_no_cap() {
    // The jitter of a pause decides which callers come within it.
    wharf::test_util::seed_random(7);
    let (pool, connector) = pool_of(10);
    connector.once(Stage::Connect, Step::Slow(ms(100)));
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Slow(ms(1600)));
    let mut loans = Vec::new();
    let callers: Vec<_> = (0..2).map(|_| tokio::spawn(pool.acquire(&1))).collect();
    for caller in callers {
        loans.push(caller.await.unwrap().unwrap());
    }
    // Every dial in flight ends.
    let mut texts = Vec::new();
    for _ in 0..40 {
        sleep(ms(100)).await;
        match pool.acquire_within(&1, ms(50)).await {
            Ok(loan) => loans.push(loan),
            Err(error) => texts.push(error.to_string()),
        }
    }
    let wrong: Vec<_> = texts.iter().filter(|text| text.contains("max_total")).collect();
    assert!(wrong.is_empty(), "{} of {}: {}", wrong.len(), texts.len(), wrong[0]);
    assert!(texts.iter().any(|text| text.contains("; the next dial in ")), "{texts:?}");
}
