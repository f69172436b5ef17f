//! Leases that last: what they mean for the other connections of their host. (Behaviours 122 and 123.)

use tokio::time::sleep;
use wharf::{Heartbeat, Spread};

use crate::sharing::*;
use crate::support::*;

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
    leases.iter().for_each(|lease| carried[lease.number] += 1);
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
