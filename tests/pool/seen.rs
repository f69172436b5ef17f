//! What can be seen of a pool: events, loans, warnings, accounts.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tokio::time::sleep;
use tracing::Level;
use tracing::instrument::WithSubscriber;
use wharf::{
    Acquired, CloseReason, Closed, DialDone, DialFailed, HealthCheck, Heartbeat, HeartbeatMissed,
    Observer, PingFailed, PooledConnection, Returned, TimedOut,
};

use crate::log::Log;
use crate::support::*;

// Where an id is named the pool has a cap across hosts, so that its connections count up from 1.

/// Writes down each event as a line.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// What was noted since it was last asked.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Diary {
    fn host_appeared(&self, host: &dyn Debug) {
        self.note(format!("{host:?} appeared"));
    }
    fn host_forgotten(&self, host: &dyn Debug) {
        self.note(format!("{host:?} forgotten"));
    }
    fn dial_began(&self, host: &dyn Debug) {
        self.note(format!("{host:?} dial began"));
    }
    fn dial_done(&self, event: &DialDone<'_>) {
        self.note(format!("{:?} dial done in {:?}", event.host, event.took));
    }
    fn dial_failed(&self, event: &DialFailed<'_>) {
        self.note(format!("{:?} dial failed in {:?}: {}", event.host, event.took, event.error));
    }
    fn acquired(&self, event: &Acquired<'_>) {
        let Acquired { host, id, waited, reused, .. } = event;
        self.note(format!("{host:?} acquired {id} after {waited:?}, reused {reused}"));
    }
    fn timed_out(&self, event: &TimedOut<'_>) {
        self.note(format!("{:?} timed out after {:?}", event.host, event.waited));
    }
    fn returned(&self, event: &Returned<'_>) {
        self.note(format!("{:?} returned {} after {:?}", event.host, event.id, event.held));
    }
    fn ping_failed(&self, event: &PingFailed<'_>) {
        self.note(format!("{:?} ping of {} failed", event.host, event.id));
    }
    fn heartbeat_missed(&self, event: &HeartbeatMissed<'_>) {
        self.note(format!("{:?} {} missed {}", event.host, event.id, event.missed));
    }
    fn closed(&self, event: &Closed<'_>) {
        self.note(format!("{:?} closed {}: {}", event.host, event.id, event.reason.label()));
    }
    fn pool_closed(&self) {
        self.note("closed".to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_a_connections_life() {
    let diary = Diary::default();
    let (pool, connector) = pool(|b| b.max_total(10).observer(diary.clone()));
    connector.always(Stage::Connect, Step::Slow(ms(20)));
    let loan = pool.acquire(&7).await.unwrap();
    assert_eq!(
        diary.take(),
        [
            "7 appeared",
            "7 dial began",
            "7 dial done in 20ms",
            "7 acquired 1 after 20ms, reused false"
        ]
    );
    sleep(ms(5)).await;
    drop(loan);
    drop(pool.acquire(&7).await.unwrap());
    assert_eq!(
        diary.take(),
        ["7 returned 1 after 5ms", "7 acquired 1 after 0ns, reused true", "7 returned 1 after 0ns"]
    );
    PooledConnection::discard(pool.try_acquire(&7).unwrap());
    quiet().await;
    assert_eq!(
        diary.take(),
        [
            "7 acquired 1 after 0ns, reused true",
            "7 returned 1 after 0ns",
            "7 closed 1: discarded",
            "7 forgotten"
        ]
    );
    drop(PooledConnection::detach(pool.acquire(&7).await.unwrap()));
    assert_eq!(diary.take()[4..], ["7 closed 2: detached", "7 forgotten"]);
    drop(pool.close());
    assert_eq!(diary.take(), ["closed"]);
}

/// (Behaviour 127.)
#[tokio::test(start_paused = true)]
async fn a_pool_is_told_to_be_closed_after_all_its_connections_and_hosts() {
    let diary = Diary::default();
    let (pool, connector) = pool(|b| b.max_total(10).observer(diary.clone()));
    let late = pool.acquire(&1).await.unwrap();
    let detached = pool.acquire(&1).await.unwrap();
    for host in [1, 2, 3] {
        drop(pool.acquire(&host).await.unwrap());
    }
    connector.always(Stage::Connect, Step::Never);
    let _waits = waiting(&pool, 4);
    let _handle = pool.host(&5);
    quiet().await;
    diary.take();
    drop(pool.close());
    pool.close_within(secs(1)).await;
    let told = diary.take();
    assert_eq!(told.iter().filter(|line| line.contains("closed")).count(), 3, "{told:?}");
    assert!(!told.contains(&"closed".to_owned()), "loans are out: {told:?}");
    drop(PooledConnection::detach(detached));
    assert_eq!(diary.take(), ["1 closed 2: detached"]);
    drop(late);
    pool.close().await;
    let told = diary.take();
    assert_eq!(told[1..], ["1 closed 1: pool_closed", "1 forgotten", "closed"]);
    pool.close().await;
    drop(pool.host(&6));
    assert_eq!(diary.take(), [""; 0], "once, and nothing after it");
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_last_connection_is_detached_is_told_to_be_closed_after_that() {
    let diary = Diary::default();
    let (pool, _) = pool(|b| b.max_total(10).observer(diary.clone()));
    let loan = pool.acquire(&1).await.unwrap();
    drop(pool.close());
    diary.take();
    drop(PooledConnection::detach(loan));
    assert_eq!(diary.take(), ["1 closed 1: detached", "1 forgotten", "closed"]);
    pool.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_has_nothing_open_is_told_to_be_closed_at_once_and_once() {
    let diary = Diary::default();
    let (pool, _) = pool(|b| b.observer(diary.clone()));
    let _handle = pool.host(&1);
    drop(pool.close());
    drop(pool.close());
    assert_eq!(diary.take(), ["1 appeared", "1 forgotten", "closed"]);
    assert_eq!(pool.status().hosts, 0);
}

/// The last events of pools that end while threads acquire, return and close.
#[test]
fn a_pool_that_ends_under_way_tells_of_its_end_last() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    for round in 0..300_u64 {
        let diary = Diary::default();
        let (pool, _) = pool(|b| b.max_per_host(2).observer(diary.clone()));
        runtime.block_on(async {
            let callers: Vec<_> = (0..8)
                .map(|n| {
                    let pool = pool.clone();
                    tokio::spawn(async move {
                        while pool.acquire(&(n % 3)).await.is_ok() {
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            tokio::time::sleep(std::time::Duration::from_micros(round)).await;
            let other = tokio::spawn(pool.close());
            pool.close().await;
            assert_eq!(diary.take().last().unwrap(), "closed", "in round {round}");
            other.await.unwrap();
            for caller in callers {
                caller.await.unwrap();
            }
        });
        assert_eq!(diary.take(), [""; 0], "after that, in round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_trouble() {
    let diary = Diary::default();
    let (pool, connector) = pool(|b| {
        b.max_per_host(1)
            .max_total(10)
            .observer(diary.clone())
            .health_check(HealthCheck::IdleFor(secs(5)))
            .heartbeat(Heartbeat::every(secs(30)).max_missed(1))
            .connect_timeout(ms(50))
    });
    connector.once(Stage::Connect, Step::Error);
    assert!(pool.acquire(&1).await.is_err());
    connector.once(Stage::Connect, Step::Never);
    assert!(pool.acquire(&1).await.is_err());
    connector.once(Stage::Connect, Step::Panic);
    assert!(pool.acquire(&1).await.is_err());
    let failed: Vec<_> = diary.take().into_iter().filter(|l| l.contains("failed")).collect();
    assert_eq!(
        failed,
        [
            "1 dial failed in 0ns: told to fail",
            "1 dial failed in 50ms: the dial took longer than connect_timeout (50 ms)",
            "1 dial failed in 0ns: the connector panicked while dialing"
        ]
    );
    let loan = pool.acquire(&1).await.unwrap();
    assert!(pool.acquire_within(&1, ms(30)).await.is_err());
    assert_eq!(diary.take().last().unwrap(), "1 timed out after 30ms");
    drop(loan);
    sleep(secs(6)).await;
    connector.once(Stage::Ping, Step::Error);
    let loan = pool.acquire(&1).await.unwrap();
    let noted = diary.take();
    assert_eq!(noted[1..3], ["1 ping of 1 failed", "1 closed 1: ping_failed"]);
    drop(loan);
    diary.take();
    connector.once(Stage::Ping, Step::Error);
    sleep(secs(31)).await;
    assert_eq!(diary.take()[..2], ["1 2 missed 1", "1 closed 2: heartbeat_missed"]);
}

#[tokio::test(start_paused = true)]
async fn each_close_has_its_reason_and_its_count() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(3)
            .max_idle_per_host(2)
            .idle_timeout(secs(60))
            .max_lifetime(secs(100))
            .lifetime_jitter(0.0)
            .max_uses(5)
    });
    let lent = async |n: usize| {
        let mut loans = Vec::new();
        for _ in 0..n {
            loans.push(pool.acquire(&1).await.unwrap());
        }
        loans
    };
    drop(lent(3).await);
    pool.retain(|_, _, _| false);
    drop(lent(2).await);
    pool.close_idle();
    drop(lent(1).await);
    pool.retire(&1);
    drop(lent(1).await);
    sleep(secs(61)).await;
    let old = lent(1).await;
    sleep(secs(100)).await;
    drop(old);
    for _ in 0..5 {
        drop(lent(1).await);
    }
    let dead = lent(1).await;
    connector.kill_all();
    drop(dead);
    let over = lent(2).await;
    pool.host(&1).set_max(1).unwrap();
    drop(over);
    pool.close().await;
    let closes = pool.status().closes;
    let counted = [
        (CloseReason::OverIdleLimit, 1),
        (CloseReason::NotRetained, 2),
        (CloseReason::Asked, 2),
        (CloseReason::Retired, 1),
        (CloseReason::Idle, 1),
        (CloseReason::Age, 1),
        (CloseReason::Uses, 1),
        (CloseReason::NotOpen, 1),
        (CloseReason::OverCap, 1),
        (CloseReason::PoolClosed, 1),
    ];
    for (reason, count) in counted {
        assert_eq!(closes.of(reason), count, "{reason:?} in {closes:?}");
    }
    assert_eq!(closes.total(), 12);
    assert_eq!(pool.status().closed, 12);
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_observer_goes_nowhere() {
    struct Panics;
    impl Observer for Panics {
        fn dial_began(&self, _: &dyn Debug) {
            panic!("told to panic");
        }
        fn acquired(&self, _: &Acquired<'_>) {
            panic!("told to panic");
        }
        fn returned(&self, _: &Returned<'_>) {
            panic!("told to panic");
        }
        fn closed(&self, _: &Closed<'_>) {
            panic!("told to panic");
        }
        fn pool_closed(&self) {
            panic!("told to panic");
        }
    }
    let (pool, connector) = pool(|b| b.observer(Panics));
    for _ in 0..3 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!((pool.status().idle, connector.counts().dials), (1, 1));
    pool.close().await;
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_use_the_pool() {
    #[derive(Default)]
    struct Looks(Mutex<Option<TestPool>>, Mutex<usize>);
    impl Looks {
        fn look(&self) {
            if let Some(pool) = &*self.0.lock().unwrap() {
                *self.1.lock().unwrap() += pool.status().hosts;
            }
        }
    }
    #[derive(Clone)]
    struct Shared(Arc<Looks>);
    impl Observer for Shared {
        fn dial_began(&self, _: &dyn Debug) {
            self.0.look();
        }
        fn returned(&self, _: &Returned<'_>) {
            self.0.look();
        }
    }
    let looks = Shared(Arc::default());
    let (pool, _) = pool(|b| b.observer(looks.clone()));
    *looks.0.0.lock().unwrap() = Some(pool.clone());
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(*looks.0.1.lock().unwrap(), 2);
    *looks.0.0.lock().unwrap() = None;
}

#[tokio::test(start_paused = true)]
async fn status_counts_how_every_wait_ended() {
    let (pool, connector) = pool(|b| b.max_per_host(1).max_waiters_per_host(2));
    let loan = pool.acquire(&1).await.unwrap();
    let (gone, mut served) = (waiting(&pool, 1), waiting(&pool, 1));
    assert!(pool.acquire(&1).await.is_err());
    sleep(ms(10)).await;
    drop(gone);
    sleep(ms(10)).await;
    drop(loan);
    let loan = ready(&mut served);
    assert!(pool.acquire_within(&1, ms(100)).await.is_err());
    connector.once(Stage::Connect, Step::Error);
    assert!(pool.acquire(&2).await.is_err());
    let mut shut_out = waiting(&pool, 1);
    drop(pool.close());
    assert!(poll(&mut shut_out).is_ready());
    let status = pool.status();
    let ends = [status.cancelled, status.timed_out, status.failed, status.shut_out, status.refused];
    assert_eq!(ends, [1; 5]);
    assert_eq!((status.acquired, status.waited, status.at_once), (2, 6, 0));
    assert_eq!(status.wait_time, ms(10 + 20 + 100));
    assert_eq!((status.peak_in_use, status.peak_waiting), (1, 2), "the other host is forgotten");
    drop(loan);
}

#[tokio::test(start_paused = true)]
async fn loans_are_listed_with_their_places_the_longest_held_first() {
    let (pool, _) = pool(|b| b.max_total(3));
    let host = pool.host(&1);
    let first = host.acquire().await.unwrap();
    let line = line!() - 1;
    sleep(secs(2)).await;
    let second = pool.acquire(&1).await.unwrap();
    sleep(secs(1)).await;
    let loans = host.loans();
    let told: Vec<_> = loans.iter().map(|loan| (loan.id, loan.held)).collect();
    assert_eq!(told, [(1, secs(3)), (2, secs(1))]);
    assert_eq!((loans[0].place.line(), loans[1].place.line()), (line, line + 3));
    assert!(loans[0].place.file().ends_with("seen.rs"));
    drop(first);
    assert_eq!(pool.loans().len(), 1);
    drop(second);
    assert!(host.loans().is_empty() && pool.loans().is_empty());
}

#[test]
fn a_loan_that_is_held_for_long_is_told_of_once_and_again_when_it_comes_back() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (pool, _) = pool(|b| b.max_total(10).leak_after(secs(60)).idle_timeout(None));
        for _ in 0..20 {
            let loan = pool.acquire(&1).await.unwrap();
            sleep(secs(59)).await;
            drop(loan);
        }
        assert_eq!(log.take(), [""; 0], "none was held for long");
        let leak = pool.acquire(&1).await.unwrap();
        let line = line!() - 1;
        sleep(secs(200)).await;
        let told = log.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("connection held too long key=1 id=1 held=60"), "{told:?}");
        assert!(told[0].contains(&format!("seen.rs:{line}")), "{told:?}");
        drop(leak);
        let told = log.take();
        assert!(
            told.len() == 1 && told[0].contains("connection returned key=1 id=1 held=200s"),
            "{told:?}"
        );
        drop(pool.acquire(&1).await.unwrap());
        assert_eq!(log.take(), [""; 0]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_slow_acquire_tells_where_its_time_went() {
    let log = Log::default();
    async {
        let (pool, connector) =
            pool(|b| b.max_per_host(1).slow_acquire(secs(1)).health_check(HealthCheck::Always));
        connector.once(Stage::Connect, Step::Slow(ms(900)));
        let loan = pool.acquire(&1).await.unwrap();
        assert_eq!(log.take(), [""; 0]);
        let mut waiter = waiting(&pool, 1);
        sleep(secs(2)).await;
        PooledConnection::discard(loan);
        connector.once(Stage::Connect, Step::Slow(ms(500)));
        let loan = (&mut waiter).await.unwrap();
        let told = log.take();
        assert!(told[0].contains("queueing=2s dialing=500ms pinging=0ns"), "{told:?}");
        drop(loan);
        connector.once(Stage::Ping, Step::Slow(secs(3)));
        drop(pool.acquire(&1).await.unwrap());
        let told = log.take();
        assert!(told[0].contains("queueing=0ns dialing=0ns pinging=3s"), "{told:?}");
        assert!(told[0].contains("seen.rs"), "{told:?}");
    }
    .with_subscriber(log.subscriber(Level::WARN))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_and_goes_has_the_peak_of_once() {
    let (pool, connector) = pool_of(2);
    for _ in 0..100 {
        let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
        let waits = waiting(&pool, 1);
        drop(waits);
        loans.into_iter().for_each(PooledConnection::discard);
        quiet().await;
        assert_eq!(pool.status().hosts, 0);
    }
    let status = pool.status();
    assert_eq!((status.acquired, status.peak_in_use, status.peak_waiting), (200, 2, 1));
    assert_balanced(&pool, &connector);
}
