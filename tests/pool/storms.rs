//! Behaviours 110 to 117: servers with more work than they do in time, full ones, and what hangs.
//!
//! The benchmark `fleet` plays the same scenes in full size.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wharf::{AcquireError, Backoff, Connector, Pool};

use crate::sharing::sharing_with;
use crate::support::*;

/// A server that takes one dial after another, also those that nobody waits for any more.
#[derive(Clone)]
struct Busy {
    dials: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

/// How many dials a busy server has taken, and how many of them for nobody.
#[derive(Default)]
struct Work {
    taken: usize,
    wasted: usize,
}

#[async_trait]
impl Connector for Busy {
    type Key = ();
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self, (): &()) -> io::Result<()> {
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::from(io::ErrorKind::ConnectionReset);
        self.dials.send(answer).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

/// Starts a server that needs this long for each dial, and works for a minute.
fn busy(each: Duration) -> (Busy, tokio::task::JoinHandle<Work>) {
    let (dials, mut queue) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let work = async move {
        let (mut work, end) = (Work::default(), Instant::now() + secs(60));
        while let Some(dial) = queue.recv().await.filter(|_| Instant::now() < end) {
            sleep(each).await;
            work.taken += 1;
            work.wasted += usize::from(dial.send(()).is_err());
        }
        work
    };
    (Busy { dials }, tokio::spawn(work))
}

/// How long it took until each pool of a fleet was served once, and the server's work in a minute.
async fn fleet(pools: usize, each: Duration, seed: u64) -> (Vec<Duration>, Work) {
    // Chance decides how much is wasted, the pool's and the callers': the same each time.
    wharf::test_util::seed_random(seed);
    fastrand::seed(seed);
    let (server, work) = busy(each);
    let began = Instant::now();
    let mut firsts = JoinSet::new();
    for _ in 0..pools {
        let pool = Pool::builder().build(server.clone()).unwrap();
        firsts.spawn(first_served(pool, began));
    }
    let served = firsts.join_all().await;
    (served.into_iter().flatten().collect(), work.await.unwrap())
}

/// Ten callers use the pool for a minute. Returns when the first of them was served.
async fn first_served(pool: Pool<Busy>, began: Instant) -> Option<Duration> {
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        callers.spawn(async move {
            let mut first = None;
            sleep(Duration::from_secs_f64(fastrand::f64())).await;
            while began.elapsed() < secs(60) {
                match pool.acquire(&()).await {
                    Ok(_loan) => {
                        first.get_or_insert(began.elapsed());
                        sleep(ms(500)).await;
                    }
                    Err(_) => sleep(ms(100)).await,
                }
            }
            first
        });
    }
    callers.join_all().await.into_iter().flatten().min()
}

#[tokio::test(start_paused = true)]
async fn behaviour_110_a_fleet_that_starts_together_is_served_and_one_dial_in_ten_is_wasted() {
    let (mut wasted, mut taken) = (0, 0);
    // The sum of several counts: one fleet in ten wastes twice as much, here the last one.
    for seed in 5..9 {
        let (served, work) = fleet(60, ms(100), seed).await;
        assert_eq!(served.len(), 60, "each pool is served within the minute");
        (wasted, taken) = (wasted + work.wasted, taken + work.taken);
    }
    assert!(wasted * 10 <= taken, "{wasted} of {taken} were wasted");
}

#[tokio::test(start_paused = true)]
async fn behaviour_111_a_large_fleet_is_served_within_twice_the_time_that_the_server_needs() {
    let (served, work) = fleet(200, ms(100), 111).await;
    assert_eq!(served.len(), 200, "each pool is served within the minute");
    let last = served.into_iter().max().unwrap();
    assert!(last <= secs(40), "200 dials take 20 s; the last pool was served after {last:?}");
    assert!(work.wasted * 2 <= work.taken, "{} of {} were wasted", work.wasted, work.taken);
}

/// How long it takes until the last of ten callers of a new host has a connection.
async fn new_host(dial: Duration) -> Duration {
    let (pool, connector) = pool_of(10);
    connector.always(Stage::Connect, Step::Slow(dial));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        callers.spawn(async move {
            let loan = pool.acquire(&1).await.unwrap();
            let took = began.elapsed();
            sleep(secs(20)).await;
            drop(loan);
            took
        });
    }
    callers.join_all().await.into_iter().max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn behaviour_112_a_quick_new_host_costs_all_but_the_first_caller_one_dial_time_more() {
    assert_eq!(new_host(ms(20)).await, ms(40));
    assert_eq!(new_host(ms(300)).await, ms(600));
}

/// A caller asks until it is served, while dials end this way for 30 s. Returns how long after that.
async fn served_after(trouble: Step) -> Duration {
    let (pool, connector) = pool_of(10);
    drop(pool.acquire(&1).await.unwrap());
    connector.always(Stage::Connect, trouble);
    pool.retire(&1);
    let back = Instant::now() + secs(30);
    let caller = async {
        loop {
            if pool.acquire_within(&1, secs(3)).await.is_ok() && Instant::now() > back {
                return Instant::now() - back;
            }
            sleep(ms(100)).await;
        }
    };
    let server = async {
        sleep(secs(30)).await;
        connector.behave();
    };
    let (after, ()) = tokio::join!(caller, server);
    after
}

#[tokio::test(start_paused = true)]
async fn behaviour_112_after_refusals_the_answer_comes_within_1_s_after_a_hang_within_the_backoff()
{
    assert!(served_after(Step::Error).await <= secs(1));
    assert!(served_after(Step::Never).await <= secs(5));
}

#[tokio::test(start_paused = true)]
async fn behaviour_113_a_full_server_fails_nobody_that_a_return_would_serve() {
    let (pool, connector) = pool_of(10);
    let both = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    connector.always(Stage::Connect, Step::Error);
    drop(both);
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        callers.spawn(async move {
            for _ in 0..20 {
                let _loan = pool.acquire(&1).await?;
                sleep(ms(500)).await;
            }
            Ok::<_, AcquireError<TestError>>(())
        });
    }
    for caller in callers.join_all().await {
        caller.expect("what returns serves it");
    }
    let refused = pool.status().failed_dials;
    assert!((1..30).contains(&refused), "asked for more {refused} times in 50 s");
}

