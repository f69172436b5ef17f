//! Proof of life: what the peer has said, and never what a borrower hands back. (Behaviours 118 to 120.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use wharf::test_util::SharedTestConnector;
use wharf::{
    Backoff, Connector, HealthCheck, Heartbeat, Pool, SharedConnector, SharedPool, async_trait,
    connector_fn,
};

use crate::sharing::sharing_with;
use crate::support::*;

/// The network between a pool and its server.
#[derive(Clone, Default)]
struct Network {
    /// What is sent over the connections that are open now is lost.
    lost: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
    /// Dials hang.
    hangs: Arc<AtomicBool>,
    /// Connections know when their peer was last heard.
    hears: bool,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Line {
    is_lost: Arc<AtomicBool>,
    heard: Arc<Mutex<Instant>>,
}

impl Line {
    /// A request, which the caller gives up after a second. Returns whether it was answered.
    async fn ask(&self) -> bool {
        timeout(secs(1), self.exchange()).await.is_ok()
    }

    async fn exchange(&self) {
        if self.is_lost.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        sleep(ms(10)).await;
        *self.heard.lock() = Instant::now();
    }
}

#[async_trait]
impl Connector for Network {
    type Key = ();
    type Connection = Line;
    type Error = std::io::Error;

    async fn connect(&self, (): &()) -> std::io::Result<Line> {
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        sleep(ms(10)).await;
        let is_lost = Arc::new(AtomicBool::new(false));
        self.lost.lock().push(is_lost.clone());
        Ok(Line { is_lost, heard: Arc::new(Mutex::new(Instant::now())) })
    }

    async fn ping(&self, line: &mut Line) -> std::io::Result<()> {
        line.exchange().await;
        Ok(())
    }

    fn notices_close(&self) -> bool {
        true
    }

