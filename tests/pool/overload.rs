//! Who is answered when more ask than can be served. Users arrive at fixed intervals, wait for a second,
//! and try twice more; ten connections serve a thousand uses a second. The figures are shares of users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering as Memory};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wharf::{Order, Pool, connector_fn};

use tracing::Level;

use crate::log::Log;

const SECOND: Duration = Duration::from_secs(1);
const USE: Duration = Duration::from_millis(10);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A pool of closures has no type that can be written.
macro_rules! pool {
    ($connections:expr, $order:expr) => {
        Pool::builder()
            .max_per_host($connections)
            .order($order)
            .build(connector_fn(|()| async { Ok::<_, std::io::Error>(()) }))
            .unwrap()
    };
}

/// How a user asks.
#[derive(Clone, Copy)]
struct User {
    patience: Duration,
    retries: u32,
    /// The use goes on when its user has left, as a server's work does.
    leaves_work: bool,
    /// The time limit is told to the pool.
    tells: bool,
}

const USER: User = User { patience: SECOND, retries: 2, leaves_work: true, tells: false };

/// The users that arrive in one period, and those who were answered.
#[derive(Default)]
struct Count {
    all: AtomicU32,
    answered: AtomicU32,
}

impl Count {
    fn percent(&self) -> u32 {
        let [all, answered] = [&self.all, &self.answered].map(|count| count.load(Memory::Relaxed));
        (answered * 100).div_ceil(all.max(1))
    }
}

/// Users arrive with these gaps, in periods one after the other. Returns how many percent of each are
/// answered.
async fn arrivals(order: Order, user: User, periods: &[(Duration, Duration)]) -> Vec<u32> {
    let pool = pool!(10, order);
    let mut counts = Vec::new();
    let mut users = JoinSet::new();
    let mut next = Instant::now();
    for (gap, length) in periods {
        let count = Arc::new(Count::default());
        counts.push(count.clone());
        let end = next + *length;
        while next < end {
            sleep_until(next).await;
            next += *gap;
            let (pool, count) = (pool.clone(), count.clone());
            users.spawn(async move {
                count.all.fetch_add(1, Memory::Relaxed);
                for attempt in 0..=user.retries {
                    sleep(100 * MILLISECOND * attempt).await;
                    let pool = pool.clone();
                    let asked = timeout(user.patience, async move {
                        let acquire = pool.acquire(&());
                        let acquired = if user.tells {
                            acquire.at_most(user.patience).await
                        } else {
                            acquire.await
                        };
                        let Ok(connection) = acquired else { return false };
                        let usage = async move {
                            sleep(USE).await;
                            drop(connection);
                        };
                        if user.leaves_work {
                            tokio::spawn(usage).await.unwrap();
                        } else {
                            usage.await;
                        }
                        true
                    });
                    if asked.await == Ok(true) {
                        count.answered.fetch_add(1, Memory::Relaxed);
                        return;
                    }
                }
            });
        }
    }
    while users.join_next().await.is_some() {}
    counts.iter().map(|count| count.percent()).collect()
}

/// A load in percent of what can be served.
fn load(percent: u32, seconds: u32) -> (Duration, Duration) {
    (MILLISECOND * 100 / percent, SECOND * seconds)
}

#[tokio::test(start_paused = true)]
async fn more_than_can_be_served_are_served_as_far_as_that_is_possible() {
    // No more than 100 / load can be answered, and some of the last after the others have gone.
    for (percent, least, most) in [(100, 99, 100), (130, 70, 80), (200, 44, 55)] {
        let periods = [load(percent, 5), load(percent, 20)];
        let answered = arrivals(Order::Adaptive, USER, &periods).await[1];
        assert!((least..=most).contains(&answered), "load {percent} %: {answered} % are answered");
    }
}

#[tokio::test(start_paused = true)]
async fn strict_order_answers_nobody_under_overload() {
    let answered = arrivals(Order::Fifo, USER, &[load(130, 5), load(130, 20)]).await[1];
    assert!(answered <= 5, "{answered} %");
}

#[tokio::test(start_paused = true)]
async fn all_are_answered_soon_after_a_burst() {
    let periods = [load(60, 5), load(200, 10), load(60, 3), load(60, 20)];
    let answered = arrivals(Order::Adaptive, USER, &periods).await;
    assert_eq!([answered[0], answered[3]], [100, 100], "{answered:?}");
    // Strict order does not recover: the retries alone are more than can be served.
    let answered = arrivals(Order::Fifo, USER, &periods).await;
    assert!(answered[3] <= 10, "{answered:?}");
}

#[tokio::test(start_paused = true)]
async fn users_whose_leaving_frees_their_connection_are_served_where_their_limit_is_told() {
    let user = User { leaves_work: false, tells: true, ..USER };
    let answered = arrivals(Order::Deadlines, user, &[load(130, 5), load(130, 20)]).await[1];
    assert!(answered >= 70, "{answered} %");
}

