//! What it costs when many of many idle connections expire, and who else feels it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wharf::{CloseReason, Host, Pool};

use crate::contestants::{Kind, Made, Numbered};
use crate::cores;
use crate::drive::one_thread;
use crate::form::Form;
use crate::measure::{Latencies, Rounds};
use crate::table::{Bound, Part, Row};

const HOSTS: u64 = 10_000;
const OF_EACH: u64 = 10;
const EXPIRING: [u64; 2] = [0, 10_000];
const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Callers whose time-outs are watched, and how long they wait. Odd, so that it does not fall on the timer's tick.
const CALLERS: usize = 20;
const TIMEOUT: Duration = Duration::from_millis(7);

/// Measures it.
pub fn run(form: Form) -> Vec<Part> {
    let mut part = Part::new(
        "Expiry: 10,000 of 100,000 idle connections expire at the same time",
        "All on one thread. Processor time of the expiry for each that expires, its close included; and, in runs of their \
         own, how late the time-outs of 20 other callers come meanwhile, on the same thread: the median, and the longest \
         of a run, of which the median over the runs is shown",
        vec!["us each", "late, median ms", "late, longest ms"],
    );
    let runs = form.either(5, 15);
    let costs = Rounds::alternate("expiry: time", 2, runs, |nth| {
        one_thread().block_on(expire(EXPIRING[nth], 0)).0.as_secs_f64() * 1e6
    });
    let mut late = [Vec::new(), Vec::new()];
    let longest = Rounds::alternate("expiry: lateness", 2, runs, |nth| {
        let times = one_thread().block_on(expire(EXPIRING[nth], CALLERS)).1;
        late[nth].extend(times.iter().copied());
        Latencies::new(times).percentile(1_000_000)
    });
    let medians = late.map(|times| Latencies::new(times).percentile(500_000));
    // The time of a run in which nothing expires is that of the runtime and of what else it does.
    let each = (costs.minimum(1) - costs.minimum(0)) / EXPIRING[1] as f64;
    let rows = [("nothing expires", f64::NAN), ("10,000 expire", each)];
    for (nth, (name, each)) in rows.into_iter().enumerate() {
        let figures = vec![each, medians[nth], longest.median(nth)];
        part.rows.push(Row::new(name, Kind::Wharf, figures));
    }
    part.aim_at("expiry of 10,000 of 100,000, us each", each, Bound::AtMost(1.0));
    let more = longest.median(1) - longest.median(0);
    let what = "expiry: how much later others' time-outs come, ms (a timer's tick)";
    part.aim_at(what, more, Bound::AtMost(1.0));
    vec![part]
}

/// The processor's time while this many expire, and how late the time-outs of callers were.
async fn expire(expiring: u64, callers: usize) -> (Duration, Vec<Duration>) {
    let pool = Pool::builder().idle_timeout(IDLE_TIMEOUT);
    let pool = pool.build(Numbered(Made::default())).expect("valid settings");
    let busy = pool.host(&HOSTS);
    let held = loans(&pool, HOSTS).await;
    let old = Instant::now();
    fill(&pool, 0..expiring / OF_EACH).await;
    sleep_until(old + IDLE_TIMEOUT / 3).await;
    let young = Instant::now();
    fill(&pool, expiring / OF_EACH..HOSTS).await;
    // Before any can have expired, when what filled the pool has come to its end; and between the last of these and the
    // first of those.
    sleep_until(old + IDLE_TIMEOUT * 5 / 6).await;
    let end = old + IDLE_TIMEOUT + (young - old) * 3 / 4;
    assert_eq!(pool.status().closed, 0, "the machine is too slow to measure this");
    let before = cores::own_time();
    let tasks: JoinSet<_> = (0..callers).map(|_| give_up_until(busy.clone(), end)).collect();
    sleep_until(end).await;
    let took = cores::own_time().saturating_sub(before);
    let late = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(pool.status().closes.of(CloseReason::Idle), expiring, "expired");
    drop(held);
    (took, late)
}

async fn fill(pool: &Pool<Numbered>, hosts: std::ops::Range<u64>) {
    for host in hosts {
        drop(loans(pool, host).await);
    }
}

async fn loans(pool: &Pool<Numbered>, host: u64) -> Vec<impl Sized + use<>> {
    let mut loans = Vec::new();
    for _ in 0..OF_EACH {
        loans.push(pool.acquire(&host).await.expect("a connection"));
    }
    loans
}

/// Waits for what nobody returns, again and again: how late it was told so each time.
async fn give_up_until(busy: Host<Numbered>, end: Instant) -> Vec<Duration> {
    let mut late = Vec::new();
    while Instant::now() < end {
        let began = Instant::now();
        assert!(busy.acquire_within(TIMEOUT).await.is_err(), "all are held");
        late.push(began.elapsed().saturating_sub(TIMEOUT));
    }
    late
}
