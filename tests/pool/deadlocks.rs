//! Tasks that hold a connection and wait for another are named, and nobody else is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Level;
use wharf::{AcquireError, Builder, Deadlocked, Heartbeat, Observer, Shared, SharedPool};

use crate::log::Log;
use crate::sharing::{Many, sharing_with};
use crate::support::*;

fn watched(cap: usize) -> (TestPool, TestConnector, Log, tracing::subscriber::DefaultGuard) {
    watched_with(cap, |b| b)
}

fn watched_with(
    cap: usize,
    set: impl FnOnce(Builder) -> Builder,
) -> (TestPool, TestConnector, Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.without_spans(Level::WARN));
    let (pool, connector) = pool(|b| set(b.max_per_host(cap).deadlock_warnings(true)));
    (pool, connector, log, guard)
}

/// The lines that name a deadlock, and those that name a task that may come to be in one.
fn lines(log: &Log) -> (Vec<String>, Vec<String>) {
    let (deadlocks, others): (Vec<_>, _) =
        log.take().into_iter().partition(|line| line.contains("wharf::deadlock: deadlock:"));
    let nested = "wharf::deadlock: this task holds";
    assert!(others.iter().all(|line| line.contains(nested)), "{others:?}");
    (deadlocks, others)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_itself_is_named_with_both_places() {
    let (pool, _, log, _guard) = watched(1);
    let task = tokio::spawn(async move {
        let (line, held) = (line!(), pool.acquire(&1).await.unwrap());
        let error = pool.acquire(&1).await.unwrap_err();
        drop(held);
        (line, error)
    });
    sleep(ms(1)).await;
    let (deadlocks, nested) = lines(&log);
    assert_eq!((deadlocks.len(), nested.len()), (0, 1), "{nested:?}");
    sleep(secs(2)).await;
    let (deadlocks, more) = lines(&log);
    assert_eq!((deadlocks.len(), more.len()), (1, 0), "{deadlocks:?}");
    let (line, error) = task.await.unwrap();
    let places = [line, line + 1].map(|line| format!("{}:{line}", file!()));
    let [held_at, waits_at] = places;
    let warning = &nested[0];
    assert!(warning.contains("this task holds 1 connection to 1, acquired at "), "{warning}");
    assert!(warning.contains("with max_per_host = 1, it waits for itself (may be "), "{warning}");
    assert!(warning.contains(&format!("acquired at {held_at}")), "{warning}");
    assert!(warning.contains(&format!("place={waits_at}")), "{warning}");
    let told = &deadlocks[0];
    let sides = format!("1 acquired at {held_at}");
    assert!(told.contains("tasks that wait for 1 hold all 1 connections: "), "{told}");
    assert!(told.contains(&sides) && told.contains(&format!(", waiting at {waits_at}")), "{told}");
    let AcquireError::Timeout(report) = &error else { panic!("{error}") };
    assert_eq!(report.held_by_waiting, 1);
    assert!(error.to_string().contains("; held by waiting tasks: 1 of 1; tasks that hold"));
    assert_eq!(lines(&log), (vec![], vec![]), "each is named once");
}

/// Counts what it is told of.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<Vec<usize>>>);

impl Observer for Count {
    fn deadlocked(&self, event: &Deadlocked<'_>) {
        assert_eq!(format!("{:?}", event.host), "1");
        assert!(event.acquired_at.line() < event.waits_at.line());
        self.0.lock().unwrap().push(event.loans);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_tasks_that_wait_for_each_other_are_named_once_and_each_time_out_says_so() {
    let count = Count::default();
    let (pool, _, log, _guard) = watched_with(10, |b| b.observer(count.clone()));
    let mut tasks = JoinSet::new();
    for n in 0..10 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let held = pool.acquire(&1).await.unwrap();
            sleep(ms(10 + n)).await;
            let error = pool.acquire_within(&1, secs(30 + n)).await.unwrap_err();
            drop(held);
            error.to_string()
        });
    }
    sleep(ms(1015)).await;
    let (deadlocks, nested) = lines(&log);
    assert_eq!((deadlocks.len(), nested.len()), (0, 1), "a second is not over: {nested:?}");
    assert!(nested[0].contains("with max_per_host = 10, 10 such tasks deadlock"));
    sleep(ms(10)).await;
    let (deadlocks, _) = lines(&log);
    assert!(deadlocks[0].contains("hold all 10 connections: 10 acquired at "), "{deadlocks:?}");
    assert_eq!((deadlocks.len(), &count.0.lock().unwrap()[..]), (1, &[10][..]));
    let first = tasks.join_next().await.unwrap().unwrap();
    assert!(first.contains("; held by waiting tasks: 10 of 10; tasks that hold"), "{first}");
    tasks.abort_all();
}

