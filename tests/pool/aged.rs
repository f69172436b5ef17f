//! Shared connections that are too old, and what else could make room. Each was found by a review.

use tokio::time::{Instant, sleep, timeout};

use crate::sharing::*;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_aged_connection_takes_leases_again_next_to_one_above_a_lowered_cap() {
    let stage = sharing_with(2, |b| {
        b.max_per_host(2).max_lifetime(secs(1800)).lifetime_jitter(0.0).acquire_timeout(secs(60))
    });
    // Two streams on the first connection, so that the third has a second connection.
    let first = stage.lease().await;
    let other = stage.lease().await;
    sleep(secs(1700)).await;
    let second = stage.lease().await;
    assert_eq!((first.number, second.number), (0, 1));
    drop(other);
    let host = stage.pool.host(&1);
    host.set_max(1).unwrap();
    // The second one drains for the cap. The first one serves:
    let lease = stage.lease().await;
    assert_eq!(lease.number, 0);
    drop(lease);
    // It is too old now, and has room.
    sleep(secs(200)).await;
    let began = Instant::now();
    let outcome = stage.pool.acquire(&1).await;
    assert!(outcome.is_ok(), "after {:?}: {}", began.elapsed(), outcome.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_is_not_taken_back_while_another_host_has_an_idle_connection() {
    let stage = sharing_with(100, |b| {
        b.max_total(2).max_lifetime(secs(1800)).lifetime_jitter(0.0).idle_timeout(secs(3600))
    });
    let _stream = stage.lease().await;
    sleep(secs(1000)).await;
    drop(stage.pool.acquire(&2).await.unwrap());
    sleep(secs(900)).await;
    assert_eq!(stage.pool.status().idle, 1, "another host has an idle connection");
    let lease = stage.lease().await;
    quiet().await;
    assert_eq!(lease.number, 2, "a new connection in the room of the idle one, not the aged one");
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_that_drains_to_make_room_for_another_host_is_not_taken_back() {
    let stage = sharing_with(100, |b| {
        b.max_total(1)
            .max_lifetime(secs(1800))
            .lifetime_jitter(0.0)
            .acquire_timeout(None)
            .deadlock_warnings(false)
    });
    let stream = stage.lease().await;
    let short = stage.lease().await;
    let mut elder = stage.pool.acquire(&2);
    assert!(poll(&mut elder).is_pending());
    sleep(secs(100)).await;
    drop(short);
    quiet().await;
    // It drains to make room for host 2.
    assert!(timeout(secs(100), stage.pool.acquire(&1)).await.is_err(), "host 2 is first");
    sleep(secs(1700)).await;
    let late = timeout(secs(100), stage.pool.acquire(&1)).await;
    assert!(late.is_err(), "host 2 still waits for the room, and was first");
    drop(stream);
    drop(timeout(secs(1), elder).await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_takes_leases_again_where_the_server_takes_no_more() {
    let stage = sharing_with(100, |b| {
        b.max_per_host(10)
            .max_lifetime(secs(1800))
            .lifetime_jitter(0.0)
            .acquire_timeout(secs(60))
            .retry(wharf::Backoff::default())
    });
    let _stream = stage.lease().await;
    // The server takes one connection.
    stage.script.always(Stage::Connect, Step::Error);
    sleep(secs(1700)).await;
    drop(stage.lease().await);
    sleep(secs(200)).await;
    let lease = stage.pool.acquire(&1).await;
    assert!(lease.is_ok(), "{}", lease.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn an_aged_connection_that_is_silent_is_waited_for_in_bounded_time() {
    for (max, hours) in [(1, 1), (2, 2), (3, 3)] {
        let stage = sharing_with(100, |b| {
            b.max_per_host(max).max_lifetime(secs(1800)).acquire_timeout(secs(60))
        });
        let _streams = {
            let mut streams = Vec::new();
            for _ in 0..2 * hours {
                streams.push(stage.lease().await);
                sleep(secs(1801)).await;
            }
            streams
        };
        stage.script.always(Stage::Ping, Step::Never);
        let began = Instant::now();
        let lease = stage.pool.acquire(&1).await;
        assert!(began.elapsed() <= secs(6), "after {:?}", began.elapsed());
        assert!(lease.is_ok(), "{}", lease.unwrap_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_with_streams_gets_a_new_connection_within_lifetimes_where_idle_ones_fill_the_total()
{
    ten_hours(3).await;
}

async fn ten_hours(total: usize) {
    let stage = sharing_with(100, |b| {
        b.max_total(total).max_lifetime(secs(1800)).lifetime_jitter(0.0).idle_timeout(secs(600))
    });
    let mut stream = stage.lease().await;
    for minute in 0..600u32 {
        // Other hosts come and go: the total is full, mostly of idle connections.
        drop(stage.pool.acquire(&(2 + minute % 4)).await.unwrap());
        sleep(secs(60)).await;
        // A stream of 70 minutes, that overlaps with the next one.
        if minute % 60 == 59 {
            let next = stage.lease().await;
            sleep(secs(600)).await;
            stream = next;
        }
    }
    assert!(stream.number > 0, "ten hours, and no new connection to host 1");
}
