//! Drives one contestant, whichever it is: one virtual call for a block of operations, never for one.

use std::hint::{black_box, spin_loop};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::contestants::{Contestant, Kind, Made, Setup};
use crate::cores;
use crate::crowd::{self, Crowd, Served};
use crate::measure::{Sample, ns_each};

/// A contestant under a name.
pub(crate) trait Entrant {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// A pool that stays, in a runtime.
    fn lane(&self, runtime: Runtime, connections: usize) -> Box<dyn Lane>;
    /// Many more tasks than connections.
    fn crowd(&self, crowd: Crowd) -> Served;
    /// Many wait for one connection, and leave. The meter tells how many bytes are allocated.
    fn queue(&self, waiters: u32, meter: fn() -> usize) -> Queued;
}

/// A pool that is used again and again.
pub(crate) trait Lane {
    /// Makes this many connections.
    fn fill(&mut self, connections: usize);
    /// What this many loans take one task, one after the other.
    fn time(&mut self, loans: u32) -> Duration;
    /// Millions of loans in a second of threads, each pinned to a core, all together.
    fn race(&mut self, race: Race) -> Sample;
    /// What is wrong with the pool's counts, if anything is.
    fn fault(&mut self) -> Option<String>;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Race {
    pub(crate) threads: usize,
    /// Whether each has a host of its own.
    pub(crate) apart: bool,
    pub(crate) time: Duration,
}

/// What waiters took that came and went: nanoseconds each, and bytes while they waited.
pub(crate) struct Queued {
    pub(crate) bytes: f64,
    pub(crate) join: f64,
    pub(crate) leave: f64,
    pub(crate) fault: Option<String>,
}

pub(crate) struct Drive<P> {
    name: &'static str,
    kind: Kind,
    contestant: PhantomData<fn() -> P>,
}

impl<P: Contestant> Drive<P> {
    pub(crate) fn new(name: &'static str, kind: Kind) -> Self {
        Drive { name, kind, contestant: PhantomData }
    }

    fn setup(&self, max: usize) -> Setup {
        Setup::new(max, self.kind != Kind::AsItComes)
    }
}

impl<P: Contestant> Entrant for Drive<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn lane(&self, runtime: Runtime, connections: usize) -> Box<dyn Lane> {
        let setup = self.setup(connections);
        let made = setup.made.clone();
        let pool = runtime.block_on(P::build(setup));
        runtime.block_on(hits(&pool, 100));
        Box::new(Pooled { runtime, pool, made, name: self.name })
    }

    fn crowd(&self, load: Crowd) -> Served {
        let setup = self.setup(load.connections);
        let made = setup.made.clone();
        let runtime = pinned_threads(load.threads);
        let pool = runtime.block_on(P::build(setup));
        let mut served = crowd::drive(&runtime, &pool, load);
        served.fault = match served.fault {
            Some(fault) => Some(format!("{}: {fault}", self.name)),
            None => runtime.block_on(fault(&pool, &made, self.name)),
        };
        runtime.shutdown_background();
        served
    }

    fn queue(&self, waiters: u32, meter: fn() -> usize) -> Queued {
        let setup = self.setup(1);
        one_thread().block_on(async {
            let pool = P::build(setup).await;
            // Each future is polled once, which is more than tokio's budget allows.
            let mut queued = unconstrained(queue(&pool, waiters, meter)).await;
            queued.fault = queued.fault.map(|fault| format!("{}: {fault}", self.name));
            queued
        })
    }
}

pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A runtime whose threads have a core each.
pub(crate) fn pinned_threads(threads: usize) -> Runtime {
    let started = AtomicUsize::new(0);
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(threads).enable_all();
    builder.on_thread_start(move || cores::pin(started.fetch_add(1, SeqCst)));
    builder.build().expect("a runtime")
}

struct Pooled<P> {
    runtime: Runtime,
    pool: P,
    made: Made,
    name: &'static str,
}

impl<P: Contestant> Lane for Pooled<P> {
    fn fill(&mut self, connections: usize) {
        self.runtime.block_on(fill(&self.pool, connections));
    }

    fn time(&mut self, loans: u32) -> Duration {
        let pool = &self.pool;
        let began = Instant::now();
        // Without tokio's budget, which some pools spend: a task with a socket never exhausts it.
        self.runtime.block_on(unconstrained(hits(pool, loans)));
        began.elapsed()
    }

