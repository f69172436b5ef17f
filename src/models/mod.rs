//! Models of the pool's races, which loom runs in every order that its threads can take.
//!
//! Run with `RUSTFLAGS="--cfg wharf_loom" cargo test --profile models --lib models`. The lock and the
//! atomics are loom's ([`crate::sync`]); time stands still; a spawned task lies in a list until a
//! thread of the model runs it ([`Runtime::run`]), so tasks race with the rest as that thread does.
//! Not modelled: the inside of tokio's `Notify`, whose every use is one step, and the reference
//! counts of `Arc`, which are no step of their own.
//!
//! Every model is exhaustive, without a bound on preemptions, but for one of three threads at once,
//! which says so ([`explore_bounded`]). Each says which ends it must come to, so
//! that one in which the race does not happen fails. Three rules hold for all:
//!
//! - a future is polled again only when its waker was woken, unless the model says otherwise; one
//!   that still waits when all is quiet and was not woken is a lost wake-up;
//! - the engine's invariants hold once the threads have ended;
//! - in the end every connection was closed once and dropped, and nothing refers to the pool.

mod changes;
mod crowds;
mod dials;
mod end;
mod expiry;
mod giving_up;
mod pings;
mod returns;
mod shares;

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use loom::thread;

use crate::acquire::Acquire;
use crate::builder::Builder;
use crate::connector::Connector;
use crate::core::Core;
use crate::error::{AcquireError, WarmError};
use crate::pool::Pool;
use crate::pooled_connection::PooledConnection;
use crate::runtime::Runtime;
use crate::status::PoolStatus;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::SeqCst;
use crate::timer::Timer;

