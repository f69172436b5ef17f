//! What happens when there are many more tasks than connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::contestants::{self, Contestant, DEADPOOL, DEADPOOL_UNTIMED, HOST, Kind};
use crate::cores;
use crate::drive::Entrant;
use crate::form::Form;
use crate::measure::{Latencies, Rounds, Sample, median};
use crate::table::{Better, Bound, Part, Row};

/// Tasks, and connections.
const LOADS: [(usize, usize); 2] = [(1024, 16), (1000, 50)];
const THREADS: usize = 2;
/// Nobody may take longer than this to stop.
const HANGS_AFTER: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) tasks: usize,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    time: Duration,
    /// Whether each wait is measured.
    timed: bool,
}

/// What became of the tasks.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// Loans that ended in time, of each task.
    loans: Vec<u64>,
    took: Duration,
    /// How long each acquire took, if that was asked for. Those that were waiting when the time was over are included.
    waits: Vec<Duration>,
    is_undisturbed: bool,
    pub(crate) fault: Option<String>,
}

/// Measures it: a part for each load.
pub fn run(form: Form) -> Vec<Part> {
    LOADS.into_iter().map(|(tasks, connections)| one(tasks, connections, form)).collect()
}

fn one(tasks: usize, connections: usize, form: Form) -> Part {
    let entrants = contestants::for_waiting();
    let mut part = Part::new(
        format!("A crowd: {tasks} tasks on {connections} connections, two threads"),
        "Acquire, yield once, return, without a pause; waits are measured in bursts of their own; most / least: loans of \
         the tasks in one burst",
        vec!["million/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "most / least"],
    );
    let time = Duration::from_millis(80);
    let crowd = Crowd { tasks, connections, threads: THREADS, time, timed: false };
    let mut spreads = vec![Vec::new(); entrants.len()];
    let second_before = cores::two_to_one();
    let what = format!("crowd: {tasks} on {connections}");
    let rounds = Rounds::alternate_undisturbed(&what, entrants.len(), form.either(20, 80), |nth| {
        let served = entrants[nth].crowd(crowd);
        spreads[nth].push(served.spread());
        part.add_fault(served.hunger(entrants[nth].name()));
        part.add_fault(served.fault.clone());
        Sample { figure: served.rate() / 1e6, is_undisturbed: served.is_undisturbed }
    });
    let names: Vec<_> = entrants.iter().map(|entrant| entrant.name()).collect();
    part.notes.push(cores::says_of_second_core([second_before, cores::two_to_one()]));
    part.notes.push(rounds.dropped(&names));
    part.add_fault(rounds.fault());
    let waits = waits(&entrants, Crowd { timed: true, time: 3 * time, ..crowd }, form);
    for (nth, (entrant, waits)) in entrants.iter().zip(waits).enumerate() {
        let percentiles = [500_000, 990_000, 999_000, 1_000_000].map(|n| waits.percentile(n));
        let spread = median(std::mem::take(&mut spreads[nth]));
        let figures = [rounds.median(nth)].into_iter().chain(percentiles).chain([spread]);
        part.rows.push(Row::new(entrant.name(), entrant.kind(), figures.collect()));
    }
    part.compare(Better::More);
    aim(&mut part, &format!("{tasks} tasks on {connections}"));
    part
}

/// All waits of some bursts in turns, which cost everybody two looks at the clock.
fn waits(entrants: &[Box<dyn Entrant>], crowd: Crowd, form: Form) -> Vec<Latencies> {
    let mut all = vec![Vec::new(); entrants.len()];
    Rounds::alternate("waits", entrants.len(), form.either(3, 10), |nth| {
        all[nth].extend(entrants[nth].crowd(crowd).waits);
        0.0
    });
    all.into_iter().map(Latencies::new).collect()
}

fn aim(part: &mut Part, load: &str) {
    part.aim(format!("{load}: throughput / deadpool"), (HOST, DEADPOOL), Bound::AtLeast(1.6));
    let untimed = format!("{load}: throughput / deadpool without time-out");
    part.aim(untimed, (HOST, DEADPOOL_UNTIMED), Bound::AtLeast(1.3));
    for (column, name) in [(2, "p99"), (3, "p99.9")] {
        let peers = part.rows.iter().filter(|row| row.kind != Kind::Wharf);
        let best = peers.map(|row| row.figures[column]).fold(f64::INFINITY, f64::min);
        let own = part.rows[0].figures[column];
        let what = format!("{load}: {name} of a wait / the best peer's");
        part.aim_at(what, crate::table::quotient(own, best), Bound::AtMost(1.0));
    }
    let spread = part.rows[0].figures[5];
    part.aim_at(format!("{load}: most / least served"), spread, Bound::AtMost(1.1));
}

impl Served {
    fn rate(&self) -> f64 {
        self.loans.iter().sum::<u64>() as f64 / self.took.as_secs_f64()
    }

    /// The loans of the task that had most, to one of the task that had least.
    fn spread(&self) -> f64 {
        let most = self.loans.iter().max().copied().unwrap_or(0);
        most as f64 / self.loans.iter().min().copied().unwrap_or(0) as f64
    }

    /// Whether a task got nothing.
    fn hunger(&self, name: &str) -> Option<String> {
        let is_hungry = self.loans.contains(&0);
        is_hungry.then(|| format!("{name}: some tasks got nothing in a whole burst"))
    }
}

struct Flags {
    is_over: AtomicBool,
    ready: Barrier,
}

pub(crate) fn drive<P: Contestant>(runtime: &Runtime, pool: &P, crowd: Crowd) -> Served {
    let ready = Barrier::new(crowd.tasks + 1);
    let flags = Arc::new(Flags { is_over: AtomicBool::new(false), ready });
    let mut tasks = JoinSet::new();
    for _ in 0..crowd.tasks {
        let (pool, flags) = (pool.clone(), flags.clone());
        if crowd.timed {
            tasks.spawn_on(work::<P, true>(pool, flags), runtime.handle());
        } else {
            tasks.spawn_on(work::<P, false>(pool, flags), runtime.handle());
        }
    }
    // A task, so that no thread more has to wake up, and take a core, when the time is over.
    let umpire = runtime.spawn(async move {
        flags.ready.wait().await;
        let (began, before) = (Instant::now(), cores::lost_by_all());
        sleep(crowd.time).await;
        flags.is_over.store(true, Relaxed);
        let took = began.elapsed();
        (took, cores::is_undisturbed(before, cores::lost_by_all(), took))
    });
    let (took, is_undisturbed) = runtime.block_on(umpire).expect("no panic");
    let all = runtime.block_on(async { timeout(HANGS_AFTER, tasks.join_all()).await });
    let Ok(parts) = all else {
        let fault = Some(format!("some tasks were not served in {HANGS_AFTER:?}"));
        return Served { took, fault, ..Served::default() };
    };
    let (loans, waits): (Vec<u64>, Vec<Vec<Duration>>) = parts.into_iter().unzip();
    let waits = waits.into_iter().flatten().collect();
    Served { loans, took, waits, is_undisturbed, fault: None }
}

async fn work<P: Contestant, const TIMED: bool>(
    pool: P,
    flags: Arc<Flags>,
) -> (u64, Vec<Duration>) {
    let (mut loans, mut waits) = (0, Vec::new());
    flags.ready.wait().await;
    while !flags.is_over.load(Relaxed) {
        let began = TIMED.then(Instant::now);
        let loan = pool.acquire().await;
        waits.extend(began.map(|began| began.elapsed()));
        yield_now().await;
        drop(loan);
        loans += u64::from(!flags.is_over.load(Relaxed));
    }
    (loans, waits)
}