/// Callers that ask again as soon as they are served, each ten times. Returns how many uses failed.
async fn closed_loop(order: Order, callers: u32, connections: usize, limit: Duration) -> u32 {
    let pool = pool!(connections, order);
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut failed = 0;
            for _ in 0..10 {
                match pool.acquire(&()).at_most(limit).await {
                    Ok(_connection) => sleep(USE).await,
                    Err(_) => failed += 1,
                }
            }
            failed
        });
    }
    tasks.join_all().await.into_iter().sum()
}

#[tokio::test(start_paused = true)]
async fn closed_loops_lose_nothing_however_near_their_waits_come_to_their_limit() {
    assert_eq!(closed_loop(Order::Adaptive, 1024, 16, SECOND).await, 0);
    // 64 callers on one connection wait for 630 ms.
    for percent in [20, 50, 75, 80, 90, 97] {
        let limit = MILLISECOND * 63_000 / percent;
        let failed = closed_loop(Order::Adaptive, 64, 1, limit).await;
        assert_eq!(failed, 0, "waits take {percent} % of their limit");
    }
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_all_served() {
    let pool = pool!(10, Order::Adaptive);
    let mut tasks = JoinSet::new();
    for _ in 0..2000 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let connection = pool.acquire(&()).await;
            sleep(USE).await;
            connection.is_ok()
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|is_served| is_served));
}

#[tokio::test(start_paused = true)]
async fn transactions_on_one_connection_are_all_served() {
    let pool = pool!(1, Order::Adaptive);
    let mut tasks = JoinSet::new();
    for _ in 0..40 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let connection = pool.acquire(&()).await;
            sleep(SECOND / 2).await;
            connection.is_ok()
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|is_served| is_served));
}

#[tokio::test(start_paused = true)]
async fn patient_users_are_served_among_impatient_ones() {
    let pool = pool!(10, Order::Adaptive);
    let mut users = JoinSet::new();
    for n in 0_u32..30_000 {
        sleep(MILLISECOND * 100 / 130).await;
        let pool = pool.clone();
        let is_patient = n % 10 == 0;
        users.spawn(async move {
            let patience = if is_patient { 10 * SECOND } else { SECOND };
            let asked = timeout(patience, pool.acquire(&())).await;
            let Ok(Ok(connection)) = asked else { return (is_patient, false) };
            sleep(USE).await;
            drop(connection);
            (is_patient, true)
        });
    }
    let (mut patient, mut others) = ((0, 0), (0, 0));
    for (is_patient, is_served) in users.join_all().await {
        let (all, served) = if is_patient { &mut patient } else { &mut others };
        *all += 1;
        *served += u32::from(is_served);
    }
    let percent = |(all, served): (u32, u32)| served * 100 / all;
    assert!(percent(patient) >= 70, "{} % of the patient", percent(patient));
    assert!(percent(others) >= 70, "{} % of the others", percent(others));
}

/// Counts what it is told.
#[derive(Clone, Default)]
struct Told(Arc<[AtomicU32; 2]>);

impl wharf::Observer for Told {
    fn overloaded(&self, event: &wharf::Overloaded<'_>) {
        assert!(event.lost_after >= SECOND / 2, "{event:?}");
        self.0[usize::from(event.is_over)].fetch_add(1, Memory::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_told_when_waits_are_lost_and_when_they_are_served_again() {
    let (log, told) = (Log::default(), Told::default());
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::INFO));
    let connector = connector_fn(|()| async { Ok::<_, std::io::Error>(()) });
    let builder = Pool::builder().max_per_host(1).order(Order::Adaptive).observer(told.clone());
    let pool = builder.build(connector).unwrap();
    let host = pool.host(&());
    let overload = async || {
        let loan = host.acquire().await.unwrap();
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let host = host.clone();
            crowd.spawn(async move { host.acquire().at_most(SECOND).await.map(drop) });
        }
        sleep(SECOND + MILLISECOND).await;
        assert_eq!((host.status().overloaded, host.status().waiting), (0, 0), "nobody is left");
        let patient = tokio::spawn({
            let host = host.clone();
            async move { host.acquire().await.map(drop) }
        });
        sleep(MILLISECOND).await;
        drop(loan);
        patient.await.unwrap().unwrap();
        while crowd.join_next().await.is_some() {}
    };
    overload().await;
    let seen = |told: &Told| told.0.each_ref().map(|count| count.load(Memory::Relaxed));
    assert_eq!(seen(&told), [1, 1]);
    overload().await;
    assert_eq!(seen(&told), [1, 1], "at most once in ten seconds");
    sleep(10 * SECOND).await;
    overload().await;
    assert_eq!(seen(&told), [2, 2]);
    let lines: Vec<_> =
        log.take().into_iter().filter(|line| line.contains("wharf::overload")).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].contains("callers give up before they are served"), "{}", lines[0]);
    assert!(lines[1].contains("callers are served in order again"), "{}", lines[1]);
}