/// Nine of ten: the tenth goes on.
#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_wait_resolves_it() {
    let (pool, _, log, _guard) = watched(10);
    let mut tasks = JoinSet::new();
    for _ in 0..9 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let _held = pool.acquire(&1).await.unwrap();
            sleep(ms(10)).await;
            drop(pool.acquire(&1).await.unwrap());
        });
    }
    let works = pool.acquire(&1).await.unwrap();
    sleep(secs(20)).await;
    drop(works);
    tasks.join_all().await;
    let (deadlocks, nested) = lines(&log);
    assert_eq!((deadlocks.len(), nested.len()), (0, 1), "{deadlocks:?}");
}

#[tokio::test(start_paused = true)]
async fn two_futures_of_one_task_that_need_both_at_once_are_named() {
    let (pool, _, log, _guard) = watched(1);
    let task =
        tokio::spawn(async move { tokio::try_join!(pool.acquire(&1), pool.acquire(&1)).map(drop) });
    sleep(secs(2)).await;
    let (deadlocks, nested) = lines(&log);
    assert_eq!((deadlocks.len(), nested.len()), (1, 0), "{deadlocks:?} {nested:?}");
    task.await.unwrap().unwrap_err();
}

/// They look the same until one comes back.
#[tokio::test(start_paused = true)]
async fn many_futures_of_one_task_that_give_back_within_a_second_are_not_named() {
    let (pool, _, log, _guard) = watched(3);
    let one = async || {
        let _loan = pool.acquire(&1).await.unwrap();
        sleep(ms(900)).await;
    };
    let four = async || tokio::join!(one(), one(), one(), one());
    let began = Instant::now();
    tokio::join!(four(), four(), four(), four(), four());
    assert_eq!(began.elapsed().as_secs(), 6, "three at a time");
    assert_eq!(lines(&log), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_moved_is_the_known_false_alarm_which_the_text_names() {
    let (pool, _, log, _guard) = watched(1);
    let moved = pool.acquire(&1).await.unwrap();
    let other = tokio::spawn(async move {
        sleep(ms(1500)).await;
        drop(moved);
    });
    drop(pool.acquire(&1).await.unwrap());
    let (deadlocks, nested) = lines(&log);
    assert_eq!((deadlocks.len(), nested.len()), (1, 1));
    for line in [&deadlocks[0], &nested[0]] {
        assert!(line.contains("false alarm if a guard was moved to another task"), "{line}");
    }
    other.await.unwrap();
}

/// Threads are told apart where no task is.
#[test]
fn outside_of_a_task_it_is_the_thread_that_holds() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (pool, _) = pool(|b| b.max_per_host(1).deadlock_warnings(true));
    let held = runtime.block_on(async { pool.acquire(&1).await.unwrap() });
    let report = |pool: &TestPool| {
        let error = runtime.block_on(pool.acquire_within(&1, ms(5))).unwrap_err();
        let AcquireError::Timeout(report) = error else { panic!("{error}") };
        report.held_by_waiting
    };
    assert_eq!(report(&pool), 1);
    let other = std::thread::scope(|threads| threads.spawn(|| report(&pool)).join().unwrap());
    assert_eq!(other, 0);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn without_it_nothing_is_said() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::WARN));
    let (pool, _) = pool(|b| b.max_per_host(1).deadlock_warnings(false));
    let _held = pool.acquire(&1).await.unwrap();
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(!error.to_string().contains("waiting tasks"), "{error}");
    assert_eq!(log.take(), [""; 0]);
}

