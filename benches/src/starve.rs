//! Many tasks, few connections, for a fixed time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use crate::contestants::Contestant;
use crate::drive::Starvation;
use crate::measure::Latencies;

/// Nobody may take longer than this to stop.
const HANGS_AFTER: Duration = Duration::from_secs(20);

/// What became of the tasks.
#[derive(Debug, Default)]
pub(crate) struct Starved {
    /// Loans that ended in time, of each task.
    pub(crate) served: Vec<u64>,
    pub(crate) took: Duration,
    /// How long each acquire took, if that was asked for. Those that were waiting when the time was
    /// over are among them.
    pub(crate) latencies: Latencies,
    pub(crate) fault: Option<String>,
}

impl Starved {
    pub(crate) fn rate(&self) -> f64 {
        self.served.iter().sum::<u64>() as f64 / self.took.as_secs_f64()
    }

    /// The loans of the task that had most, to one of the task that had least.
    pub(crate) fn spread(&self) -> f64 {
        let most = self.served.iter().max().copied().unwrap_or(0);
        let least = self.served.iter().min().copied().unwrap_or(0);
        most as f64 / least as f64
    }

    /// Whether somebody got nothing.
    pub(crate) fn hunger(&self, name: &str) -> Option<String> {
        let is_hungry = self.served.contains(&0);
        is_hungry.then(|| format!("{name}: some tasks got nothing in a whole run"))
    }
}

struct Flags {
    is_over: AtomicBool,
    ready: Barrier,
}

pub(crate) fn run<P: Contestant>(
    runtime: &Runtime,
    pool: &P,
    load: Starvation,
    name: &str,
) -> Starved {
    let ready = Barrier::new(load.tasks + 1);
    let flags = Arc::new(Flags { is_over: AtomicBool::new(false), ready });
    let mut tasks = JoinSet::new();
    for _ in 0..load.tasks {
        let (pool, flags) = (pool.clone(), flags.clone());
        if load.timed {
            tasks.spawn_on(work::<P, true>(pool, flags), runtime.handle());
        } else {
            tasks.spawn_on(work::<P, false>(pool, flags), runtime.handle());
        }
    }
    runtime.block_on(flags.ready.wait());
    let began = Instant::now();
    std::thread::sleep(load.time);
    flags.is_over.store(true, Relaxed);
    let took = began.elapsed();
    let all = runtime.block_on(async { timeout(HANGS_AFTER, tasks.join_all()).await });
    let Ok(parts) = all else {
        let fault = Some(format!("{name}: some tasks were not served in {HANGS_AFTER:?}"));
        return Starved { took, fault, ..Starved::default() };
    };
    let (served, waits): (Vec<u64>, Vec<Vec<Duration>>) = parts.into_iter().unzip();
    let latencies = Latencies::new(waits.into_iter().flatten().collect());
    Starved { served, took, latencies, fault: None }
}

async fn work<P: Contestant, const TIMED: bool>(
    pool: P,
    flags: Arc<Flags>,
) -> (u64, Vec<Duration>) {
    let (mut served, mut waits) = (0, Vec::new());
    flags.ready.wait().await;
    while !flags.is_over.load(Relaxed) {
        let began = TIMED.then(Instant::now);
        let loan = pool.acquire().await;
        waits.extend(began.map(|began| began.elapsed()));
        yield_now().await;
        drop(loan);
        served += u64::from(!flags.is_over.load(Relaxed));
    }
    (served, waits)
}