    fn last_heard(&self, line: &Line) -> Option<Instant> {
        self.asked.fetch_add(1, SeqCst);
        self.hears.then(|| *line.heard.lock())
    }
}

impl SharedConnector for Network {
    fn max_leases(&self, _: &Line) -> usize {
        4
    }
}

impl Network {
    /// For two minutes nothing gets through. The connections of before stay lost for good.
    async fn is_parted(&self) {
        self.lost.lock().iter().for_each(|lost| lost.store(true, SeqCst));
        self.hangs.store(true, SeqCst);
        sleep(secs(120)).await;
        self.hangs.store(false, SeqCst);
    }
}

/// How the calls of the minute after a partition end: answered, and not. Twenty callers ask on and
/// on: each connection goes from one to the next.
async fn minute_after<F>(
    network: &Network,
    call: impl Fn() -> F + Clone + Send + 'static,
) -> (usize, usize)
where
    F: Future<Output = bool> + Send,
{
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let is_counted = Arc::new(AtomicBool::new(false));
    let callers = (0..20).map(|_| {
        let (call, counts, is_counted) = (call.clone(), counts.clone(), is_counted.clone());
        tokio::spawn(async move {
            loop {
                let counts_here = is_counted.load(SeqCst);
                let is_answered = call().await;
                if counts_here {
                    counts[usize::from(!is_answered)].fetch_add(1, SeqCst);
                }
                sleep(ms(50)).await;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    sleep(secs(5)).await;
    network.is_parted().await;
    is_counted.store(true, SeqCst);
    sleep(secs(60)).await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    (counts[0].load(SeqCst), counts[1].load(SeqCst))
}

/// Each caller may fail a few times until the first dial has succeeded.
fn assert_few_fail((answered, failed): (usize, usize), of: &str) {
    println!("{failed} failed, {answered} were answered: {of}");
    assert!(answered > 5_000 && failed <= 100, "{failed} failed, {answered} were answered: {of}");
}

async fn partition_of_a_pool(hears: bool, check: HealthCheck, beats: Option<Heartbeat>) {
    let network = Network { hears, ..Network::default() };
    let builder = Pool::builder().max_per_host(10).health_check(check).heartbeat(beats);
    let builder = builder.retry(Backoff::default()).acquire_timeout(secs(3));
    let pool = builder.build(network.clone()).unwrap();
    let call = move || {
        let pool = pool.clone();
        async move {
            match pool.acquire(&()).await {
                Ok(line) => line.ask().await,
                Err(_) => false,
            }
        }
    };
    assert_few_fail(minute_after(&network, call).await, &format!("{check:?}, {beats:?}, {hears}"));
}

async fn partition_of_a_shared_pool(hears: bool, check: HealthCheck, beats: Option<Heartbeat>) {
    let network = Network { hears, ..Network::default() };
    let builder = SharedPool::builder().max_per_host(3).health_check(check).heartbeat(beats);
    let builder = builder.retry(Backoff::default()).acquire_timeout(secs(3));
    let pool = builder.build(network.clone()).unwrap();
    let call = move || {
        let pool = pool.clone();
        async move {
            match pool.acquire(&()).await {
                Ok(line) => line.ask().await,
                Err(_) => false,
            }
        }
    };
    assert_few_fail(minute_after(&network, call).await, &format!("{check:?}, {beats:?}, {hears}"));
}

/// A heartbeat that the silent connection may miss once.
fn beats() -> Heartbeat {
    Heartbeat::every(secs(1)).timeout(secs(1)).max_missed(1)
}

#[tokio::test(start_paused = true)]
async fn a_return_proves_nothing_after_a_partition_with_idle_for() {
    for hears in [false, true] {
        partition_of_a_pool(hears, HealthCheck::IdleFor(secs(1)), None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_return_proves_nothing_after_a_partition_with_a_heartbeat() {
    for hears in [false, true] {
        partition_of_a_pool(hears, HealthCheck::AsNeeded, Some(beats())).await;
        partition_of_a_pool(hears, HealthCheck::AsNeeded, Some(Heartbeat::every(secs(1)))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_return_proves_nothing_after_a_partition_of_shared_connections() {
    for hears in [false, true] {
        partition_of_a_shared_pool(hears, HealthCheck::IdleFor(secs(1)), None).await;
        partition_of_a_shared_pool(hears, HealthCheck::Always, None).await;
        partition_of_a_shared_pool(hears, HealthCheck::AsNeeded, Some(beats())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_from_borrower_to_borrower_is_pinged_when_it_has_given_no_proof_for_three_intervals()
 {
    let beats = Heartbeat::every(secs(10));
    for (check, beats) in
        [(HealthCheck::IdleFor(secs(10)), None), (HealthCheck::Never, Some(beats))]
    {
        let (pool, connector) = pool(|b| b.max_per_host(1).health_check(check).heartbeat(beats));
        let mut loan = pool.acquire(&1).await.unwrap();
        for _ in 0..20 {
            let next = tokio::spawn(pool.acquire(&1));
            sleep(secs(4)).await;
            drop(loan);
            loan = next.await.unwrap().unwrap();
        }
        assert_eq!(connector.counts().pings, 2, "after 32 s, and after 64 s");
        assert_eq!(connector.counts().dials, 1);
    }
}

/// A pool whose connections know when their peer was heard.
fn hearing(check: HealthCheck, beats: Option<Heartbeat>) -> (TestPool, TestConnector) {
    let (pool, connector) = pool(|b| b.max_per_host(3).health_check(check).heartbeat(beats));
    connector.let_hear();
    (pool, connector)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_heard_lately_is_not_pinged_before_a_loan() {
    let (pool, connector) = hearing(HealthCheck::IdleFor(secs(10)), None);
    drop(pool.acquire(&1).await.unwrap());
    for _ in 0..20 {
        sleep(secs(7)).await;
        pool.acquire(&1).await.unwrap().hear();
    }
    assert_eq!((connector.counts().pings, pool.status().pings), (0, 0));
    sleep(secs(10)).await;
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!((connector.counts().pings, pool.status().pings), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_use_does_not_postpone_a_ping_where_it_is_known_that_nothing_was_heard() {
    let (pool, connector) = hearing(HealthCheck::IdleFor(secs(10)), None);
    for _ in 0..3 {
        drop(pool.acquire(&1).await.unwrap());
        sleep(secs(6)).await;
    }
    assert_eq!(connector.counts().pings, 1, "12 s after the dial");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_sent_in_each_third_interval_to_a_peer_that_was_heard_lately() {
    let (pool, connector) = hearing(HealthCheck::Never, Some(Heartbeat::every(secs(30))));
    for _ in 0..20 {
        pool.acquire(&1).await.unwrap().hear();
        sleep(secs(13)).await;
    }
    assert_eq!(connector.counts().pings, 2, "after 260 s");
    sleep(secs(91)).await;
    assert!((4..=5).contains(&connector.counts().pings), "{}", connector.counts().pings);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_was_heard_since_is_lent_and_one_that_was_heard_before_is_pinged() {
    for (is_heard, pings) in [(true, 0), (false, 1)] {
        let (pool, connector) = hearing(HealthCheck::IdleFor(secs(60)), None);
        let (dead, other) = (pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap());
        sleep(secs(1)).await;
        other.hear();
        sleep(secs(1)).await;
        wharf::PooledConnection::discard(dead);
        sleep(secs(1)).await;
        if is_heard {
            other.hear();
        }
        drop(other);
        assert!(pool.try_acquire(&1).is_none(), "it is suspect");
        drop(pool.acquire(&1).await.unwrap());
        assert_eq!(connector.counts().pings, pings);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_a_borrower_suspects_is_pinged_although_it_was_heard() {
    let (pool, connector) = hearing(HealthCheck::IdleFor(secs(60)), None);
    let loan = pool.acquire(&1).await.unwrap();
    wharf::PooledConnection::suspect(&loan);
    sleep(ms(1)).await;
    loan.hear();
    drop(loan);
    quiet().await;
    assert_eq!(connector.counts().pings, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_ping_settings_never_asks_when_the_peer_was_heard() {
    let network = Network { hears: true, ..Network::default() };
    let pool = Pool::new(network.clone());
    for _ in 0..20 {
        assert!(pool.acquire(&()).await.unwrap().ask().await);
        sleep(secs(7)).await;
    }
    assert_eq!(network.asked.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_loan_never_asks_when_the_peer_was_heard() {
    let network = Network { hears: true, ..Network::default() };
    let builder = Pool::builder().health_check(HealthCheck::IdleFor(secs(60)));
    let pool = builder.heartbeat(Heartbeat::every(secs(60))).build(network.clone()).unwrap();
    for _ in 0..50 {
        assert!(pool.acquire(&()).await.unwrap().ask().await);
    }
    assert_eq!(network.asked.load(SeqCst), 1, "when it was made");
}

#[tokio::test(start_paused = true)]
async fn a_death_that_a_connection_reports_makes_its_peers_suspect_and_a_polite_end_does_not() {
    for (fails, is_lent) in [(false, true), (true, false)] {
        let (pool, connector) = pool(|b| b.max_per_host(10));
        if fails {
            connector.let_death_be_failure();
        }
        pool.warm(&1, 10).await.unwrap();
        let loan = pool.acquire(&1).await.unwrap();
        loan.kill();
        drop(loan);
        assert_eq!(pool.try_acquire(&1).is_some(), is_lent, "fails: {fails}");
        connector.always(Stage::Ping, Step::Error);
        let next = pool.acquire(&1).await.unwrap();
        assert_eq!(next.number >= 10, fails, "{} where it fails: {fails}", next.number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_that_reports_its_death_makes_its_peers_suspect() {
    let stage = sharing_with(1, |b| b.max_per_host(3));
    stage.script.let_death_be_failure();
    let leases = stage.leases(3).await;
    leases[0].kill();
    drop(leases);
    assert!(stage.pool.try_acquire(&1).is_none());
    drop(stage.lease().await);
    assert_eq!(stage.script.counts().pings, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_overlooks_closes_is_pinged_before_each_loan_unless_the_builder_says_otherwise()
 {
    for (check, pings) in [
        (None, 3),
        (Some(HealthCheck::AsNeeded), 3),
        (Some(HealthCheck::Never), 0),
        (Some(HealthCheck::IdleFor(secs(5))), 0),
    ] {
        let connector = TestConnector::new();
        connector.let_closes_be_overlooked();
        let builder = Pool::builder();
        let builder = match check {
            Some(check) => builder.health_check(check),
            None => builder,
        };
        let pool = builder.build(connector.clone()).unwrap();
        for _ in 0..4 {
            drop(pool.acquire(&1).await.unwrap());
        }
        assert_eq!(connector.counts().pings, pings, "{check:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_notices_closes_is_not_pinged() {
    let connector = TestConnector::new();
    let pool = Pool::new(connector.clone());
    for _ in 0..4 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(connector.counts().pings, 0);
    assert!(pool.try_acquire(&1).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_shared_connector_that_overlooks_closes_is_pinged_before_the_first_lease_of_each() {
    let script = TestConnector::new();
    script.let_closes_be_overlooked();
    let pool = SharedPool::new(SharedTestConnector::new(script.clone(), 10));
    for _ in 0..4 {
        drop(pool.acquire(&1).await.unwrap());
    }
    assert_eq!(script.counts().pings, 3);
}

/// The shortest connector: it has neither a ping nor an `is_open`.
struct Shortest;

#[async_trait]
impl Connector for Shortest {
    type Key = u8;
    type Connection = ();
    type Error = std::convert::Infallible;

    async fn connect(&self, _: &u8) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl SharedConnector for Shortest {
    fn max_leases(&self, (): &()) -> usize {
        2
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_without_a_ping_is_never_pinged_and_try_acquire_works_for_it() {
    for check in [HealthCheck::AsNeeded, HealthCheck::Always, HealthCheck::IdleFor(secs(1))] {
        let beat = Heartbeat::every(secs(2));
        let pool = Pool::builder().health_check(check).heartbeat(beat).build(Shortest).unwrap();
        drop(pool.acquire(&1).await.unwrap());
        sleep(secs(10)).await;
        assert!(pool.try_acquire(&1).is_some(), "{check:?}");
        assert_eq!((pool.status().pings, pool.status().heartbeats), (0, 0));
    }
    let pool = SharedPool::new(Shortest);
    drop(pool.acquire(&1).await.unwrap());
    assert!(pool.try_acquire(&1).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_ping_goes_straight_from_one_borrower_to_the_next() {
    let pool = Pool::builder().max_per_host(1).build(Shortest).unwrap();
    let loan = pool.acquire(&1).await.unwrap();
    let mut next = pool.acquire(&1);
    assert!(poll(&mut next).is_pending());
    drop(loan);
    assert!(poll(&mut next).is_ready());
}

#[tokio::test(start_paused = true)]
async fn closures_are_pinged_before_each_loan_if_there_is_a_ping_and_no_is_open() {
    let connector = || connector_fn(|(): ()| async { Ok::<_, std::fmt::Error>(()) });
    let asked = Pool::new(connector().with_ping(|()| Box::pin(async { Ok(()) })));
    let ping = connector().with_ping(|()| Box::pin(async { Ok(()) }));
    let open = Pool::new(ping.with_is_open(|()| true));
    let bare = Pool::new(connector());
    drop((asked.acquire(&()).await.unwrap(), bare.acquire(&()).await.unwrap()));
    assert!(bare.try_acquire(&()).is_some());
    assert!(asked.try_acquire(&()).is_none());
    drop(asked.acquire(&()).await.unwrap());
    assert_eq!(asked.status().pings, 1);
    drop(open.acquire(&()).await.unwrap());
    drop(open.acquire(&()).await.unwrap());
    assert_eq!(open.status().pings, 0);
}