    fn race(&mut self, race: Race) -> Sample {
        let track = Track { time: race.time, ready: race.threads.into(), is_over: false.into() };
        let of_thread = |nth| if race.apart { self.pool.apart(nth) } else { self.pool.clone() };
        let pools: Vec<P> = (0..race.threads as u64).map(of_thread).collect();
        let handle = self.runtime.handle();
        let track = &track;
        thread::scope(|scope| {
            let run = |(core, pool)| {
                move || {
                    cores::pin(core);
                    handle.block_on(unconstrained(track.run(pool)))
                }
            };
            let threads: Vec<_> =
                pools.iter().enumerate().map(|place| scope.spawn(run(place))).collect();
            let samples = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            let none = Sample { figure: 0.0, is_undisturbed: true };
            samples.fold(none, |all, one| Sample {
                figure: all.figure + one.figure,
                is_undisturbed: all.is_undisturbed && one.is_undisturbed,
            })
        })
    }

    fn fault(&mut self) -> Option<String> {
        self.runtime.block_on(fault(&self.pool, &self.made, self.name))
    }
}

/// What the threads of a race share.
struct Track {
    time: Duration,
    /// Threads that are not ready yet.
    ready: AtomicUsize,
    is_over: AtomicBool,
}

impl Track {
    /// Millions of loans in a second. The clock is read once for many of them.
    async fn run<P: Contestant>(&self, pool: &P) -> Sample {
        hits(pool, 1000).await;
        let before = cores::lost();
        self.ready.fetch_sub(1, SeqCst);
        while self.ready.load(SeqCst) > 0 {
            spin_loop();
        }
        let (began, mut loans) = (Instant::now(), 0);
        while !self.is_over.load(Relaxed) {
            hits(pool, 256).await;
            loans += 256;
            if began.elapsed() > self.time {
                self.is_over.store(true, Relaxed);
            }
        }
        let took = began.elapsed();
        let figure = f64::from(loans) / took.as_secs_f64() / 1e6;
        Sample { figure, is_undisturbed: cores::is_undisturbed(before, cores::lost(), took) }
    }
}

/// All connections are made.
async fn fill<P: Contestant>(pool: &P, connections: usize) {
    let mut loans = Vec::new();
    for _ in 0..connections {
        loans.push(pool.acquire().await);
    }
}

async fn hits<P: Contestant>(pool: &P, loans: u32) {
    for _ in 0..loans {
        drop(black_box(pool.acquire().await));
    }
}

async fn queue<P: Contestant>(pool: &P, waiters: u32, meter: fn() -> usize) -> Queued {
    let held = pool.acquire().await;
    let before = meter();
    let mut queued: Vec<_> = (0..waiters).map(|_| Box::pin(pool.acquire())).collect();
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    let served = queued.iter_mut().filter_map(|waiter| match waiter.as_mut().poll(&mut context) {
        Poll::Ready(loan) => Some(loan),
        Poll::Pending => None,
    });
    let served = served.count();
    let join = ns_each(began.elapsed(), waiters);
    let bytes = meter().saturating_sub(before) as f64 / f64::from(waiters);
    fastrand::Rng::with_seed(7).shuffle(&mut queued);
    let began = Instant::now();
    drop(queued);
    let leave = ns_each(began.elapsed(), waiters);
    drop(held);
    let again = timeout(Duration::from_secs(10), pool.acquire()).await;
    let fault = match (served, again) {
        (0, Ok(_)) => None,
        (0, Err(_)) => Some(format!("nobody is served after {waiters} have left")),
        _ => Some(format!("{served} were served with what was lent already")),
    };
    Queued { bytes, join, leave, fault }
}

/// What is wrong once everything is back: as many are idle as were made, unless the pool says otherwise for longer than
/// a moment.
async fn fault<P: Contestant>(pool: &P, made: &Made, name: &str) -> Option<String> {
    let mut said = None;
    for _ in 0..100 {
        let idle = pool.idle().await?;
        if idle == made.count() {
            return None;
        }
        said = Some(idle);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Some(format!("{name}: made {} connections, says {} are idle", made.count(), said?))
}