/// Tasks that take one lease each and then wait for another.
fn holding_and_waiting(pool: &SharedPool<Many>, n: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..n {
        let pool = pool.clone();
        tasks.spawn(async move {
            let _held = pool.acquire(&1).await.unwrap();
            sleep(ms(10)).await;
            pool.acquire(&1).await.map(drop).unwrap_err();
        });
    }
    tasks
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_shared_pool_are_named_too() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::WARN));
    let pool = sharing_with(2, |b| b.max_per_host(1).deadlock_warnings(true)).pool;
    let mut tasks = holding_and_waiting(&pool, 2);
    sleep(secs(2)).await;
    let (deadlocks, nested) = lines(&log);
    assert_eq!((deadlocks.len(), nested.len()), (1, 1), "{deadlocks:?} {nested:?}");
    assert!(deadlocks[0].contains("hold all 2 leases: 2 acquired at"), "{deadlocks:?}");
    assert!(nested[0].contains("enough such tasks deadlock"), "{nested:?}");
    tasks.abort_all();
}

#[tokio::test(start_paused = true)]
async fn a_deadlock_warning_names_the_place_of_the_first_of_two_loans() {
    let (pool, _, log, _guard) = watched(2);
    let (line, _first) = (line!(), pool.acquire(&1).await.unwrap());
    sleep(ms(1)).await;
    let _second = pool.acquire(&1).await.unwrap();
    pool.acquire_within(&1, ms(10)).await.map(drop).unwrap_err();
    let (_, nested) = lines(&log);
    // It has waited for the dial of the second one, too.
    let [_, warning] = &nested[..] else { panic!("{nested:?}") };
    let first = format!("this task holds 2 connections to 1, acquired at {}:{line}, and", file!());
    assert!(warning.contains(&first), "{warning}");
    assert!(warning.contains("with max_per_host = 2, it waits for itself (may be "), "{warning}");
}

#[tokio::test(start_paused = true)]
async fn without_a_cap_nobody_waits_for_another() {
    let (pool, connector, log, _guard) = watched_with(1, |b| b.max_per_host(None));
    let _held = pool.acquire(&1).await.unwrap();
    connector.once(Stage::Connect, Step::Slow(secs(3)));
    drop(pool.acquire(&1).await.unwrap());
    assert_eq!(lines(&log), (vec![], vec![]));
}

/// A pool of shared connections whose tasks take one lease each and then wait for another.
async fn told_of_shared(
    tasks: usize,
    set: impl FnOnce(Builder<Shared>) -> Builder<Shared>,
) -> Vec<String> {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.without_spans(Level::WARN));
    let pool = sharing_with(2, |b| set(b.max_per_host(1).deadlock_warnings(true))).pool;
    let mut waiting = holding_and_waiting(&pool, tasks);
    sleep(secs(5)).await;
    waiting.abort_all();
    lines(&log).0
}

/// They say that the peer is alive, and lend nothing.
#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_hide_a_deadlock() {
    let beats = Heartbeat::every(ms(400));
    let deadlocks = told_of_shared(2, |b| b.heartbeat(beats)).await;
    assert_eq!(deadlocks.len(), 1, "{deadlocks:?}");
}

/// The first connection has had its two uses and its place is the second one's.
#[tokio::test(start_paused = true)]
async fn leases_on_what_drains_may_be_part_of_a_deadlock() {
    let deadlocks = told_of_shared(4, |b| b.max_uses(2)).await;
    assert_eq!(deadlocks.len(), 1, "{deadlocks:?}");
    assert!(deadlocks[0].contains("hold all 4 leases"), "{deadlocks:?}");
}

/// A caller with a time of its own waits where others do not.
#[tokio::test(start_paused = true)]
async fn where_callers_usually_do_not_wait_a_second_passes_all_the_same() {
    let (pool, _, log, _guard) = watched_with(1, |b| b.acquire_timeout(Duration::ZERO));
    let one = async || {
        let loan = pool.acquire_within(&1, secs(5)).await.unwrap();
        sleep(ms(900)).await;
        drop(loan);
    };
    tokio::join!(one(), one(), one());
    assert_eq!(lines(&log), (vec![], vec![]));
}

