//! Slow dials hold places and permits: they make room for others, for connections made in advance, and for newcomers.

use tokio::time::{Instant, sleep, timeout};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn under_max_dialing_a_hosts_own_slow_dial_makes_room() {
    let (pool, connector) = pool(|b| b.max_per_host(10).max_dialing(1));
    let _known = learn(&pool, 1).await;
    connector.once(Stage::Connect, Step::Never);
    let began = Instant::now();
    let mut served = Err(());
    let mut errors = Vec::new();
    while began.elapsed() < secs(60) {
        match pool.acquire(&1).await {
            Ok(_) => {
                served = Ok(());
                break;
            }
            Err(error) => errors.push(format!("{:?}: {error}", began.elapsed())),
        }
    }
    assert!(served.is_ok() && began.elapsed() < secs(10), "{:?} {errors:#?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn under_max_total_a_hosts_own_slow_dials_make_room() {
    let (pool, connector) = pool(|b| b.max_per_host(10).max_total(2));
    let _known = learn(&pool, 1).await;
    (0..2).for_each(|_| connector.once(Stage::Connect, Step::Never));
    let began = Instant::now();
    let mut errors = Vec::new();
    loop {
        match pool.acquire(&1).await {
            Ok(_) => break,
            Err(error) => errors.push(format!("{:?}: {error}", began.elapsed())),
        }
    }
    assert!(began.elapsed() < secs(10), "{:?} {errors:#?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn warm_ends_when_dials_hang() {
    let (pool, connector) = pool_of(10);
    connector.always(Stage::Connect, Step::Never);
    let began = Instant::now();
    let warmed = timeout(secs(600), pool.warm(&1, 3)).await;
    assert!(warmed.is_ok(), "not after {:?}, {} dials", began.elapsed(), connector.counts().dials);
    assert!(began.elapsed() <= secs(13), "after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn warm_is_told_when_connect_timeout_passes() {
    let (pool, connector) = pool_of(10);
    connector.always(Stage::Connect, Step::Never);
    let began = Instant::now();
    let warmed = pool.warm(&1, 1).await;
    assert!(began.elapsed() <= ms(10_010), "after {:?}: {warmed:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn first_connections_are_given_up_when_dials_hang() {
    let (pool, connector) = pool(|b| b.max_per_host(10).initial_per_host(5));
    connector.always(Stage::Connect, Step::Never);
    let _ = pool.acquire_within(&1, secs(1)).await;
    sleep(secs(600)).await;
    let before = connector.counts().dials;
    sleep(secs(3600)).await;
    let after = connector.counts().dials;
    assert_eq!(after - before, 0, "dials in an hour, ten minutes after the last caller");
}

#[tokio::test(start_paused = true)]
async fn the_minimum_idle_does_not_wait_for_a_slow_dial() {
    let (pool, connector) = pool(|b| b.max_per_host(10).min_idle_per_host(1));
    let host = pool.host(&1);
    drop(host.acquire().await.unwrap());
    quiet().await;
    connector.once(Stage::Connect, Step::Never);
    pool.close_idle();
    sleep(secs(11)).await;
    assert_eq!(pool.status().idle, 1, "{:?}", pool.status());
}

#[tokio::test(start_paused = true)]
async fn the_minimum_idle_is_back_soon_after_a_hang() {
    let (pool, connector) = pool(|b| b.max_per_host(10).min_idle_per_host(4));
    let host = pool.host(&1);
    drop(host.acquire().await.unwrap());
    quiet().await;
    connector.always(Stage::Connect, Step::Never);
    pool.close_idle();
    sleep(secs(30)).await;
    connector.behave();
    sleep(secs(15)).await;
    assert_eq!(pool.status().idle, 4, "{:?}", pool.status());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_wait_a_slow_dial_turns_nobody_away() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_waiters_per_host(0));
    let _known = learn(&pool, 1).await;
    connector.once(Stage::Connect, Step::Never);
    assert!(pool.acquire_within(&1, ms(500)).await.is_err());
    sleep(secs(3)).await;
    let began = Instant::now();
    let mut errors = 0;
    loop {
        match pool.acquire(&1).await {
            Ok(_) => break,
            Err(_) if began.elapsed() > secs(60) => break,
            Err(_) => errors += 1,
        }
        sleep(ms(100)).await;
    }
    assert!(began.elapsed() < secs(2), "turned away {errors} times, for {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_wait_a_hang_does_not_lose_the_host_for_ever() {
    let (pool, connector) =
        pool(|b| b.max_per_host(1).max_waiters_per_host(0).connect_timeout(None));
    let _known = learn(&pool, 1).await;
    connector.once(Stage::Connect, Step::Never);
    assert!(pool.acquire_within(&1, ms(500)).await.is_err());
    sleep(secs(3600)).await;
    let served = pool.acquire(&1).await;
    assert!(served.is_ok(), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn slow_dials_that_nobody_waits_for_make_room_for_another_host() {
    let (pool, connector) = pool(|b| b.max_dialing(4).connect_timeout(secs(60)));
    let _known = learn(&pool, 1).await;
    connector.always_for(&1, Stage::Connect, Step::Never);
    let callers: Vec<_> = (0..8).map(|_| tokio::spawn(pool.acquire_within(&1, secs(14)))).collect();
    for caller in callers {
        assert!(caller.await.unwrap().is_err());
    }
    assert_eq!(pool.status().dialing, 4);
    let began = Instant::now();
    let served = pool.acquire(&2).await;
    assert!(served.is_ok() && began.elapsed() < secs(2), "{:?}: {served:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn under_max_total_of_one_a_slow_dial_makes_room_for_another_host() {
    let (pool, connector) = pool(|b| b.max_total(1).connect_timeout(secs(60)));
    let _known = learn(&pool, 1).await;
    connector.always_for(&1, Stage::Connect, Step::Never);
    let _ = pool.acquire_within(&1, secs(3)).await;
    let began = Instant::now();
    let served = pool.acquire(&2).await;
    assert!(served.is_ok() && began.elapsed() < secs(5), "{:?}: {served:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retiring_often_leaves_at_most_twice_the_cap_open() {
    let (pool, connector) = pool_of(4);
    connector.always(Stage::Close, Step::Slow(secs(3)));
    let mut most = 0;
    for _ in 0..10 {
        let callers: Vec<_> = (0..4).map(|_| tokio::spawn(pool.acquire(&1))).collect();
        let mut loans = Vec::new();
        for caller in callers {
            loans.push(caller.await.unwrap().unwrap());
        }
        drop(loans);
        pool.retire(&1);
        sleep(ms(120)).await;
        most = most.max(connector.counts().live());
    }
    assert!(most <= 8, "{most} exist, the cap is 4");
}

#[tokio::test(start_paused = true)]
async fn retiring_cuts_off_what_hangs_also_after_many_were_cut_off_in_vain() {
    let (pool, connector) = pool_of(1);
    connector.always(Stage::Connect, Step::Slow(ms(50)));
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Never);
    // Cut off after 1, 3 and 7 s: the dial in flight is young.
    let old = tokio::spawn(pool.acquire_within(&1, ms(7300)));
    assert!(old.await.unwrap().is_err());
    connector.behave();
    pool.retire(&1);
    let began = Instant::now();
    drop(pool.acquire(&1).await.unwrap());
    assert!(began.elapsed() <= ms(200), "{:?}", began.elapsed());
}