#[tokio::test(start_paused = true)]
async fn behaviour_114_a_server_that_hung_is_used_again_within_that_time_once_more() {
    let (pool, connector) = pool_of(10);
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Never);
    let back = Instant::now() + secs(2);
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        callers.spawn(async move {
            let _loan = pool.acquire(&1).await.unwrap();
            Instant::now()
        });
    }
    sleep(secs(2)).await;
    connector.behave();
    let last = callers.join_all().await.into_iter().max().unwrap();
    assert!(last - back <= secs(2), "served {:?} after its end", last - back);
}

#[tokio::test(start_paused = true)]
async fn behaviour_115_a_host_whose_dials_hang_leaves_room_under_the_common_cap() {
    let (pool, connector) = pool(|b| b.max_total(10).max_per_host(10));
    connector.always_for(&1, Stage::Connect, Step::Never);
    let mut lost = JoinSet::new();
    for _ in 0..20 {
        let pool = pool.clone();
        lost.spawn(async move { while pool.acquire(&1).await.is_err() {} });
    }
    for second in 0..30 {
        let began = Instant::now();
        drop(timeout(ms(100), pool.acquire(&2)).await.expect("there is room").unwrap());
        assert!(began.elapsed() <= ms(10), "{:?} in second {second}", began.elapsed());
        pool.retire(&2);
        sleep(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn behaviour_116_a_caller_of_a_shared_host_that_hangs_is_told_after_one_time_out() {
    let stage = sharing_with(10, |b| b.max_per_host(20));
    stage.script.always(Stage::Connect, Step::Never);
    let began = Instant::now();
    let error = stage.pool.acquire(&1).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout { .. }), "{error}");
    assert_eq!(began.elapsed(), secs(10));
    assert!(stage.pool.status().dials <= 4, "{} dials", stage.pool.status().dials);
}

#[tokio::test(start_paused = true)]
async fn behaviour_117_a_goodbye_to_a_retired_host_holds_its_place_for_a_tenth_of_a_second() {
    let (pool, connector) = pool_of(2);
    let both = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    drop(both);
    connector.always(Stage::Close, Step::Never);
    pool.retire(&1);
    let began = Instant::now();
    let two = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    assert!(began.elapsed() <= ms(101), "{:?}", began.elapsed());
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn no_pause_outlasts_the_longest_backoff_for_whoever_waits() {
    let backoff = Backoff::default().max(secs(1));
    let (pool, connector) = pool(|b| b.max_per_host(50).retry(backoff));
    let _known = learn(&pool, 1).await;
    connector.always(Stage::Connect, Step::Never);
    let waiter = pool.clone();
    let waiting = tokio::spawn(async move { waiter.acquire_within(&1, secs(60)).await.is_ok() });
    sleep(secs(20)).await;
    let dials = pool.status().dials;
    // Each is slow after a second.
    assert!((19..=21).contains(&dials), "{dials} dials in 20 s");
    connector.behave();
    assert!(timeout(ms(1001), waiting).await.expect("within the backoff").unwrap());
}
