//! Peers that change how many leases their connections take. (Behaviour 99.)

use std::sync::atomic::Ordering::SeqCst;

use tokio::time::Instant;
use wharf::{AcquireLease, CloseReason, Lease};

use crate::sharing::{Many, sharing};
use crate::support::*;

fn ready(acquire: &mut AcquireLease<Many>) -> Lease<Many> {
    match poll(acquire) {
        std::task::Poll::Ready(lease) => lease.unwrap(),
        std::task::Poll::Pending => panic!("it still waits"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_raises_its_limit_is_heard_at_a_leases_end() {
    let stage = sharing(1, 2);
    let [one, _two] = <[_; 2]>::try_from(stage.leases(2).await).unwrap();
    let mut waiters = [stage.waiting(), stage.waiting()];
    stage.room.store(3, SeqCst);
    drop(one);
    let leases = waiters.each_mut().map(ready);
    assert_eq!((leases.len(), stage.script.counts().dials), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_raises_its_limit_is_heard_when_somebody_joins() {
    let stage = sharing(1, 1);
    let _lease = stage.lease().await;
    let mut first = stage.waiting();
    stage.room.store(2, SeqCst);
    let mut second = stage.waiting();
    let _first = ready(&mut first);
    assert!(poll(&mut second).is_pending());
    stage.room.store(5, SeqCst);
    let mut third = stage.waiting();
    let _both = [ready(&mut second), ready(&mut third)];
    assert_eq!(stage.script.counts().dials, 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_raises_its_limit_is_heard_within_a_second_without_any_traffic() {
    let stage = sharing(2, 1);
    let _leases = stage.leases(2).await;
    let waiter = tokio::spawn(stage.pool.acquire(&1));
    tokio::time::sleep(ms(5500)).await;
    let began = Instant::now();
    stage.room.store(2, SeqCst);
    let lease = waiter.await.unwrap().unwrap();
    assert!(began.elapsed() <= secs(1), "{:?}", began.elapsed());
    assert_eq!(stage.script.counts().dials, 2);
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_may_not_wait_hears_of_a_raised_limit_too() {
    let stage = sharing(1, 1);
    let _lease = stage.lease().await;
    assert!(stage.pool.try_acquire(&1).is_none());
    stage.room.store(3, SeqCst);
    let _second = stage.pool.try_acquire(&1).unwrap();
    let _third = stage.pool.acquire_within(&1, secs(0)).await.unwrap();
    assert!(stage.pool.try_acquire(&1).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_that_says_it_has_room_is_not_lent_to_those_who_wait() {
    let stage = sharing(1, 1);
    let lease = stage.lease().await;
    let waiter = tokio::spawn(stage.pool.acquire(&1));
    quiet().await;
    stage.script.kill(0);
    stage.room.store(2, SeqCst);
    let second = waiter.await.unwrap().unwrap();
    assert_eq!((lease.number, second.number), (0, 1));
    drop((lease, second));
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_full_connection_that_takes_no_leases_any_more_is_replaced_for_those_who_wait() {
    let stage = sharing(1, 1);
    let lease = stage.lease().await;
    let waiter = tokio::spawn(stage.pool.acquire(&1));
    quiet().await;
    stage.room.store(0, SeqCst);
    let second = waiter.await.unwrap().unwrap();
    assert_eq!((Lease::info(&lease).id, Lease::info(&second).id), (1, 2));
    stage.room.store(1, SeqCst);
    drop((lease, second));
    quiet().await;
    assert_eq!(stage.pool.status().closes.of(CloseReason::NotOpen), 1);
    stage.assert_balanced();
}
