//! Shared connections in trouble: what does not answer, what leaves, who waits for it and who is not
//! patient. Each was found by a review.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};
use wharf::{
    Acquired, Connector, HealthCheck, Heartbeat, Lease, Observer, Returned, SharedConnector,
    SharedPool, Spread, async_trait,
};

use crate::sharing::*;
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_lease_given_back_by_a_cancelled_waiter_respects_the_new_room() {
    let stage = sharing(1, 2);
    let mut leases = stage.leases(2).await;
    let w1 = stage.waiting();
    let (mut w2, mut w3) = (stage.waiting(), stage.waiting());
    leases.pop(); // w1 has it in its hand
    stage.room.store(1, Ordering::SeqCst);
    leases.pop(); // told: one
    drop(w1);
    let first = now(&mut w2);
    assert!(poll(&mut w3).is_pending(), "two leases where one fits");
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_caller_does_not_pass_on_what_has_not_answered() {
    let stage = sharing_with(10, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    stage.script.always(Stage::Ping, Step::Never); // silently dead
    let (asking, mut other) = (stage.waiting(), stage.waiting());
    drop(asking);
    let got = tokio::time::timeout(secs(20), &mut other).await.expect("in time").unwrap();
    assert_eq!(got.number, 1, "nobody has answered for number 0");
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_get_past_a_silent_connection() {
    let stage = sharing_with(10, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    stage.script.always(Stage::Ping, Step::Never);
    let mut served = 0;
    for _ in 0..20 {
        if let Ok(lease) = tokio::time::timeout(secs(2), stage.pool.acquire(&1)).await {
            drop(lease.unwrap());
            served += 1;
        }
    }
    assert!(served > 0, "40 s, and nobody was served; dials {}", stage.script.counts().dials);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_a_borrower_suspects_is_avoided_and_replaced() {
    let stage = sharing_with(10, |b| b.max_per_host(2));
    let lease = stage.lease().await;
    stage.script.once(Stage::Ping, Step::Never); // silently dead
    Lease::suspect(&lease);
    let began = Instant::now();
    assert_eq!(stage.lease().await.number, 1, "another one is dialed");
    assert_eq!(began.elapsed().as_millis(), 250, "once the ping counts no more");
    sleep(secs(5)).await;
    assert_eq!(stage.script.counts().closes, 0, "its borrower still has it");
    drop(lease);
    quiet().await;
    assert_eq!(stage.script.counts().closes, 1);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn the_only_place_is_free_once_a_suspect_has_not_answered() {
    let stage = sharing(1, 10);
    let lease = stage.lease().await;
    stage.script.once(Stage::Ping, Step::Never);
    Lease::suspect(&lease);
    let began = Instant::now();
    assert_eq!(stage.lease().await.number, 1);
    assert_eq!(began.elapsed().as_secs(), 5, "the time that a ping may take");
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_answers_is_shared_as_before() {
    let stage = sharing(2, 10);
    let lease = stage.lease().await;
    Lease::suspect(&lease);
    assert!(stage.pool.try_acquire(&1).is_none(), "it has not answered yet");
    quiet().await;
    assert_eq!(numbers(&stage.leases(2).await), [0, 0]);
    drop(lease);
    quiet().await;
    assert_eq!(stage.script.counts().pings, 1);
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_keeps_nobody_waiting() {
    let stage = sharing_with(10, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    stage.script.always(Stage::Ping, Step::Never);
    let _stalled = stage.waiting(); // polled once, then its task is busy elsewhere
    let began = Instant::now();
    let lease = stage.pool.acquire(&1).await;
    assert!(lease.is_ok(), "after {:?}: {:?}", began.elapsed(), lease.err());
}

#[tokio::test(start_paused = true)]
async fn a_pinged_connection_counts_for_as_many_waiters_as_it_has_room_for() {
    let stage = sharing_with(1, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    let _gate = stage.script.gate(Stage::Ping);
    let (_first, _second) = (stage.waiting(), stage.waiting());
    assert_eq!(stage.pool.status().dialing, 1, "the pinged one has room for one only");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_leaves_nothing_to_fill_up() {
    let stage = sharing_with(10, |b| {
        b.max_per_host(5).min_idle_per_host(1).heartbeat(Heartbeat::default())
    });
    stage.pool.warm(&1, 1).await.unwrap();
    quiet().await;
    assert_eq!(stage.gauges()[0], 1);
    sleep(secs(35)).await;
    assert_eq!(stage.script.counts().dials, 1, "idle {}", stage.gauges()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_no_use() {
    let stage = sharing_with(1, |b| b.max_per_host(3).heartbeat(Heartbeat::default()));
    stage.pool.warm(&1, 3).await.unwrap();
    let gate = stage.script.gate(Stage::Ping);
    sleep(secs(31)).await;
    let lease = stage.lease().await;
    assert_eq!(stage.pool.status().in_use, 1);
    assert_eq!(stage.pool.status().peak_in_use, 1);
    gate.let_through(100);
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn steady_leases_do_not_starve_another_host() {
    let stage = sharing_with(100, |b| b.max_total(1));
    let mut lease = stage.lease().await;
    let other = stage.pool.clone();
    let waits = tokio::spawn(async move { other.acquire(&2).await.map(drop) });
    for _ in 0..400 {
        sleep(ms(100)).await;
        // One goes as the next one comes.
        match tokio::time::timeout(secs(1), stage.pool.acquire(&1)).await {
            Ok(next) => lease = next.unwrap(),
            Err(_) => break,
        }
    }
    drop(lease);
    waits.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_leaving_is_still_asked() {
    let stage = sharing_with(10, |b| {
        b.max_per_host(2)
            .max_lifetime(secs(60))
            .lifetime_jitter(0.0)
            .heartbeat(Heartbeat::default())
    });
    let lease = stage.lease().await;
    sleep(secs(300)).await;
    assert!(stage.script.counts().pings >= 9, "pings: {}", stage.script.counts().pings);
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_late_one_that_is_in_nobodys_way_is_waited_for() {
    let stage = sharing_with(10, |b| b.max_per_host(2).heartbeat(Heartbeat::default()));
    let lease = stage.lease().await;
    stage.script.always(Stage::Ping, Step::Slow(secs(15)));
    sleep(secs(41)).await;
    assert_eq!(stage.pool.status().missed_heartbeats, 1);
    stage.script.always(Stage::Connect, Step::Slow(secs(1)));
    let _two = (stage.waiting(), stage.waiting());
    quiet().await;
    assert_eq!(stage.pool.status().in_use, 1, "it is late, and in nobody's way");
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_hurried_caller_condemns_no_connection() {
    let stage = sharing_with(10, |b| b.max_per_host(1));
    let lease = stage.lease().await;
    let other = stage.lease().await;
    // Something else of the host died: make this one suspect.
    stage.pool.host(&1).set_max(2).unwrap();
    stage.pool.add(&1, Arc::new(stage.script.make(1))).unwrap();
    // fill the first so that the next lease is on the added one
    let mut fill = stage.leases(8).await;
    let added = stage.lease().await;
    assert_ne!(added.number, lease.number);
    Lease::discard(added);
    fill.clear();
    stage.script.always(Stage::Ping, Step::Slow(ms(50)));
    let hurried = stage.pool.acquire_within(&1, ms(5)).await;
    assert!(hurried.is_err());
    assert_eq!(
        stage.pool.status().closes.of(wharf::CloseReason::PingFailed),
        0,
        "it answers within 50 ms"
    );
    drop((lease, other));
}

#[tokio::test(start_paused = true)]
async fn close_idle_closes_what_was_being_asked() {
    let stage = sharing_with(2, |b| b.max_per_host(3).heartbeat(Heartbeat::default()));
    drop(stage.lease().await);
    stage.script.always(Stage::Ping, Step::Slow(secs(5)));
    sleep(secs(31)).await;
    assert_eq!(stage.gauges()[0], 1);
    stage.pool.close_idle();
    sleep(secs(10)).await;
    assert_eq!(stage.gauges()[0], 0, "every idle connection was to be closed");
}

#[tokio::test(start_paused = true)]
async fn a_silent_heartbeat_makes_room_for_another_host() {
    let (pool, connector) =
        pool(|b| b.max_total(1).heartbeat(Heartbeat::default()).idle_timeout(None));
    drop(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Ping, Step::Never);
    sleep(secs(31)).await;
    let began = Instant::now();
    let got = pool.acquire(&2).await;
    assert!(got.is_ok(), "after {:?}: {}", began.elapsed(), got.err().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_dead_one_is_closed_in_the_middle_of_its_ping() {
    let stage = sharing_with(2, |b| b.max_per_host(3).heartbeat(Heartbeat::default()));
    let lease = stage.lease().await;
    stage.script.always(Stage::Ping, Step::Never);
    sleep(secs(31)).await;
    Lease::discard(lease);
    sleep(secs(1)).await;
    assert_eq!(stage.script.counts().closes, 1, "it is dead and nobody has a lease");
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_takes_back_no_newer_one() {
    let stage = sharing_with(4, |b| {
        b.max_per_host(2)
            .spread(Spread::LeastLoaded)
            .heartbeat(Heartbeat::default().timeout(secs(60)))
            .connect_timeout(secs(60))
    });
    stage.pool.warm(&1, 2).await.unwrap();
    let a = stage.lease().await;
    let b = stage.lease().await;
    stage.script.always(Stage::Ping, Step::Slow(secs(20)));
    sleep(secs(31)).await; // both are asked
    Lease::discard(b); // a is suspect
    stage.script.always(Stage::Ping, Step::Ok);
    stage.script.always(Stage::Connect, Step::Never);
    let c = stage.lease().await; // pinged: proven
    assert_eq!(c.number, a.number);
    let pings = stage.script.counts().pings;
    sleep(secs(25)).await; // the old beat is answered
    drop(c);
    let d = stage.lease().await;
    assert_eq!(d.number, a.number);
    assert_eq!(stage.script.counts().pings, pings, "it was proven after the doubt");
}

/// Clones count themselves, and take long to drop.
struct Slow(Arc<AtomicUsize>);
impl Clone for Slow {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Slow(self.0.clone())
    }
}
impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(ms(50));
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
struct Slowly(Arc<AtomicUsize>, Arc<AtomicUsize>);
#[async_trait]
impl Connector for Slowly {
    type Key = u32;
    type Connection = Slow;
    type Error = TestError;
    async fn connect(&self, _: &u32) -> Result<Slow, TestError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Slow(self.0.clone()))
    }
    async fn close(&self, conn: Slow) {
        self.1.store(conn.0.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}
impl SharedConnector for Slowly {
    fn max_leases(&self, _: &Slow) -> usize {
        10
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_closed_after_the_last_clone_has_gone() {
    let (clones, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let pool = SharedPool::new(Slowly(clones.clone(), seen.clone()));
    let lease = pool.acquire(&1).await.unwrap();
    Lease::discard(lease);
    pool.close().await;
    assert_eq!(seen.load(Ordering::SeqCst), 1, "clones that lived when it was closed");
}

#[tokio::test(start_paused = true)]
async fn waiters_here_do_not_starve_a_host_that_waits_for_longer() {
    let stage = Arc::new(sharing_with(2, |b| b.max_total(1)));
    let leases = stage.leases(2).await;
    let other = stage.pool.clone();
    let waits = tokio::spawn(async move { other.acquire(&2).await.map(drop) });
    quiet().await;
    for n in 0..4u64 {
        let stage = stage.clone();
        tokio::spawn(async move {
            sleep(ms(n * 30)).await;
            loop {
                let lease = stage.lease().await;
                sleep(ms(100)).await;
                drop(lease);
            }
        });
    }
    sleep(secs(1)).await;
    drop(leases);
    waits.await.unwrap().unwrap();
}

#[derive(Clone, Default)]
struct Heard {
    acquired: Arc<AtomicUsize>,
    returned: Arc<AtomicUsize>,
}

impl Observer for Heard {
    fn acquired(&self, _: &Acquired<'_>) {
        self.acquired.fetch_add(1, Ordering::SeqCst);
    }
    fn returned(&self, _: &Returned<'_>) {
        self.returned.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_acquired_is_returned() {
    let heard = Heard::default();
    let stage = sharing_with(10, |b| b.max_per_host(1).observer(heard.clone()));
    let leases = stage.leases(3).await;
    stage.script.kill_all();
    drop(leases);
    Lease::discard(stage.lease().await);
    quiet().await;
    let counts = [&heard.acquired, &heard.returned].map(|n| n.load(Ordering::SeqCst));
    assert_eq!(counts, [4, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_draining_connection_that_answers_no_ping_is_given_up() {
    let stage = sharing_with(10, |b| b.max_per_host(1).heartbeat(Heartbeat::default()));
    let lease = stage.lease().await;
    stage.pool.retire(&1);
    stage.script.kill_all();
    stage.script.always(Stage::Ping, Step::Never);
    let got = stage.pool.acquire_within(&1, secs(600)).await;
    assert!(got.is_ok(), "{}", got.err().unwrap());
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn a_connection_kept_past_its_idle_timeout_for_the_minimum_is_lent() {
    let stage = sharing_with(1, |b| {
        b.max_per_host(2)
            .min_idle_per_host(2)
            .idle_timeout(secs(15))
            .reuse(wharf::Reuse::LeastRecent)
            .heartbeat(wharf::Heartbeat::every(secs(10)))
    });
    let mut leases = stage.leases(2).await;
    leases.pop();
    sleep(secs(10)).await;
    leases.pop();
    sleep(secs(8)).await; // the first is idle for 18 s, and the second for 8 s
    let asked = Instant::now();
    drop(stage.lease().await);
    assert_eq!((asked.elapsed().as_secs(), stage.script.counts().dials), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_room_told_when_a_cancelled_waiter_gives_back_its_lease_is_believed() {
    let stage = sharing(1, 2);
    let mut leases = stage.leases(2).await;
    let (first, mut second, mut third) = (stage.waiting(), stage.waiting(), stage.waiting());
    leases.pop(); // the first has it in its hand
    stage.room.store(1, Ordering::SeqCst);
    drop(first); // told: one
    assert!(poll(&mut second).is_pending(), "two leases where one fits");
    stage.room.store(3, Ordering::SeqCst);
    leases.pop(); // told: three
    drop((now(&mut second), now(&mut third)));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn the_room_told_when_a_ping_is_answered_is_believed() {
    let stage = sharing_with(1, |b| b.max_per_host(1).health_check(HealthCheck::Always));
    drop(stage.lease().await);
    stage.room.store(2, Ordering::SeqCst);
    let (mut first, mut second) = (stage.waiting(), stage.waiting());
    quiet().await;
    assert_eq!(stage.gauges(), [0, 1, 2, 0], "it has told that two fit");
    drop((now(&mut first), now(&mut second)));
    stage.assert_balanced();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_on_to_a_waiter_was_idle_for_no_time() {
    let stage = sharing(1, 1);
    let lease = stage.lease().await;
    let mut waiter = stage.waiting();
    sleep(secs(5)).await;
    drop(lease);
    assert_eq!(Lease::info(&now(&mut waiter)).idle_for, secs(0), "it was in use");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_retain_inspected_must_still_answer_its_ping() {
    let stage = sharing_with(1, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    drop(stage.leases(2).await);
    let _gate = stage.script.gate(Stage::Ping);
    let mut waiter = stage.waiting(); // one of them is asked for it
    stage.pool.retain(|_, _, _| true);
    assert!(poll(&mut waiter).is_pending(), "the other one has not answered");
}

#[tokio::test(start_paused = true)]
async fn a_connection_kept_past_its_idle_timeout_is_checked_before_it_is_lent() {
    let stage = sharing_with(1, |b| b.max_per_host(1).min_idle_per_host(1).idle_timeout(secs(15)));
    drop(stage.lease().await); // it had to wait: the next one queues without a look
    sleep(secs(16)).await;
    stage.script.kill_all();
    assert!(stage.lease().await.is_alive(), "it was not asked whether it is open");
}

#[tokio::test(start_paused = true)]
async fn no_more_connections_leave_than_are_wanted_to_make_room() {
    let stage = sharing_with(1, |b| b.max_total(3));
    let leases = stage.leases(3).await;
    let other = stage.pool.clone();
    let waits = tokio::spawn(async move { other.acquire(&2).await });
    quiet().await;
    drop(leases);
    quiet().await;
    let _lease = waits.await.unwrap().unwrap();
    assert_eq!((stage.script.counts().dials, stage.script.counts().closes), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn an_idle_one_is_asked_before_a_failed_dial_is_told() {
    let stage = sharing_with(1, |b| b.max_per_host(2).health_check(HealthCheck::Always));
    let lease = stage.lease().await;
    let gate = stage.script.gate(Stage::Connect);
    let caller = stage.waiting();
    quiet().await;
    drop(lease);
    drop(caller); // number 0 is idle, and the dial is under way
    let waiter = stage.waiting();
    gate.fail();
    assert_eq!(waiter.await.unwrap().number, 0);
}
