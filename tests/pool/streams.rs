//! Leases that last: what they mean for the other connections of their host. (Behaviours 122 and 123.)

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};
use wharf::{AcquireError, CloseReason, Draining, Heartbeat, Lease, Spread};

use crate::sharing::*;
use crate::support::*;

/// An endless lease every half hour, for that many hours.
async fn streams(stage: &Sharing, hours: u64) -> Vec<Lease<Many>> {
    let mut streams = Vec::new();
    for _ in 0..2 * hours {
        streams.push(stage.lease().await);
        sleep(secs(1800)).await;
    }
    streams
}

#[tokio::test(start_paused = true)]
async fn age_is_a_preference_and_where_nothing_else_has_room_the_youngest_takes_leases_again() {
    // One seed in 300 has the last but one chosen.
    wharf::test_util::seed_random(7);
    let stage = sharing_with(100, |b| b.max_per_host(10).max_lifetime(secs(1800)));
    let streams = streams(&stage, 12).await;
    assert_eq!(stage.script.counts().peak_open, 20, "no more than twice the cap");
    let began = Instant::now();
    let lease = stage.lease().await;
    assert_eq!((began.elapsed(), lease.number), (secs(0), 19), "the youngest");
    // It has got another life, and is not asked at each lease.
    let pings = stage.script.counts().pings;
    drop(lease);
    drop(stage.leases(50).await);
    assert_eq!(stage.script.counts().pings, pings);
    drop(streams);
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_takes_no_lease_while_there_is_room_for_a_younger_one() {
    let stage = sharing_with(100, |b| b.max_per_host(10).max_lifetime(secs(1800)));
    let streams = streams(&stage, 9).await;
    let lease = stage.lease().await;
    assert_eq!((streams.len(), lease.number), (18, 18), "each has a connection of its own");
    assert_eq!(stage.script.counts().pings, 0);
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_that_does_not_answer_gives_its_place_to_a_new_one() {
    let stage = sharing_with(100, |b| b.max_per_host(1).max_lifetime(secs(1800)));
    let _streams = streams(&stage, 1).await;
    stage.script.always(Stage::Ping, Step::Error);
    let lease = stage.lease().await;
    assert_eq!((lease.number, stage.script.counts().pings), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_of_a_retired_host_takes_no_lease_again() {
    let stage = sharing_with(100, |b| b.max_per_host(1).max_lifetime(secs(1800)));
    let _streams = streams(&stage, 1).await;
    stage.pool.retire(&1);
    let outcome = stage.pool.acquire_within(&1, secs(10)).await;
    assert!(matches!(outcome, Err(AcquireError::Timeout(_))), "{outcome:?}");
    assert_eq!(stage.script.counts().dials, 2);
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_takes_leases_again_where_a_cap_for_all_hosts_leaves_no_room() {
    let stage = sharing_with(100, |b| b.max_total(2).max_lifetime(secs(1800)));
    let _streams = streams(&stage, 2).await;
    let lease = stage.lease().await;
    assert_eq!((lease.number, stage.script.counts().dials), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_says_that_connections_drain_and_why() {
    let stage = sharing_with(100, |b| b.max_per_host(2).deadlock_warnings(false));
    let mut leases = Vec::new();
    for _ in 0..2 {
        leases.extend(stage.leases(1).await);
        stage.room.store(1, Ordering::SeqCst);
        leases.extend(stage.leases(1).await);
        stage.room.store(100, Ordering::SeqCst);
        stage.pool.retire(&1);
    }
    let error = stage.pool.acquire_within(&1, secs(5)).await.unwrap_err();
    let AcquireError::Timeout(report) = &error else { panic!("{error}") };
    let draining = report.draining.unwrap();
    let Draining { connections, places, leases: all, reason, .. } = draining;
    assert_eq!((connections, places, all, reason), (4, 2, 4, CloseReason::Retired));
    let text = error.to_string();
    assert!(text.contains("; 4 connections drain (retired) with 4 leases; "), "{text}");
    assert!(
        text.ends_with(
            "; connections drain until their last lease ends: end long leases, or raise the cap"
        ),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_says_that_connections_drain_that_hold_the_room_of_all_hosts() {
    let stage = sharing_with(100, |b| b.max_total(1));
    let _lease = stage.lease().await;
    stage.pool.retire(&1);
    let text = stage.pool.acquire_within(&1, secs(5)).await.unwrap_err().to_string();
    assert!(
        text.contains("; 1 connection drains (retired) with 1 lease; connections drain until"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_for_other_reasons_than_draining_names_those() {
    let stage = sharing_with(1, |b| b.max_per_host(3).deadlock_warnings(false));
    let _leases = stage.leases(3).await;
    stage.pool.retire(&1);
    let _others = stage.leases(3).await;
    let text = stage.pool.acquire_within(&1, secs(5)).await.unwrap_err().to_string();
    assert!(
        text.contains("; 3 connections drain (retired) with 3 leases; raise max_per_host"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_minimum_idle_of_shared_connections_is_met_by_those_with_room_for_a_lease() {
    let stage =
        sharing_with(100, |b| b.max_per_host(10).min_idle_per_host(3).spread(Spread::LeastLoaded));
    let mut leases = stage.leases(1).await;
    quiet().await;
    leases.extend(stage.leases(8).await);
    quiet().await;
    assert_eq!(stage.script.counts().dials, 3);
    let mut carried = [0; 3];
    for lease in &leases {
        carried[lease.number] += 1;
    }
    assert_eq!(carried, [3, 3, 3], "they are used evenly");
    drop(leases);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_that_is_full_is_replaced_among_the_minimum_until_it_has_room_again() {
    let stage = sharing_with(2, |b| b.max_per_host(10).min_idle_per_host(1).idle_timeout(secs(60)));
    let one = stage.lease().await;
    quiet().await;
    assert_eq!(stage.script.counts().dials, 1, "it has room for one more");
    let other = stage.lease().await;
    quiet().await;
    assert_eq!((other.number, stage.script.counts().dials), (0, 2));
    drop(other);
    sleep(secs(61)).await;
    assert_eq!(stage.script.counts().open, 1, "the idle one is not needed any more");
    drop(one);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn idle_shared_connections_of_the_minimum_stay_as_long_as_they_answer() {
    let stage = sharing_with(100, |b| {
        let beats = Heartbeat::every(secs(20));
        b.min_idle_per_host(3).idle_timeout(secs(60)).max_lifetime(None).heartbeat(beats)
    });
    let lease = stage.lease().await;
    sleep(secs(1000)).await;
    let counts = stage.script.counts();
    assert_eq!((counts.dials, counts.open), (3, 3), "one is used, and two are kept");
    drop(lease);
    sleep(secs(1000)).await;
    assert_eq!(stage.script.counts().dials, 3);
    stage.assert_balanced();
}
