//! Drives one contestant, whichever it is: one virtual call for a block of operations, never for
//! one.

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::contestants::{Contestant, Kind, Made, Setup};
use crate::starve::{self, Starved};

/// A contestant under a name.
pub(crate) trait Entrant {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    /// A pool that stays, for one task.
    fn lane(&self) -> Box<dyn Lane>;
    fn contend(&self, load: Contention) -> Contended;
    fn starve(&self, load: Starvation) -> Starved;
    /// Many wait for one connection, and leave.
    fn queue(&self, waiters: u32) -> Queued;
}

/// A pool, and one task that uses it.
pub(crate) trait Lane {
    /// What so many loans take, one after the other.
    fn time(&mut self, loans: u32) -> Duration;
    /// What is wrong with the pool's counts, if anything is.
    fn fault(&mut self) -> Option<String>;
}

/// Threads that do nothing but acquire and return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contention {
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

pub(crate) struct Contended {
    /// Loans of each thread.
    pub(crate) served: Vec<u64>,
    pub(crate) took: Duration,
    pub(crate) fault: Option<String>,
}

/// Many more tasks than connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Starvation {
    pub(crate) tasks: usize,
    pub(crate) connections: usize,
    pub(crate) workers: usize,
    pub(crate) time: Duration,
    /// Whether each wait is measured.
    pub(crate) timed: bool,
}

/// What waiters took that came and went.
pub(crate) struct Queued {
    pub(crate) join: Duration,
    pub(crate) cancel: Duration,
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

/// As many as a pool may have for a host unless told otherwise.
const CONNECTIONS_OF_ONE_TASK: usize = 10;

impl<P: Contestant> Entrant for Drive<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn lane(&self) -> Box<dyn Lane> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let setup = self.setup(CONNECTIONS_OF_ONE_TASK);
        let made = setup.made.clone();
        let pool = runtime.block_on(P::build(setup));
        runtime.block_on(hits(&pool, 100));
        Box::new(OneTask { runtime, pool, made, name: self.name })
    }

    fn contend(&self, load: Contention) -> Contended {
        let setup = self.setup(load.connections);
        let made = setup.made.clone();
        // For the tasks that some pools have of their own.
        let runtime = threads(1);
        let pool = runtime.block_on(P::build(setup));
        let (served, took) = contend(&runtime, &pool, load);
        let fault = runtime.block_on(fault(&pool, &made, self.name));
        Contended { served, took, fault }
    }

    fn starve(&self, load: Starvation) -> Starved {
        let setup = self.setup(load.connections);
        let made = setup.made.clone();
        let runtime = threads(load.workers);
        let pool = runtime.block_on(P::build(setup));
        let mut starved = starve::run(&runtime, &pool, load, self.name);
        if starved.fault.is_none() {
            starved.fault = runtime.block_on(fault(&pool, &made, self.name));
        }
        runtime.shutdown_background();
        starved
    }

    fn queue(&self, waiters: u32) -> Queued {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let setup = self.setup(1);
        let name = self.name;
        runtime.expect("a runtime").block_on(async move {
            let pool = P::build(setup).await;
            // Everybody is polled once, which is more than tokio's budget allows.
            unconstrained(queue(&pool, waiters, name)).await
        })
    }
}

fn threads(workers: usize) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().build().expect("a runtime")
}

struct OneTask<P> {
    runtime: Runtime,
    pool: P,
    made: Made,
    name: &'static str,
}

impl<P: Contestant> Lane for OneTask<P> {
    fn time(&mut self, loans: u32) -> Duration {
        let pool = &self.pool;
        let began = Instant::now();
        // Without tokio's budget, which some pools spend: a task with a socket gives way anyhow.
        self.runtime.block_on(unconstrained(hits(pool, loans)));
        began.elapsed()
    }

    fn fault(&mut self) -> Option<String> {
        self.runtime.block_on(fault(&self.pool, &self.made, self.name))
    }
}

async fn queue<P: Contestant>(pool: &P, waiters: u32, name: &str) -> Queued {
    let held = pool.acquire().await;
    let mut queued: Vec<_> = (0..waiters).map(|_| Box::pin(pool.acquire())).collect();
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    let served = queued.iter_mut().filter_map(|waiter| match waiter.as_mut().poll(&mut context) {
        Poll::Ready(loan) => Some(loan),
        Poll::Pending => None,
    });
    let served = served.count();
    let join = began.elapsed();
    fastrand::Rng::with_seed(7).shuffle(&mut queued);
    let began = Instant::now();
    drop(queued);
    let cancel = began.elapsed();
    drop(held);
    let again = timeout(Duration::from_secs(10), pool.acquire()).await;
    let fault = match (served, again) {
        (0, Ok(_)) => None,
        (0, Err(_)) => Some(format!("{name}: nobody is served after {waiters} have left")),
        _ => Some(format!("{name}: {served} were served with what was lent already")),
    };
    Queued { join, cancel, fault }
}

async fn hits<P: Contestant>(pool: &P, loans: u32) {
    for _ in 0..loans {
        drop(black_box(pool.acquire().await));
    }
}

fn contend<P: Contestant>(runtime: &Runtime, pool: &P, load: Contention) -> (Vec<u64>, Duration) {
    let is_over = AtomicBool::new(false);
    let ready = Barrier::new(load.threads + 1);
    thread::scope(|scope| {
        let work = || {
            ready.wait();
            runtime.handle().block_on(unconstrained(hits_until(pool, &is_over)))
        };
        let threads: Vec<_> = (0..load.threads).map(|_| scope.spawn(work)).collect();
        ready.wait();
        let began = Instant::now();
        thread::sleep(load.time);
        is_over.store(true, Relaxed);
        let took = began.elapsed();
        (threads.into_iter().map(|thread| thread.join().expect("no panic")).collect(), took)
    })
}

async fn hits_until<P: Contestant>(pool: &P, is_over: &AtomicBool) -> u64 {
    let mut served = 0;
    while !is_over.load(Relaxed) {
        drop(black_box(pool.acquire().await));
        served += 1;
    }
    served
}

/// What is wrong once everything is back: as many are idle as were made, unless the pool says
/// otherwise for longer than a moment.
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
