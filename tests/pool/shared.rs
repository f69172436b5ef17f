//! Connections that many borrowers share. (Behaviours 66 to 71.)

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};
use wharf::{AcquireError, HealthCheck, Heartbeat, Lease, Spread};

use crate::sharing::*;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn borrowers_share_a_connection_up_to_its_leases_then_another_is_dialed() {
    let stage = sharing(2, 3);
    let leases = stage.leases(6).await;
    assert_eq!(numbers(&leases), [0, 0, 0, 1, 1, 1]);
    assert_eq!(stage.gauges(), [0, 2, 6, 0]);
    drop(leases);
    assert_eq!(stage.gauges(), [2, 0, 0, 0]);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn many_callers_of_a_cold_host_make_one_dial_when_one_connection_carries_them() {
    let stage = sharing(8, 100);
    let mut waiting: Vec<_> = (0..64).map(|_| stage.waiting()).collect();
    quiet().await;
    let leases: Vec<_> = waiting.iter_mut().map(now).collect();
    assert_eq!((leases.len(), stage.script.counts().dials), (64, 1));
}

#[tokio::test(start_paused = true)]
async fn as_many_are_dialed_as_those_who_wait_need() {
    let stage = sharing(8, 10);
    let _remembered = stage.pool.host(&1);
    let mut waiting: Vec<_> = (0..64).map(|_| stage.waiting()).collect();
    quiet().await;
    let leases: Vec<_> = waiting.iter_mut().map(now).collect();
    assert_eq!((leases.len(), stage.script.counts().dials), (64, 7));
    // The second time it is known what one carries.
    drop(leases);
    stage.pool.close_idle();
    quiet().await;
    let waiting: Vec<_> = (0..64).map(|_| stage.waiting()).collect();
    assert_eq!(stage.pool.status().dialing, 7);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn where_it_is_known_what_one_carries_the_right_number_is_dialed_at_once() {
    let stage = sharing(8, 10);
    let mut waiting: Vec<_> = (0..64).map(|_| stage.pool.acquire(&KNOWN)).collect();
    assert!(waiting.iter_mut().all(|acquire| poll(acquire).is_pending()));
    assert_eq!(stage.pool.status().dialing, 1, "nothing is known of the server's speed");
    quiet().await;
    assert_eq!(stage.script.counts().dials, 7);
    let leases: Vec<_> = waiting.iter_mut().map(now).collect();
    assert_eq!(leases.len(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_on_a_full_connection_serves_the_oldest_waiter() {
    let stage = sharing(1, 2);
    let mut leases = stage.leases(2).await;
    let (mut first, mut second) = (stage.waiting(), stage.waiting());
    leases.pop();
    assert!(poll(&mut second).is_pending());
    let served = now(&mut first);
    assert_eq!((served.number, stage.script.counts().dials), (0, 1));
    drop(leases);
    drop((now(&mut second), served));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_never_overtakes_who_waits() {
    let stage = sharing(1, 1);
    let lease = stage.lease().await;
    let mut waiter = stage.waiting();
    drop(lease);
    assert!(stage.pool.try_acquire(&1).is_none(), "the lease is in the waiter's hand");
    drop(now(&mut waiter));
    assert!(stage.pool.try_acquire(&1).is_some());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_going_away_takes_no_new_leases_and_closes_after_its_last() {
    let stage = sharing(1, 10);
    let (one, two) = (stage.lease().await, stage.lease().await);
    stage.script.kill_all();
    // Its place is free at once, so that nobody waits for its last lease.
    let new = stage.lease().await;
    assert_eq!((one.number, two.number, new.number), (0, 0, 1));
    assert_eq!(stage.gauges(), [0, 1, 3, 0]);
    drop(one);
    quiet().await;
    assert_eq!(stage.script.counts().closes, 0);
    drop(two);
    quiet().await;
    assert_eq!(stage.script.counts().closes, 1);
    drop(new);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_found_going_away_at_a_return_is_replaced_for_who_waits() {
    let stage = sharing(1, 2);
    let mut leases = stage.leases(2).await;
    let mut waiter = stage.waiting();
    stage.script.kill_all();
    leases.pop();
    quiet().await;
    assert_eq!(now(&mut waiter).number, 1);
    drop(leases);
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn cancelling_one_borrower_leaves_the_others_alone() {
    let stage = sharing(1, 2);
    let leases = stage.leases(2).await;
    let (gone, mut stays) = (stage.waiting(), stage.waiting());
    drop(gone);
    drop(leases);
    drop(now(&mut stays));
    // One in whose hand a lease lies already.
    let leases = stage.leases(2).await;
    let (gone, mut stays) = (stage.waiting(), stage.waiting());
    drop(leases);
    drop(gone);
    assert_eq!(now(&mut stays).number, 0);
    drop(stays);
    assert_eq!((stage.script.counts().dials, stage.script.counts().closes), (1, 0));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn when_fewer_leases_fit_than_are_out_none_is_given_until_they_fit() {
    let stage = sharing(1, 3);
    let mut leases = stage.leases(3).await;
    stage.room.store(1, Ordering::SeqCst);
    let mut waiter = stage.waiting();
    leases.pop();
    leases.pop();
    assert!(poll(&mut waiter).is_pending());
    leases.pop();
    let served = now(&mut waiter);
    assert!(stage.pool.try_acquire(&1).is_none());
    // It is asked again when a lease comes back.
    stage.room.store(2, Ordering::SeqCst);
    drop(served);
    assert_eq!(numbers(&stage.leases(2).await), [0, 0]);
    assert_eq!(stage.script.counts().dials, 1);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_finds_out_that_fewer_leases_fit() {
    let stage = sharing(2, 3);
    let lease = stage.lease().await;
    stage.room.store(1, Ordering::SeqCst);
    let other = stage.lease().await;
    assert_eq!((lease.number, other.number), (0, 1));
    drop((lease, other));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn room_for_more_serves_who_waits() {
    let stage = sharing(1, 2);
    let mut leases = stage.leases(2).await;
    let mut waiting: Vec<_> = (0..3).map(|_| stage.waiting()).collect();
    stage.room.store(5, Ordering::SeqCst);
    leases.pop();
    let served: Vec<_> = waiting.iter_mut().map(now).collect();
    assert_eq!(numbers(&served), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn no_lease_at_all_means_that_it_is_going_away() {
    let stage = sharing(1, 2);
    let lease = stage.lease().await;
    stage.room.store(0, Ordering::SeqCst);
    let mut waiter = stage.waiting();
    quiet().await;
    assert_eq!(now(&mut waiter).number, 1, "a new one carries one at least");
    drop((lease, waiter));
    quiet().await;
    assert_eq!(stage.script.counts().closes, 2);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn the_oldest_is_filled_first_so_that_spare_ones_idle_out() {
    let stage = sharing_with(2, |b| b.max_per_host(3).idle_timeout(secs(60)));
    drop(stage.leases(6).await);
    assert_eq!(stage.gauges()[0], 3);
    for _ in 0..20 {
        let leases = stage.leases(2).await;
        assert_eq!(numbers(&leases)[0], numbers(&leases)[1], "both on one");
        sleep(secs(5)).await;
    }
    assert_eq!(stage.gauges(), [1, 0, 0, 0]);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn leases_can_be_spread_instead() {
    let stage = sharing_with(10, |b| b.max_per_host(3).spread(Spread::LeastLoaded));
    stage.pool.warm(&1, 3).await.unwrap();
    let leases = stage.leases(9).await;
    let mut numbers = numbers(&leases);
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_discard_frees_the_place_and_leaves_the_others_their_leases() {
    let stage = sharing(1, 3);
    let mut leases = stage.leases(3).await;
    let mut waiter = stage.waiting();
    Lease::discard(leases.pop().unwrap());
    quiet().await;
    let new = now(&mut waiter);
    assert_eq!((new.number, numbers(&leases)), (1, vec![0, 0]));
    leases.clear();
    quiet().await;
    assert_eq!(stage.script.counts().closes, 1);
    drop(new);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_discard_makes_the_older_ones_suspect_leased_or_not() {
    let stage = sharing_with(2, |b| b.max_per_host(4).spread(Spread::LeastLoaded));
    stage.pool.warm(&1, 3).await.unwrap();
    let mut leases = stage.leases(2).await;
    Lease::discard(leases.pop().unwrap());
    assert!(stage.pool.try_acquire(&1).is_none());
    let more = stage.leases(3).await;
    assert_eq!(stage.script.counts().pings, 2, "the idle one and the leased one");
    assert_eq!(stage.script.counts().dials, 3);
    drop((leases, more));
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn an_idle_one_is_pinged_for_the_first_lease_and_the_others_wait_for_that() {
    let stage = sharing_with(10, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    let gate = stage.script.gate(Stage::Ping);
    let mut waiting: Vec<_> = (0..5).map(|_| stage.waiting()).collect();
    gate.let_through(1);
    quiet().await;
    let leases: Vec<_> = waiting.iter_mut().map(now).collect();
    assert_eq!(numbers(&leases), [0; 5]);
    assert_eq!((stage.script.counts().pings, stage.script.counts().dials), (1, 1));
    // While it is used it is not pinged again.
    drop(stage.lease().await);
    assert_eq!(stage.script.counts().pings, 1);
    drop(leases);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_fails_costs_its_caller_one_dial() {
    let stage = sharing_with(10, |b| b.max_per_host(1).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    stage.script.once(Stage::Ping, Step::Never);
    let (mut first, mut second) = (stage.waiting(), stage.waiting());
    let began = Instant::now();
    let lease = (&mut first).await.unwrap();
    assert_eq!((lease.number, began.elapsed().as_secs()), (1, 5));
    assert_eq!(now(&mut second).number, 1);
    drop(lease);
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_a_ping_leaves_the_connection_to_others() {
    let stage = sharing_with(10, |b| b.max_per_host(1).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    let gate = stage.script.gate(Stage::Ping);
    let (asking, mut other) = (stage.waiting(), stage.waiting());
    drop(asking);
    quiet().await;
    assert!(poll(&mut other).is_pending(), "it has not answered");
    gate.let_through(1);
    quiet().await;
    assert_eq!(now(&mut other).number, 0);
    assert_eq!((stage.script.counts().pings, stage.script.counts().closes), (1, 0));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn heartbeats_ask_it_while_it_is_leased_and_while_it_is_idle_and_leases_go_on() {
    let stage = sharing_with(10, |b| {
        let heartbeat = Heartbeat::default().timeout(secs(60));
        b.max_per_host(1).heartbeat(heartbeat).idle_timeout(secs(200))
    });
    let lease = stage.lease().await;
    sleep(secs(95)).await;
    assert_eq!(stage.script.counts().pings, 3);
    let gate = stage.script.gate(Stage::Ping);
    sleep(secs(26)).await;
    assert_eq!(stage.script.counts().pings, 4);
    let second = stage.lease().await;
    drop((lease, second));
    assert_eq!(stage.gauges(), [1, 0, 0, 0]);
    drop(stage.lease().await);
    assert_eq!(stage.script.counts().dials, 1);
    gate.let_through(100);
    sleep(secs(195)).await;
    assert_eq!(stage.gauges(), [1, 0, 0, 0]);
    sleep(secs(10)).await;
    assert_eq!(stage.gauges(), [0; 4], "a heartbeat is no use");
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn one_that_misses_its_beats_takes_no_new_leases_and_closes_after_its_last() {
    let stage = sharing_with(10, |b| b.max_per_host(1).heartbeat(Heartbeat::default()));
    let lease = stage.lease().await;
    stage.script.always(Stage::Ping, Step::Never);
    sleep(secs(45)).await;
    assert_eq!(stage.pool.status().missed_heartbeats, 1);
    // It is late: the next caller gets a new one in its place.
    let new = stage.lease().await;
    assert_eq!((lease.number, new.number), (0, 1));
    assert_eq!(stage.script.counts().closes, 0);
    drop(lease);
    quiet().await;
    assert_eq!(stage.script.counts().closes, 1);
    drop(new);
    sleep(secs(120)).await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_leased_one_that_nobody_else_wants_is_given_up_after_the_missed_beats_allowed() {
    let stage = sharing_with(10, |b| b.max_per_host(1).heartbeat(Heartbeat::default()));
    let lease = stage.lease().await;
    stage.script.always(Stage::Ping, Step::Never);
    sleep(secs(101)).await;
    assert_eq!(stage.pool.status().missed_heartbeats, 3);
    assert_eq!(stage.gauges(), [0, 0, 1, 0], "its place is free");
    drop(lease);
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn uses_and_lifetimes_end_new_leases_and_the_connection_closes_after_its_last() {
    let stage = sharing_with(10, |b| b.max_per_host(2).max_uses(3));
    let leases = stage.leases(4).await;
    assert_eq!(numbers(&leases), [0, 0, 0, 1]);
    assert_eq!(Lease::info(&leases[2]).uses, 3);
    drop(leases);
    quiet().await;
    assert_eq!((stage.gauges()[0], stage.script.counts().closes), (1, 1));
    let stage = sharing_with(10, |b| {
        b.max_per_host(2).max_lifetime(secs(60)).lifetime_jitter(0.0).acquire_timeout(secs(5))
    });
    let old = stage.lease().await;
    sleep(secs(60)).await;
    let new = stage.lease().await;
    assert_eq!((old.number, new.number), (0, 1));
    drop((old, new));
    quiet().await;
    assert_eq!((stage.gauges()[0], stage.script.counts().closes), (1, 1));
    stage.assert_balanced();
}

/// (Behaviour 96.)
#[tokio::test(start_paused = true)]
async fn a_shared_connection_that_drains_gives_its_place_to_the_next() {
    let stage = sharing(1, 10);
    let lease = stage.lease().await;
    stage.pool.retire(&1);
    let next = stage.lease().await;
    assert_eq!((lease.number, next.number, stage.script.counts().peak_open), (0, 1, 2));
    let status = stage.pool.status();
    assert_eq!((status.in_use, status.draining, status.leases), (1, 1, 2));
    drop((lease, next));
    quiet().await;
    stage.assert_balanced();
}

/// (Behaviour 96.)
#[tokio::test(start_paused = true)]
async fn long_streams_do_not_keep_others_out_of_a_host() {
    let stage = sharing_with(100, |b| b.max_per_host(10).max_lifetime(secs(1800)));
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(stage.lease().await);
        tokio::time::sleep(secs(1900)).await;
    }
    let began = Instant::now();
    drop(stage.lease().await);
    assert_eq!((began.elapsed(), stage.pool.status().draining), (secs(0), 10));
    // As many again as the cap: then they keep their places.
    for _ in 0..10 {
        streams.push(stage.lease().await);
        tokio::time::sleep(secs(1900)).await;
    }
    let last = stage.pool.acquire_within(&1, secs(1)).await.unwrap();
    assert_eq!((last.number, stage.script.counts().peak_open), (19, 20));
    drop(last);
    drop(streams);
    quiet().await;
    drop(stage.lease().await);
    stage.assert_balanced();
}

/// (Behaviour 97.)
#[tokio::test(start_paused = true)]
async fn a_connection_stops_draining_when_its_room_is_no_longer_needed() {
    let stage = sharing_with(100, |b| b.max_total(1).acquire_timeout(None));
    let (stays, goes) = (stage.lease().await, stage.lease().await);
    let mut starving = Box::pin(stage.pool.acquire(&2));
    assert!(poll(&mut starving).is_pending());
    tokio::time::sleep(ms(200)).await;
    drop(goes);
    assert_eq!((stage.pool.status().draining, stage.pool.try_acquire(&1).is_none()), (1, true));
    let here = stage.waiting();
    drop(starving);
    let (lent, status) = (here.await.unwrap(), stage.pool.status());
    assert_eq!((lent.number, status.draining), (0, 0));
    assert_eq!(stage.lease().await.number, 0);
    drop(lent);
    drop(stays);
    quiet().await;
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_while_draining_takes_no_leases_again() {
    let stage = sharing_with(100, |b| b.max_total(1).acquire_timeout(None));
    let (_stays, goes) = (stage.lease().await, stage.lease().await);
    let mut starving = Box::pin(stage.pool.acquire(&2));
    assert!(poll(&mut starving).is_pending());
    tokio::time::sleep(ms(200)).await;
    drop(goes);
    let here = stage.waiting();
    stage.script.kill_all();
    drop(starving);
    assert_eq!(here.await.unwrap().number, 1);
}

/// (Behaviour 97.)
#[tokio::test(start_paused = true)]
async fn a_connection_draining_for_a_lowered_cap_takes_leases_again_when_it_is_raised() {
    let stage = sharing(2, 2);
    let leases = stage.leases(3).await;
    let host = stage.pool.host(&1);
    host.set_max(1).unwrap();
    assert_eq!((host.status().draining, stage.pool.try_acquire(&1).is_none()), (1, true));
    host.set_max(2).unwrap();
    assert_eq!((host.status().draining, stage.lease().await.number), (0, 1));
    drop(leases);
    quiet().await;
    stage.assert_balanced();
}

/// (Behaviour 98.)
#[tokio::test(start_paused = true)]
async fn oldest_first_is_the_oldest_whether_it_is_idle_or_carries_leases() {
    let stage = sharing(2, 1);
    let (old, young) = (stage.lease().await, stage.lease().await);
    stage.room.store(10, Ordering::SeqCst);
    drop(old);
    quiet().await;
    assert_eq!((young.number, stage.lease().await.number), (1, 0), "the older one is idle");
}

#[tokio::test(start_paused = true)]
async fn a_lowered_cap_lets_the_newest_leave() {
    let stage = sharing(2, 2);
    let leases = stage.leases(3).await;
    assert_eq!(numbers(&leases), [0, 0, 1]);
    stage.pool.host(&1).set_max(1).unwrap();
    assert!(stage.pool.try_acquire(&1).is_none());
    drop(leases);
    quiet().await;
    assert_eq!((stage.gauges(), stage.lease().await.number), ([1, 0, 0, 0], 0));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_nothing_gets_the_place_of_one_whose_last_lease_ends() {
    let stage = sharing_with(1, |b| b.max_total(1));
    let lease = stage.lease().await;
    let mut starving = stage.pool.acquire(&2);
    assert!(poll(&mut starving).is_pending());
    let mut here = stage.waiting();
    // It has served its tenure.
    tokio::time::sleep(ms(100)).await;
    drop(lease);
    quiet().await;
    assert_eq!(now(&mut starving).number, 1);
    quiet().await;
    assert_eq!(now(&mut here).number, 2);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_every_lease_and_says_who_holds_them() {
    let stage = sharing(1, 10);
    let leases = stage.leases(2).await;
    let mut waiter_of_another_host = stage.pool.acquire(&2);
    assert!(poll(&mut waiter_of_another_host).is_pending());
    let report = stage.pool.close_within(secs(1)).await;
    assert!(!report.complete);
    assert_eq!(report.loans.len(), 2);
    assert!(report.loans[0].place.file().ends_with("sharing.rs"));
    assert!(matches!(waiter_of_another_host.await, Err(AcquireError::Closed)));
    let close = stage.pool.close();
    drop(leases);
    close.await;
    assert_eq!(stage.script.counts().live(), 0);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_a_dead_one_that_is_still_leased() {
    let stage = sharing(1, 10);
    let mut leases = stage.leases(2).await;
    Lease::discard(leases.pop().unwrap());
    let mut close = Box::pin(stage.pool.close());
    quiet().await;
    assert!(poll(&mut close).is_pending());
    drop(leases);
    close.await;
    assert_eq!(stage.script.counts().live(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_leaves_the_leases_alone() {
    let stage = sharing(1, 10);
    let leases = stage.leases(2).await;
    drop(stage.pool);
    assert!(leases[0].is_alive());
    drop(leases);
    quiet().await;
    assert_eq!(stage.script.counts().live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_reaches_everybody_when_only_leaving_connections_are_there() {
    let stage = sharing(2, 10);
    let lease = stage.lease().await;
    stage.pool.retire(&1);
    stage.script.always(Stage::Connect, Step::Error);
    let (first, second) = (stage.pool.acquire(&1), stage.pool.acquire(&1));
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(first, Err(AcquireError::Connect(_))));
    assert!(matches!(second, Err(AcquireError::Connect(_))));
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn each_borrower_has_a_clone_of_its_own() {
    let stage = sharing(1, 10);
    let (mut one, two) = (stage.lease().await, stage.lease().await);
    let other: &mut Arc<TestConnection> = &mut one;
    assert!(Arc::ptr_eq(other, &two));
    assert_eq!(Lease::key(&one), &1);
    let infos = (Lease::info(&one), Lease::info(&two));
    assert_eq!((infos.0.id, infos.0.uses, infos.1.uses), (infos.1.id, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_connection_made_elsewhere_is_shared_too() {
    let stage = sharing(1, 2);
    let made = Arc::new(stage.script.make(1));
    stage.pool.add(&1, made).unwrap();
    assert_eq!(numbers(&stage.leases(2).await), [0, 0]);
    let second = stage.pool.add(&1, Arc::new(stage.script.make(1)));
    assert!(matches!(second, Err(wharf::AddError::Full { .. })));
    drop(second);
    stage.pool.retain(|_, _, info| info.uses > 9);
    quiet().await;
    assert_eq!(stage.gauges(), [0; 4]);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_borrowers_come_and_go_and_everything_balances() {
    let stage = Arc::new(sharing_with(4, |b| {
        b.max_per_host(3).max_uses(50).heartbeat(Heartbeat::every(secs(1)))
    }));
    stage.script.always(Stage::Connect, Step::Slow(ms(5)));
    let tasks: Vec<_> = (0..1000)
        .map(|n: u64| {
            let stage = stage.clone();
            tokio::spawn(async move {
                sleep(ms(n % 97)).await;
                let host = u32::try_from(n % 3).unwrap();
                let acquire = stage.pool.acquire(&host);
                let Ok(lease) = tokio::time::timeout(ms(400 + n % 300), acquire).await else {
                    return;
                };
                let lease = lease.unwrap();
                sleep(ms(n % 11)).await;
                match n % 17 {
                    0 => {
                        lease.bury();
                        Lease::discard(lease);
                    }
                    1 => lease.kill(),
                    _ => {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    sleep(secs(1)).await;
    stage.assert_balanced();
    let peaks = stage.script.counts().peak_of;
    assert!(peaks.values().all(|&peak| peak <= 3), "{peaks:?}");
    stage.pool.close().await;
    assert_eq!(stage.script.counts().live(), 0);
}

/// (Behaviour 97.)
#[tokio::test(start_paused = true)]
async fn of_those_that_drained_for_a_lowered_cap_as_many_come_back_as_the_raised_one_allows() {
    let stage = sharing(3, 2);
    let mut leases = stage.leases(6).await;
    assert_eq!(numbers(&leases), [0, 0, 1, 1, 2, 2]);
    let host = stage.pool.host(&1);
    host.set_max(1).unwrap();
    assert_eq!(host.status().draining, 2);
    host.set_max(2).unwrap();
    assert_eq!(host.status().draining, 1);
    let waits = stage.waiting();
    drop(leases.remove(2));
    assert_eq!(waits.await.unwrap().number, 1);
    drop(leases);
    quiet().await;
    assert_eq!(stage.gauges(), [2, 0, 0, 0]);
    stage.assert_balanced();
}