/// What a program of random nesting does, as its tasks tell it.
#[derive(Default)]
struct Model {
    /// By task: how many connections it holds, and whether it waits.
    tasks: BTreeMap<u64, (usize, bool)>,
    /// Since when all connections are held by tasks that wait.
    since: Option<Instant>,
    told: bool,
    deadlocks: usize,
}

impl Model {
    /// A task has asked, has got one or gives one back.
    fn note(&mut self, task: u64, held: usize, waits: bool) {
        self.look();
        self.tasks.insert(task, (held, waits));
        let held = |is_it: fn(&(usize, bool)) -> bool| -> usize {
            self.tasks.values().filter(|task| is_it(task)).map(|(held, _)| held).sum()
        };
        let is_now = held(|_| true) == CAP && held(|(_, waits)| *waits) == CAP;
        if is_now {
            self.since.get_or_insert_with(Instant::now);
        } else {
            (self.since, self.told) = (None, false);
        }
    }

    /// Counts a deadlock that has lasted for a second.
    fn look(&mut self) {
        let lasts = self.since.is_some_and(|since| since.elapsed() >= secs(1));
        if lasts && !std::mem::replace(&mut self.told, true) {
            self.deadlocks += 1;
        }
    }
}

const CAP: usize = 3;

/// Takes connections in one another, and gives each back at a time of its own. What it times out for, it does without.
///
/// All times are such that no deadlock lasts for just a second.
async fn nests(pool: TestPool, task: u64, seed: u64, model: Arc<Mutex<Model>>) {
    let mut random = fastrand::Rng::with_seed(seed * 100 + task);
    let began = Instant::now();
    let next = async |steps: f64| {
        let past = began.elapsed().as_secs_f64() / ms(64).as_secs_f64();
        sleep_until(began + ms(64).mul_f64(past.floor() + steps) + ms(task)).await;
    };
    let mut held = Vec::new();
    for _ in 0..40 {
        next(f64::from(random.u32(1..40))).await;
        if held.len() < CAP - 1 && random.u32(0..100) < 55 {
            model.lock().unwrap().note(task, held.len(), true);
            let timeout = ms(random.u64(40..140) * 64 + 32);
            if let Ok(loan) = pool.acquire_within(&1, timeout).await {
                held.push(loan);
            }
            model.lock().unwrap().note(task, held.len(), false);
        } else if let Some(loan) = held.pop() {
            model.lock().unwrap().note(task, held.len(), false);
            drop(loan);
        }
    }
    model.lock().unwrap().note(task, 0, false);
}

#[tokio::test(start_paused = true)]
async fn of_random_nesting_every_deadlock_is_named_and_none_is_invented() {
    let (mut deadlocks, mut without) = (0, 0);
    for seed in 0..60 {
        let count = Count::default();
        let (pool, _) =
            pool(|b| b.max_per_host(CAP).deadlock_warnings(true).observer(Line(count.clone())));
        let model = Arc::new(Mutex::new(Model::default()));
        let mut tasks = JoinSet::new();
        for task in 0..3 + seed % 4 {
            tasks.spawn(nests(pool.clone(), task, seed, model.clone()));
        }
        while !tasks.is_empty() {
            model.lock().unwrap().look();
            let known = model.lock().unwrap().deadlocks;
            let told = count.0.lock().unwrap().len();
            let is_due = model.lock().unwrap().since.is_some();
            assert!(told == known || (is_due && told.abs_diff(known) == 1), "{told} of {known}");
            sleep(ms(7)).await;
            while tasks.try_join_next().is_some() {}
        }
        let known = model.lock().unwrap().deadlocks;
        assert_eq!(count.0.lock().unwrap().len(), known, "with the seed {seed}");
        deadlocks += known;
        without += usize::from(known == 0);
    }
    assert!(deadlocks > 60 && without > 3, "{deadlocks} deadlocks, none in {without} programs");
}

/// Any places.
struct Line(Count);

impl Observer for Line {
    fn deadlocked(&self, event: &Deadlocked<'_>) {
        self.0.0.lock().unwrap().push(event.loans);
    }
}
