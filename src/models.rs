//! Models of the pool's races, which loom runs in every order that its threads can take.
//!
//! Run with `RUSTFLAGS="--cfg wharf_loom" cargo test --release --lib models`. The lock and the
//! atomics are loom's ([`crate::sync`]); time stands still; a spawned task lies in a list until a
//! thread of the model runs it ([`Runtime::run`]), so tasks race with the rest as that thread does.
//! Not modelled: the inside of tokio's `Notify`, whose every use is one step, and the reference
//! counts of `Arc`, which are no step of their own.
//!
//! Every model is exhaustive: no bound on preemptions. Each says which ends it must come to, so
//! that one in which the race does not happen fails. Three rules hold for all:
//!
//! - a future is polled again only when its waker was woken, unless the model says otherwise; one
//!   that still waits when all is quiet and was not woken is a lost wake-up;
//! - the engine's invariants hold once the threads have ended;
//! - in the end every connection was closed once and dropped, and nothing refers to the pool.

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

// ---------------------------------------------------------------------------------------------
// The stage
// ---------------------------------------------------------------------------------------------

/// Runs `model` in every order and asserts that it comes to just these `ends`.
fn explore(ends: &[&'static str], model: fn() -> &'static str) {
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
    explorer.preemption_bound = None;
    explorer.max_branches = 10_000;
    let seen = Arc::new(Mutex::new((BTreeSet::new(), 0_u32)));
    let note = seen.clone();
    explorer.check(move || {
        Timer::set_over(false);
        let end = model();
        let mut seen = note.lock().expect("nobody panics here");
        seen.0.insert(end);
        seen.1 += 1;
    });
    let seen = seen.lock().expect("nobody panics here");
    println!("{} orders", seen.1);
    assert_eq!(seen.0, ends.iter().copied().collect(), "the ends that it came to");
}

/// What a dial comes to.
#[derive(Clone, Copy)]
enum Dial {
    Works,
    Fails,
    /// It is dropped before its end.
    Hangs,
}

/// What a pool did with its connections. Not part of the race: the locks of `std` are one step.
struct Ledger {
    dial: Mutex<Dial>,
    made: AtomicUsize,
    closed: AtomicUsize,
    dropped: AtomicUsize,
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
        let dial = *self.0.dial.lock().expect("nobody panics here");
        match dial {
            Dial::Works => {}
            Dial::Fails => return Err(fmt::Error),
            Dial::Hangs => pending().await,
        }
        Ok(Connection::new(&self.0))
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

    fn with(builder: Builder) -> Self {
        let ledger = Arc::new(Ledger {
            dial: Mutex::new(Dial::Works),
            made: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        });
        let builder = builder.connect_timeout(None).close_timeout(None);
        let builder = builder.idle_timeout(None).max_lifetime(None);
        let pool = builder.build(Scripted(ledger.clone())).expect("these settings are fine");
        let core = Arc::downgrade(&pool.host(&HOST).target().core);
        Stage { pool, watch: Watch { core, ledger } }
    }

    fn dials(&self, dial: Dial) {
        *self.watch.ledger.dial.lock().expect("nobody panics here") = dial;
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
                engine.check_invariants(now);
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

// ---------------------------------------------------------------------------------------------
// Waiters against returns
// ---------------------------------------------------------------------------------------------

/// The central one: a waiter joins the queue while the only connection is returned. It is lent, or
/// handed over and the waiter woken; no wake-up is lost.
#[test]
fn a_waiter_that_joins_during_a_return_gets_the_connection() {
    explore(&["handed over", "lent"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let returning = thread::spawn(move || drop(loan));
        let at_once = newcomer.poll();
        let end = if at_once.is_some() { "lent" } else { "handed over" };
        let early = at_once.or_else(|| newcomer.poll_if_woken());
        join(returning);
        stage.watch.check();
        let got = early.map_or_else(|| newcomer.connection(), got);
        assert_eq!(got.id, 0, "no other was dialed");
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// Two waiters join while the only connection is returned, and whoever gets it first passes it on:
/// both get it.
#[test]
fn two_waiters_that_join_during_a_return_both_get_the_connection() {
    explore(&["both", "first", "second", "neither"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let (mut first, mut second) = (stage.acquire(HOST), stage.acquire(HOST));
        let returning = thread::spawn(move || drop(loan));
        let joining = thread::spawn(move || {
            let served = first.poll().is_some();
            (first, served)
        });
        let second_served = second.poll().is_some();
        let (first, first_served) = join(joining);
        join(returning);
        stage.watch.check();
        let end = match (first_served, second_served) {
            (true, true) => "both",
            (true, false) => "first",
            (false, true) => "second",
            (false, false) => "neither",
        };
        // Who waits behind the other is served when the other is done.
        let mut left: Vec<_> = [(first, first_served), (second, second_served)]
            .into_iter()
            .filter_map(|(task, served)| (!served).then_some(task))
            .collect();
        left.sort_by_key(|task| !task.bell.has_rung());
        for task in left {
            assert_eq!(task.connection().id, 0);
        }
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A waiter is polled by another task than before while the connection is handed to it: the task
/// that polled last is woken, if it was told to wait.
#[test]
fn a_waiter_that_changes_tasks_during_a_return_is_woken_in_the_new_one() {
    explore(&["collected", "woken"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        waiter.bell = Bell::new();
        let returning = thread::spawn(move || drop(loan));
        let early = waiter.poll();
        let end = if early.is_some() { "collected" } else { "woken" };
        join(returning);
        stage.watch.check();
        drop(early.map_or_else(|| waiter.connection(), got));
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A newcomer asks while the connection is returned that another one waits for: it never overtakes.
#[test]
fn a_newcomer_does_not_overtake_during_a_return() {
    explore(&["in order"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let returning = thread::spawn(move || drop(loan));
        assert!(newcomer.poll().is_none(), "somebody waits already");
        join(returning);
        stage.watch.check();
        assert!(!newcomer.bell.has_rung(), "it is not its turn");
        drop(waiter.connection());
        drop(newcomer.connection());
        stage.rests_with(1);
        stage.end();
        "in order"
    });
}

/// Two returns and a look at both of two waiters: each gets one connection, and the second is never
/// served before the first.
#[test]
fn two_returns_serve_two_waiters_in_order() {
    explore(&["neither yet", "the first", "both"], || {
        let stage = Stage::new(2);
        let (one, other) = (stage.loan(), stage.loan());
        let (mut first, mut second) = (stage.waiter(), stage.waiter());
        let returning = thread::spawn(move || drop(one));
        let also_returning = thread::spawn(move || drop(other));
        // Polled without being woken: this is about the order alone.
        let second_got = second.poll();
        let first_got = first.poll();
        let end = match (&first_got, &second_got) {
            (None, Some(_)) => panic!("the second was served before the first"),
            (None, None) => "neither yet",
            (Some(_), None) => "the first",
            (Some(_), Some(_)) => "both",
        };
        join(returning);
        join(also_returning);
        stage.watch.check();
        let first_got = first_got.map_or_else(|| first.connection(), got);
        let second_got = second_got.map_or_else(|| second.connection(), got);
        assert_eq!(first_got.id + second_got.id, 1, "one each");
        assert_eq!(stage.settle().in_use, 2);
        drop((first_got, second_got));
        stage.rests_with(2);
        stage.end();
        end
    });
}

/// The connection is discarded while a waiter joins the queue: its place is the waiter's, who gets
/// a new one.
#[test]
fn a_waiter_that_joins_during_a_discard_gets_a_new_connection() {
    explore(&["before", "after"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let discarding = thread::spawn(move || PooledConnection::discard(loan));
        assert!(newcomer.poll().is_none(), "nothing is idle");
        let end = if stage.pool.status().in_use == 0 { "after" } else { "before" };
        join(discarding);
        stage.watch.check();
        let got = newcomer.connection();
        assert_eq!(got.id, 1);
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The idle connection is looked at by `retain`, which keeps it, while a newcomer asks: the newcomer
/// gets it, before or after.
#[test]
fn a_connection_that_is_looked_at_goes_to_a_newcomer() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let pool = stage.pool.clone();
        let looking = thread::spawn(move || pool.retain(|_, _, _| true));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(looking);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0);
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The idle connection is looked at by `retain`, which does not keep it, while a newcomer asks: the
/// newcomer gets it before, or a new one after it was closed.
#[test]
fn a_connection_that_is_not_retained_makes_room_for_a_newcomer() {
    explore(&["lent", "a new one"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let pool = stage.pool.clone();
        let looking = thread::spawn(move || pool.retain(|_, _, _| false));
        let early = newcomer.poll().map(got);
        join(looking);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        let end = if got.id == 0 { "lent" } else { "a new one" };
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// Two hosts share one place. The connection of one is returned while a waiter joins the queue of
/// the other: it is closed for that waiter, who dials.
#[test]
fn a_return_makes_room_for_a_waiter_of_another_host() {
    explore(&["room"], || {
        let stage = Stage::with(Pool::builder().acquire_timeout(None).max_total(1));
        let loan = stage.loan();
        let mut other = stage.acquire(OTHER);
        let returning = thread::spawn(move || drop(loan));
        assert!(other.poll().is_none(), "it has to dial");
        join(returning);
        stage.watch.check();
        assert_eq!(other.connection().id, 1);
        stage.rests_with(1);
        stage.end();
        "room"
    });
}

// ---------------------------------------------------------------------------------------------
// Waiters that give up
// ---------------------------------------------------------------------------------------------

/// A connection is returned while the only waiter gives up: it may be in the waiter's hand already,
/// and is idle in the end.
#[test]
fn a_connection_for_a_waiter_that_gives_up_goes_idle() {
    explore(&["handed over", "not"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let bell = waiter.bell.clone();
        let giving_up = thread::spawn(move || drop(waiter));
        drop(loan);
        join(giving_up);
        stage.rests_with(1);
        let again = stage.hit();
        assert_eq!(again.id, 0);
        drop(again);
        stage.end();
        if bell.has_rung() { "handed over" } else { "not" }
    });
}

/// A connection is returned while the first of two waiters gives up, and the second looks when it
/// is woken: it reaches the second.
#[test]
fn a_connection_for_a_waiter_that_gives_up_goes_to_the_next() {
    explore(&["handed over twice", "handed over"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let (first, mut second) = (stage.waiter(), stage.waiter());
        let bell = first.bell.clone();
        let giving_up = thread::spawn(move || drop(first));
        let returning = thread::spawn(move || drop(loan));
        let early = second.poll_if_woken().map(got);
        join(giving_up);
        join(returning);
        stage.watch.check();
        let got = early.unwrap_or_else(|| second.connection());
        assert_eq!(got.id, 0);
        let status = stage.settle();
        assert_eq!((status.in_use, status.waiting, status.cancelled), (1, 0, 1));
        drop(got);
        stage.rests_with(1);
        stage.end();
        if bell.has_rung() { "handed over twice" } else { "handed over" }
    });
}

/// The connection is returned while the only waiter gives up and a newcomer asks: the newcomer gets
/// it, and no other is dialed.
#[test]
fn a_connection_for_a_waiter_that_gives_up_goes_to_a_newcomer() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let giving_up = thread::spawn(move || drop(waiter));
        let returning = thread::spawn(move || drop(loan));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(giving_up);
        join(returning);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0);
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// A waiter's time is over while the connection is returned: it gets it, or the pool keeps it.
#[test]
fn a_connection_for_a_waiter_whose_time_is_over_is_not_lost() {
    explore(&["delivered", "timed out"], || {
        let limit = Duration::from_secs(1);
        let stage = Stage::with(Pool::builder().acquire_timeout(limit).max_per_host(1));
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        Timer::set_over(true);
        let returning = thread::spawn(move || drop(loan));
        let answer = waiter.poll().expect("its time is over");
        join(returning);
        stage.watch.check();
        let end = match answer {
            Ok(got) => {
                assert_eq!(stage.settle().in_use, 1);
                drop(got);
                "delivered"
            }
            Err(AcquireError::Timeout(_)) => "timed out",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(1);
        assert_eq!(stage.pool.status().timed_out, u64::from(end == "timed out"));
        assert_eq!(stage.hit().id, 0);
        stage.end();
        end
    });
}

/// The time of the first of two waiters is over while the connection is returned: whichever gets
/// it, the second has it in the end.
#[test]
fn a_connection_for_a_waiter_whose_time_is_over_reaches_the_next() {
    explore(&["delivered", "timed out"], || {
        let limit = Duration::from_secs(1);
        let stage = Stage::with(Pool::builder().acquire_timeout(limit).max_per_host(1));
        let loan = stage.loan();
        let (mut first, second) = (stage.waiter(), stage.waiter());
        Timer::set_over(true);
        let returning = thread::spawn(move || drop(loan));
        let answer = first.poll().expect("its time is over");
        join(returning);
        stage.watch.check();
        Timer::set_over(false);
        let end = if answer.is_ok() { "delivered" } else { "timed out" };
        drop(answer);
        drop(second.connection());
        stage.rests_with(1);
        stage.end();
        end
    });
}

// ---------------------------------------------------------------------------------------------
// Dials
// ---------------------------------------------------------------------------------------------

/// Two newcomers ask a new host with one place at once: one dial serves both.
#[test]
fn two_newcomers_share_one_place() {
    explore(&["served"], || {
        let stage = Stage::new(1);
        let (mut first, mut second) = (stage.acquire(HOST), stage.acquire(HOST));
        let asking = thread::spawn(move || {
            assert!(first.poll().is_none(), "nothing is idle");
            first
        });
        assert!(second.poll().is_none(), "nothing is idle");
        let first = join(asking);
        stage.watch.check();
        Runtime::run();
        assert!(first.bell.has_rung() != second.bell.has_rung(), "one is served");
        let (earlier, later) =
            if first.bell.has_rung() { (first, second) } else { (second, first) };
        drop(earlier.connection());
        drop(later.connection());
        stage.rests_with(1);
        assert_eq!(stage.pool.status().dials, 1);
        stage.end();
        "served"
    });
}

/// A dial is done while its waiter gives up: the connection goes idle.
#[test]
fn a_dial_whose_waiter_gives_up_goes_idle() {
    explore(&["handed over", "not"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let bell = waiter.bell.clone();
        let dialing = thread::spawn(Runtime::run);
        drop(waiter);
        join(dialing);
        stage.rests_with(1);
        assert_eq!(stage.hit().id, 0);
        assert_eq!(stage.pool.status().dials, 1);
        stage.end();
        if bell.has_rung() { "handed over" } else { "not" }
    });
}

/// A dial is done while the waiter who caused it gives up and another one joins: the connection
/// serves that one.
#[test]
fn a_dial_whose_waiter_gives_up_serves_the_next() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let dialing = thread::spawn(Runtime::run);
        let giving_up = thread::spawn(move || drop(waiter));
        let early = newcomer.poll().map(got);
        let end = if early.is_some() { "lent" } else { "handed over" };
        join(dialing);
        join(giving_up);
        stage.watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, 0);
        drop(got);
        stage.rests_with(1);
        assert_eq!(stage.pool.status().dials, 1);
        stage.end();
        end
    });
}

/// A dial is done while another connection is returned: the waiter gets what comes first, and the
/// other goes idle.
#[test]
fn a_dial_and_a_return_serve_a_waiter_once() {
    explore(&["by the return", "by the dial"], || {
        let stage = Stage::new(2);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        drop(loan);
        join(dialing);
        stage.watch.check();
        let got = waiter.connection();
        let status = stage.settle();
        assert_eq!((status.idle, status.in_use), (1, 1));
        let end = if got.id == 0 { "by the return" } else { "by the dial" };
        drop(got);
        stage.rests_with(2);
        stage.end();
        end
    });
}

/// A dial that `warm` has begun is done while `warm` is polled: it is told.
#[test]
fn warming_is_told_of_its_dial() {
    explore(&["at once", "woken"], || {
        let stage = Stage::new(1);
        let mut warm = Task::new(stage.pool.warm(&HOST, 1));
        let dialing = thread::spawn(Runtime::run);
        let early = warm.poll();
        let end = if early.is_some() { "at once" } else { "woken" };
        join(dialing);
        stage.watch.check();
        early.unwrap_or_else(|| warm.output()).expect("it works");
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// The pool is closed while `warm` is polled for its dial: it is told at once.
#[test]
fn warming_is_told_of_the_end() {
    explore(&["closed"], || {
        let stage = Stage::new(1);
        let mut warm = Task::new(stage.pool.warm(&HOST, 1));
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || drop(pool.close()));
        let early = warm.poll();
        join(closing);
        stage.watch.check();
        // Not only when the dial ends.
        let result = early.or_else(|| warm.poll_if_woken()).expect("it is told");
        assert!(matches!(result, Err(WarmError::Closed)));
        drop(warm);
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}

/// A connection is added while a newcomer asks: it gets that one or its own dial, and the other goes
/// idle.
#[test]
fn an_added_connection_meets_a_newcomer() {
    explore(&["lent", "handed over"], || {
        let stage = Stage::new(2);
        let ledger = stage.watch.ledger.clone();
        let pool = stage.pool.clone();
        let adding = thread::spawn(move || {
            let added = pool.add(&HOST, Connection::new(&ledger));
            added.expect("there is room");
        });
        let mut newcomer = stage.acquire(HOST);
        let early = newcomer.poll().map(got);
        join(adding);
        stage.watch.check();
        let end = if early.is_some() { "lent" } else { "handed over" };
        drop(early.unwrap_or_else(|| newcomer.connection()));
        let dials = stage.settle().dials;
        stage.rests_with(1 + usize::try_from(dials).expect("a few"));
        stage.end();
        end
    });
}

/// A dial fails while another waiter joins: the first gets the error; the newcomer gets it too, or
/// a dial of its own.
#[test]
fn a_waiter_that_joins_during_a_failing_dial_is_not_forgotten() {
    explore(&["an error", "a connection"], || {
        let stage = Stage::new(1);
        stage.dials(Dial::Fails);
        let waiter = stage.waiter();
        let mut newcomer = stage.acquire(HOST);
        let dialing = thread::spawn(Runtime::run);
        let early = newcomer.poll();
        join(dialing);
        stage.watch.check();
        // A second dial has failed by now, or is still to run.
        stage.dials(Dial::Works);
        assert!(matches!(waiter.output(), Err(AcquireError::Connect(_))));
        let end = match early.unwrap_or_else(|| newcomer.output()) {
            Ok(_) => "a connection",
            Err(AcquireError::Connect(_)) => "an error",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(usize::from(end == "a connection"));
        stage.end();
        end
    });
}

/// A dial fails while the only other connection is discarded: the waiter whom that one would have
/// served gets the error or a new dial.
#[test]
fn a_waiter_behind_a_failing_dial_and_a_discard_is_not_forgotten() {
    explore(&["the error", "a new dial"], || {
        let stage = Stage::new(2);
        let loan = stage.loan();
        stage.dials(Dial::Fails);
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        PooledConnection::discard(loan);
        join(dialing);
        stage.watch.check();
        stage.dials(Dial::Works);
        let end = match waiter.output() {
            Ok(_) => "a new dial",
            Err(AcquireError::Connect(_)) => "the error",
            Err(error) => panic!("{error}"),
        };
        stage.rests_with(usize::from(end == "a new dial"));
        stage.end();
        end
    });
}

/// A dial dies with its runtime while its waiter is polled in another task: that task is woken, and
/// dials again.
#[test]
fn a_dial_that_is_lost_wakes_its_waiter() {
    explore(&["dials again"], || {
        let stage = Stage::new(1);
        stage.dials(Dial::Hangs);
        let mut waiter = stage.waiter();
        waiter.bell = Bell::new();
        let dialing = thread::spawn(Runtime::run);
        assert!(waiter.poll().is_none(), "nothing was dialed");
        join(dialing);
        stage.watch.check();
        stage.dials(Dial::Works);
        drop(waiter.connection());
        stage.rests_with(1);
        stage.end();
        "dials again"
    });
}

/// A dial dies with its runtime while its waiter gives up and another one is queued: that one
/// dials.
#[test]
fn a_dial_that_is_lost_with_its_waiter_is_begun_by_the_next() {
    explore(&["dials again"], || {
        let stage = Stage::new(1);
        stage.dials(Dial::Hangs);
        let (first, second) = (stage.waiter(), stage.waiter());
        let dialing = thread::spawn(Runtime::run);
        drop(first);
        join(dialing);
        stage.watch.check();
        stage.dials(Dial::Works);
        drop(second.connection());
        stage.rests_with(1);
        stage.end();
        "dials again"
    });
}

// ---------------------------------------------------------------------------------------------
// The end
// ---------------------------------------------------------------------------------------------

/// The only loan is returned, and its connection closed, while the pool is closed and waited for:
/// it is closed once, and whoever waits for that is woken.
#[test]
fn closing_waits_for_a_return() {
    explore(&["empty at once", "woken"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let returning = thread::spawn(move || {
            drop(loan);
            Runtime::run();
        });
        let mut close = Task::new(stage.pool.close());
        let early = close.poll();
        let end = if early.is_some() { "empty at once" } else { "woken" };
        join(returning);
        stage.watch.check();
        early.unwrap_or_else(|| close.output());
        assert!(stage.pool.is_closed());
        assert_eq!(stage.watch.ledger.closed.load(SeqCst), 1);
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// The loan that a waiter waits for is returned while the pool is closed: the waiter gets it or
/// `Closed`, and the pool becomes empty.
#[test]
fn closing_answers_a_waiter_during_a_return() {
    explore(&["served", "closed"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let returning = thread::spawn(move || drop(loan));
        let close = Task::new(stage.pool.close());
        join(returning);
        stage.watch.check();
        close_answers(stage, waiter, close)
    });
}

/// A dial is done while the pool is closed: its waiter gets the connection or `Closed`, and the
/// pool becomes empty.
#[test]
fn closing_waits_for_a_dial() {
    explore(&["served", "closed"], || {
        let stage = Stage::new(1);
        let waiter = stage.waiter();
        let dialing = thread::spawn(Runtime::run);
        let close = Task::new(stage.pool.close());
        join(dialing);
        stage.watch.check();
        close_answers(stage, waiter, close)
    });
}

fn close_answers(
    stage: Stage,
    waiter: Task<Acquire<Scripted>>,
    mut close: Task<crate::Close>,
) -> &'static str {
    let end = match waiter.output() {
        Ok(got) => {
            assert!(close.poll().is_none(), "a loan is out");
            drop(got);
            close.output();
            "served"
        }
        Err(AcquireError::Closed) => {
            Runtime::run();
            close.poll().expect("nothing is out");
            "closed"
        }
        Err(error) => panic!("{error}"),
    };
    stage.rests_with(0);
    stage.end();
    end
}

/// Two close the pool at once while its connection is idle: it is closed once, and both see the
/// pool empty.
#[test]
fn two_may_close_a_pool() {
    explore(&["closed"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let pool = stage.pool.clone();
        let closing = thread::spawn(move || {
            let mut close = Task::new(pool.close());
            let early = close.poll();
            (close, early)
        });
        let mut close = Task::new(stage.pool.close());
        let early = close.poll();
        let (other, other_early) = join(closing);
        stage.watch.check();
        Runtime::run();
        early.unwrap_or_else(|| close.output());
        other_early.unwrap_or_else(|| other.output());
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}

/// A newcomer asks while the pool is closed: it is lent the idle connection or gets `Closed`, and
/// is never left waiting.
#[test]
fn a_newcomer_at_the_end_is_answered() {
    explore(&["lent", "closed"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let asking = thread::spawn(move || (newcomer.poll(), newcomer));
        let mut close = Task::new(stage.pool.close());
        let (answer, newcomer) = join(asking);
        stage.watch.check();
        let end = match answer.unwrap_or_else(|| newcomer.output()) {
            Ok(got) => {
                drop(got);
                "lent"
            }
            Err(AcquireError::Closed) => "closed",
            Err(error) => panic!("{error}"),
        };
        Runtime::run();
        close.poll().expect("nothing is out");
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// A newcomer finds nothing idle and joins the queue while the pool is closed: it gets `Closed`, at
/// once or by a wake-up.
#[test]
fn a_newcomer_that_waits_at_the_end_is_answered() {
    explore(&["at once", "woken"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut newcomer = stage.acquire(HOST);
        let asking = thread::spawn(move || (newcomer.poll(), newcomer));
        let mut close = Task::new(stage.pool.close());
        let (early, newcomer) = join(asking);
        stage.watch.check();
        let end = if early.is_some() { "at once" } else { "woken" };
        let answer = early.unwrap_or_else(|| newcomer.output());
        assert!(matches!(answer, Err(AcquireError::Closed)));
        drop(loan);
        Runtime::run();
        close.poll().expect("nothing is out");
        stage.rests_with(0);
        stage.end();
        end
    });
}

/// The last handle goes while the only loan is returned: nothing stays idle, and nothing is left of
/// the pool.
#[test]
fn the_last_handle_leaves_nothing_behind_during_a_return() {
    explore(&["gone"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let Stage { pool, watch } = stage;
        let returning = thread::spawn(move || drop(loan));
        drop(pool);
        join(returning);
        watch.end();
        "gone"
    });
}

/// The last handle goes while the only loan is returned and a waiter looks when it is woken: the
/// waiter is served, and then nothing is left.
#[test]
fn the_last_handle_leaves_waiters_to_be_served() {
    explore(&["served early", "served"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let mut waiter = stage.waiter();
        let Stage { pool, watch } = stage;
        let returning = thread::spawn(move || drop(loan));
        let leaving = thread::spawn(move || drop(pool));
        let early = waiter.poll_if_woken().map(got);
        let end = if early.is_some() { "served early" } else { "served" };
        join(returning);
        join(leaving);
        watch.check();
        let got = early.unwrap_or_else(|| waiter.connection());
        assert_eq!(got.id, 0);
        drop(got);
        watch.end();
        end
    });
}

/// The last handle goes while an acquire made with it is polled for the first time: it is served,
/// from the idle list or by a dial, and then nothing is left.
#[test]
fn the_last_handle_leaves_acquires_to_be_served() {
    explore(&["hit", "dial"], || {
        let stage = Stage::new(1);
        drop(stage.loan());
        let mut newcomer = stage.acquire(HOST);
        let Stage { pool, watch } = stage;
        let leaving = thread::spawn(move || drop(pool));
        let early = newcomer.poll().map(got);
        join(leaving);
        watch.check();
        let got = early.unwrap_or_else(|| newcomer.connection());
        let end = if got.id == 0 { "hit" } else { "dial" };
        drop(got);
        watch.end();
        end
    });
}

/// The two last handles, a pool and a host, go at once while the only loan is returned: one of them
/// is the last, and nothing is left.
#[test]
fn of_two_handles_that_go_at_once_one_is_the_last() {
    explore(&["gone"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let host = stage.pool.host(&HOST);
        let Stage { pool, watch } = stage;
        let returning = thread::spawn(move || drop(loan));
        let leaving = thread::spawn(move || drop(host));
        drop(pool);
        join(returning);
        join(leaving);
        watch.end();
        "gone"
    });
}

// ---------------------------------------------------------------------------------------------
// Caps and epochs that change
// ---------------------------------------------------------------------------------------------

/// The cap is lowered to one while one of two loans is returned: one connection stays.
#[test]
fn a_cap_that_is_lowered_during_a_return_holds_in_the_end() {
    explore(&["lowered"], || {
        let stage = Stage::new(2);
        let (one, other) = (stage.loan(), stage.loan());
        let host = stage.pool.host(&HOST);
        let returning = thread::spawn(move || drop(one));
        host.set_max(1).expect("one is allowed");
        join(returning);
        let status = stage.settle();
        assert_eq!((status.idle, status.in_use), (0, 1), "the loan has the one place");
        drop(other);
        stage.rests_with(1);
        drop(host);
        stage.end();
        "lowered"
    });
}

/// The cap is lowered to one while one of two loans is returned for which a waiter waits: the waiter
/// gets that one or the other, and one connection stays.
#[test]
fn a_cap_that_is_lowered_during_a_hand_over_leaves_no_waiter_behind() {
    explore(&["served by the first", "served by the second"], || {
        let stage = Stage::new(2);
        let (one, other) = (stage.loan(), stage.loan());
        let waiter = stage.waiter();
        let host = stage.pool.host(&HOST);
        let returning = thread::spawn(move || drop(one));
        host.set_max(1).expect("one is allowed");
        join(returning);
        let status = stage.settle();
        let end = match (status.in_use, status.waiting) {
            (2, 0) => "served by the first",
            (1, 1) => "served by the second",
            counts => panic!("{counts:?}"),
        };
        drop(other);
        drop(waiter.connection());
        stage.rests_with(1);
        drop(host);
        stage.end();
        end
    });
}

/// The cap is raised to two while the loan that a waiter waits for is returned: the waiter is
/// served once; a dial that was begun for it goes idle.
#[test]
fn a_cap_that_is_raised_during_a_return_serves_the_waiter_once() {
    explore(&["by the return", "with a dial to spare"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let waiter = stage.waiter();
        let host = stage.pool.host(&HOST);
        let returning = thread::spawn(move || drop(loan));
        host.set_max(2).expect("two are allowed");
        join(returning);
        stage.watch.check();
        drop(waiter.connection());
        let status = stage.settle();
        let end = if status.dials == 1 { "by the return" } else { "with a dial to spare" };
        stage.rests_with(usize::try_from(status.dials).expect("a few"));
        drop(host);
        stage.end();
        end
    });
}

/// The host is retired while its connection is returned: it is closed, never lent again.
#[test]
fn a_connection_returned_while_its_host_is_retired_is_closed() {
    explore(&["retired"], || {
        let stage = Stage::new(1);
        let loan = stage.loan();
        let returning = thread::spawn(move || drop(loan));
        stage.pool.retire(&HOST);
        join(returning);
        stage.rests_with(0);
        stage.end();
        "retired"
    });
}