/// Runs `model` in every order and asserts that it comes to just these `ends`.
fn explore(ends: &[&'static str], model: fn() -> &'static str) {
    explore_within(None, ends, model);
}

/// The same, in every order in which a thread is interrupted so many times where it need not be: for
/// models that have too many orders otherwise.
fn explore_bounded(bound: usize, ends: &[&'static str], model: fn() -> &'static str) {
    explore_within(Some(bound), ends, model);
}

fn explore_within(bound: Option<usize>, ends: &[&'static str], model: fn() -> &'static str) {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            Runtime::forget();
        }
    }
    let _cleanup = Cleanup;
    // Upkeep sets a timer of tokio's after a failed dial. Nobody waits for it.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let tokio = tokio.expect("a runtime needs nothing here");
    let _inside = tokio.enter();

    let mut explorer = loom::model::Builder::new();
    explorer.preemption_bound = bound;
    explorer.max_branches = 10_000;
    let seen = Arc::new(Mutex::new((BTreeSet::new(), 0_u32)));
    let note = seen.clone();
    explorer.check(move || {
        let end = model();
        let mut seen = note.lock().expect("nobody panics here");
        seen.0.insert(end);
        seen.1 += 1;
    });
    let seen = seen.lock().expect("nobody panics here");
    println!("{} orders", seen.1);
    assert_eq!(seen.0, ends.iter().copied().collect(), "the ends that it came to");
}

/// What a dial or a ping comes to.
#[derive(Clone, Copy)]
enum Step {
    Works,
    Fails,
    /// It is dropped before its end.
    Hangs,
}

/// What a pool did with its connections. Not part of the race: the locks of `std` are one step.
struct Ledger {
    dial: Mutex<Step>,
    ping: Mutex<Step>,
    made: AtomicUsize,
    closed: AtomicUsize,
    dropped: AtomicUsize,
}

impl Ledger {
    fn new() -> Arc<Self> {
        Arc::new(Ledger {
            dial: Mutex::new(Step::Works),
            ping: Mutex::new(Step::Works),
            made: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }
}

async fn step(script: &Mutex<Step>) -> Result<(), fmt::Error> {
    let step = *script.lock().expect("nobody panics here");
    match step {
        Step::Works => Ok(()),
        Step::Fails => Err(fmt::Error),
        Step::Hangs => pending().await,
    }
}

struct Scripted(Arc<Ledger>);

struct Connection {
    id: usize,
    ledger: Arc<Ledger>,
}

impl Connection {
    fn new(ledger: &Arc<Ledger>) -> Self {
        Connection { id: ledger.made.fetch_add(1, SeqCst), ledger: ledger.clone() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ledger.dropped.fetch_add(1, SeqCst);
    }
}

#[async_trait]
impl Connector for Scripted {
    type Key = u8;
    type Connection = Connection;
    type Error = fmt::Error;

    async fn connect(&self, _: &u8) -> Result<Connection, fmt::Error> {
        step(&self.0.dial).await?;
        Ok(Connection::new(&self.0))
    }

    async fn ping(&self, _: &mut Connection) -> Result<(), fmt::Error> {
        step(&self.0.ping).await
    }

    async fn close(&self, conn: Connection) {
        self.0.closed.fetch_add(1, SeqCst);
        drop(conn);
    }
}

/// A waker that notes that it was woken.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Bell(AtomicBool::new(false)))
    }

    fn has_rung(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// A task: a future and who wakes it.
struct Task<F> {
    future: F,
    bell: Arc<Bell>,
}

type Answer = Result<PooledConnection<Scripted>, AcquireError<fmt::Error>>;

impl<F: Future + Unpin> Task<F> {
    fn new(future: F) -> Self {
        Task { future, bell: Bell::new() }
    }

    /// Polls it, and again if it was woken meanwhile.
    fn poll(&mut self) -> Option<F::Output> {
        loop {
            self.bell.0.store(false, SeqCst);
            let waker = Waker::from(self.bell.clone());
            match Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return Some(output),
                Poll::Pending if self.bell.has_rung() => {}
                Poll::Pending => return None,
            }
        }
    }

    /// Polls it if it was woken.
    fn poll_if_woken(&mut self) -> Option<F::Output> {
        if self.bell.has_rung() { self.poll() } else { None }
    }

    /// What comes of it when every other task has run as far as it can.
    fn output(mut self) -> F::Output {
        loop {
            Runtime::run();
            assert!(self.bell.has_rung(), "a lost wake-up: it waits, and nobody woke it");
            if let Some(output) = self.poll() {
                return output;
            }
        }
    }
}

impl Task<Acquire<Scripted>> {
    /// The connection that it gets.
    fn connection(self) -> PooledConnection<Scripted> {
        got(self.output())
    }
}

fn got(answer: Answer) -> PooledConnection<Scripted> {
    answer.expect("a connection")
}

const HOST: u8 = 1;
const OTHER: u8 = 2;

/// A pool, watched.
struct Stage {
    pool: Pool<Scripted>,
    watch: Watch,
}

/// What is left of a stage whose pool is gone.
struct Watch {
    core: Weak<Core<Scripted>>,
    ledger: Arc<Ledger>,
}

impl Stage {
    /// A pool whose hosts have `cap` places.
    fn new(cap: usize) -> Self {
        Stage::with(Pool::builder().acquire_timeout(None).max_per_host(cap))
    }

    /// One whose connections do not expire.
    fn with(builder: Builder) -> Self {
        Stage::of(builder.idle_timeout(None).max_lifetime(None))
    }

    fn of(builder: Builder) -> Self {
        let ledger = Ledger::new();
        let builder = builder.connect_timeout(None).close_timeout(None);
        let pool = builder.build(Scripted(ledger.clone())).expect("these settings are fine");
        let core = Arc::downgrade(&pool.host(&HOST).target().core);
        Stage { pool, watch: Watch { core, ledger } }
    }

    /// What dials come to from now on.
    fn dials(&self, step: Step) {
        *self.watch.ledger.dial.lock().expect("nobody panics here") = step;
    }

    /// What pings come to from now on.
    fn pings(&self, step: Step) {
        *self.watch.ledger.ping.lock().expect("nobody panics here") = step;
    }

    fn core(&self) -> Arc<Core<Scripted>> {
        self.watch.core.upgrade().expect("its pool is there")
    }

    /// An acquire that was not polled yet.
    fn acquire(&self, host: u8) -> Task<Acquire<Scripted>> {
        Task::new(self.pool.acquire(&host))
    }

    /// An acquire that waits.
    fn waiter(&self) -> Task<Acquire<Scripted>> {
        let mut acquire = self.acquire(HOST);
        assert!(acquire.poll().is_none(), "nothing is idle");
        acquire
    }

    /// A new connection, lent.
    fn loan(&self) -> PooledConnection<Scripted> {
        self.waiter().connection()
    }

    /// An idle connection, lent.
    fn hit(&self) -> PooledConnection<Scripted> {
        self.acquire(HOST).poll().map(got).expect("an idle connection")
    }

    /// Runs all tasks; before and after, what is true of every pool is true of this one.
    fn settle(&self) -> PoolStatus {
        self.watch.check();
        Runtime::run();
        self.watch.check();
        let status = self.pool.status();
        assert_eq!((status.dialing, status.closing), (0, 0), "no task is left");
        status
    }

    /// All tasks run, nobody waits, nothing is lent, and so many are idle.
    fn rests_with(&self, idle: usize) {
        let status = self.settle();
        assert_eq!((status.idle, status.in_use, status.waiting), (idle, 0, 0), "at rest");
    }

    /// Drops the pool.
    fn end(self) {
        drop(self.pool);
        self.watch.end();
    }
}

impl Watch {
    fn check(&self) {
        let Some(core) = self.core.upgrade() else { return };
        let now = core.clock.precise();
        let mut engines = core.all_engines();
        let checked = catch_unwind(AssertUnwindSafe(|| {
            for engine in &mut engines {
                engine.check_invariants(now, now);
            }
        }));
        // Unlocked before it panics: what the model drops meanwhile needs the lock.
        drop(engines);
        checked.unwrap_or_else(|panic| resume_unwind(panic));
    }

    /// Nobody uses the pool any more.
    fn end(self) {
        self.check();
        Runtime::run();
        let ledger = &self.ledger;
        let made = ledger.made.load(SeqCst);
        assert_eq!(ledger.closed.load(SeqCst), made, "every connection was closed, once");
        assert_eq!(ledger.dropped.load(SeqCst), made, "every connection was dropped, once");
        assert_eq!(self.core.strong_count(), 0, "nothing refers to the pool");
    }
}

fn join<T>(handle: thread::JoinHandle<T>) -> T {
    handle.join().expect("a thread of the model does not panic")
}
