//! An observer or a subscriber that blocks stops the thread that it blocks, and nothing else. In real time, on two threads.

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wharf::{
    AcquireError, Backoff, Builder, Closed, Deadlocked, DialDone, DialFailed, HealthCheck, Leaked,
    Observer, Overloaded, PingFailed, PooledConnection,
};

use crate::support::*;

/// A test that fails ends after this time.
const LIMIT: Duration = secs(20);

/// Blocks once, where it is told one thing of host 1, until it is let go.
struct Blocks {
    at: &'static str,
    /// It blocks when this many were told.
    after: AtomicUsize,
    blocked: Sender<()>,
    gate: Mutex<Receiver<()>>,
}

/// The observer, or the subscriber, and what lets it go.
struct Control {
    blocks: Arc<Blocks>,
    blocked: Receiver<()>,
    go: Sender<()>,
}

impl Control {
    fn new(at: &'static str, after: usize) -> Control {
        let ((sender, blocked), (go, gate)) = (mpsc::channel(), mpsc::channel());
        let (gate, after) = (Mutex::new(gate), AtomicUsize::new(after));
        Control { blocks: Arc::new(Blocks { at, after, blocked: sender, gate }), blocked, go }
    }
}

impl Blocks {
    fn told(&self, what: &str, host: &dyn Debug) {
        if what == self.at && format!("{host:?}") == "1" {
            self.block();
        }
    }

    fn block(&self) {
        if self.after.fetch_sub(1, Relaxed) == 0 {
            let _ = self.blocked.send(());
            let _ = self.gate.lock().unwrap().recv_timeout(2 * LIMIT);
        }
    }
}

struct Observes(Arc<Blocks>);

impl Observer for Observes {
    fn host_forgotten(&self, host: &dyn Debug) {
        self.0.told("host_forgotten", host);
    }
    fn dial_began(&self, host: &dyn Debug) {
        self.0.told("dial_began", host);
    }
    fn dial_done(&self, event: &DialDone<'_>) {
        self.0.told("dial_done", event.host);
    }
    fn dial_failed(&self, event: &DialFailed<'_>) {
        self.0.told("dial_failed", event.host);
    }
    fn ping_failed(&self, event: &PingFailed<'_>) {
        self.0.told("ping_failed", event.host);
    }
    fn leaked(&self, event: &Leaked<'_>) {
        self.0.told("leaked", event.host);
    }
    fn deadlocked(&self, event: &Deadlocked<'_>) {
        self.0.told("deadlocked", event.host);
    }
    fn overloaded(&self, event: &Overloaded<'_>) {
        self.0.told("overloaded", event.host);
    }
    fn closed(&self, event: &Closed<'_>) {
        self.0.told("closed", event.host);
    }
    fn pool_closed(&self) {
        self.0.told("pool_closed", &1);
    }
}

/// Blocks at an event or a span of host 1.
struct Subscribes(Arc<Blocks>);

impl Subscriber for Subscribes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wharf")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut |field: &Field, key: &dyn Debug| {
            if field.name() == "key" {
                self.0.told(span.metadata().name(), key);
            }
        });
        Id::from_u64(1)
    }
    fn event(&self, event: &Event<'_>) {
        let what = format!("{} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut |field: &Field, key: &dyn Debug| {
            if field.name() == "key" {
                self.0.told(&what, key);
            }
        });
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Two threads that the subscriber listens to, if there is one.
fn two_threads(subscriber: Option<Arc<Subscribes>>) -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.on_thread_start(move || {
        if let Some(subscriber) = &subscriber {
            std::mem::forget(tracing::subscriber::set_default(subscriber.clone()));
        }
    });
    runtime.worker_threads(2).enable_all().build().unwrap()
}

/// What comes of a task of the runtime.
fn outcome<T: Send + 'static>(
    runtime: &Runtime,
    task: impl Future<Output = T> + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move { sender.send(task.await) });
    receiver.recv_timeout(LIMIT).expect("held up")
}

/// Callers of another host, which nothing will serve.
fn others_time_out(pool: &TestPool, runtime: &Runtime) {
    for _ in 0..3 {
        let waiter = pool.acquire_within(&2, ms(20));
        let error = outcome(runtime, waiter).map(drop).unwrap_err();
        assert!(matches!(error, AcquireError::Timeout { .. }), "{error:?}");
    }
}

/// Two threads and a pool with one connection a host, that of host 2 on loan, and a caller of it that waits: so
/// maintenance knows that it wakes those that come.
fn play(
    control: &Control,
    set: impl FnOnce(Builder) -> Builder,
) -> (Runtime, TestPool, TestConnector, TestLoan) {
    let runtime = two_threads(Some(Arc::new(Subscribes(control.blocks.clone()))));
    let observer = Observes(control.blocks.clone());
    let (pool, connector) = pool(|b| set(b.max_per_host(1)).observer(observer));
    let kept = outcome(&runtime, pool.acquire(&2)).unwrap();
    others_time_out(&pool, &runtime);
    (runtime, pool, connector, kept)
}

/// The time-outs of others go on while it blocks where maintenance has found something to do.
fn time_outs_go_on(
    control: &Control,
    set: impl FnOnce(Builder) -> Builder,
    bring_about: impl FnOnce(&Runtime, &TestPool, &TestConnector) -> Option<TestLoan>,
) {
    let (runtime, pool, connector, kept) = play(control, set);
    let (sender, early) = mpsc::channel();
    let waiter = pool.acquire_within(&2, ms(500));
    runtime.spawn(async move { sender.send(waiter.await.map(drop)) });
    let loan = bring_about(&runtime, &pool, &connector);
    control.blocked.recv_timeout(LIMIT).expect("it is told");
    // Nothing but time wakes the other thread.
    early.recv_timeout(LIMIT).expect("held up").unwrap_err();
    others_time_out(&pool, &runtime);
    control.go.send(()).unwrap();
    drop((loan, kept));
    outcome(&runtime, pool.close());
    assert_balanced(&pool, &connector);
}

fn idle_out(runtime: &Runtime, pool: &TestPool, _: &TestConnector) -> Option<TestLoan> {
    drop(outcome(runtime, pool.acquire(&1)).unwrap());
    None
}

fn hold(runtime: &Runtime, pool: &TestPool, _: &TestConnector) -> Option<TestLoan> {
    outcome(runtime, pool.acquire(&1)).ok()
}

/// A task that waits for itself: maintenance finds that it has done so for a second.
fn wait_for_itself(runtime: &Runtime, pool: &TestPool, _: &TestConnector) -> Option<TestLoan> {
    let pool = pool.clone();
    runtime.spawn(async move {
        let _held = pool.acquire(&1).await.unwrap();
        pool.acquire_within(&1, secs(2)).await.map(drop)
    });
    None
}

/// The second dial is maintenance's, at the end of the backoff.
fn dial_again(runtime: &Runtime, pool: &TestPool, connector: &TestConnector) -> Option<TestLoan> {
    connector.once(Stage::Connect, Step::Error);
    runtime.spawn(pool.acquire(&1));
    None
}

/// Time alone wakes the dial.
fn dial_slowly(runtime: &Runtime, pool: &TestPool, connector: &TestConnector) -> Option<TestLoan> {
    connector.once(Stage::Connect, Step::Slow(ms(50)));
    runtime.spawn(pool.acquire(&1));
    None
}

fn fail_slowly(runtime: &Runtime, pool: &TestPool, connector: &TestConnector) -> Option<TestLoan> {
    connector.once(Stage::Connect, Step::SlowError(ms(50)));
    runtime.spawn(pool.acquire(&1));
    None
}

fn ping_slowly(runtime: &Runtime, pool: &TestPool, connector: &TestConnector) -> Option<TestLoan> {
    drop(outcome(runtime, pool.acquire(&1)).unwrap());
    connector.once(Stage::Ping, Step::SlowError(ms(50)));
    runtime.spawn(pool.acquire(&1));
    None
}

fn fail(runtime: &Runtime, pool: &TestPool, connector: &TestConnector) -> Option<TestLoan> {
    connector.once(Stage::Connect, Step::Error);
    outcome(runtime, pool.acquire(&1)).map(drop).unwrap_err();
    None
}

fn retries(builder: Builder) -> Builder {
    builder.retry(Backoff::default().initial(ms(20)))
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_an_idle_time_out() {
    time_outs_go_on(&Control::new("closed", 0), |b| b.idle_timeout(ms(20)), idle_out);
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_leak() {
    time_outs_go_on(&Control::new("leaked", 0), |b| b.leak_after(ms(20)), hold);
}

/// Callers that leave before they are served.
fn leave(runtime: &Runtime, pool: &TestPool, _: &TestConnector) -> Option<TestLoan> {
    let loan = outcome(runtime, pool.acquire(&1)).ok();
    for _ in 0..20 {
        runtime.spawn(pool.acquire_within(&1, ms(20)));
    }
    loan
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_overload() {
    time_outs_go_on(&Control::new("overloaded", 0), |b| b, leave);
}

#[test]
fn time_outs_go_on_while_a_subscriber_blocks_at_overload() {
    time_outs_go_on(&Control::new("WARN wharf::overload", 0), |b| b, leave);
}

/// As short as can be seen: half of the time-out.
fn soon_deadlocked(builder: Builder) -> Builder {
    builder.deadlock_warnings(true).acquire_timeout(ms(100))
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_deadlock() {
    time_outs_go_on(&Control::new("deadlocked", 0), soon_deadlocked, wait_for_itself);
}

/// The first warning is the caller's own, the second maintenance's.
#[test]
fn time_outs_go_on_while_a_subscriber_blocks_at_a_deadlock() {
    let control = Control::new("WARN wharf::deadlock", 1);
    time_outs_go_on(&control, soon_deadlocked, wait_for_itself);
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_host_that_is_forgotten() {
    time_outs_go_on(&Control::new("host_forgotten", 0), |b| b.idle_timeout(ms(20)), fail);
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_dial_after_a_backoff() {
    time_outs_go_on(&Control::new("dial_began", 1), retries, dial_again);
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_dial_that_is_done() {
    time_outs_go_on(&Control::new("dial_done", 0), |b| b, dial_slowly);
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_dial_that_failed() {
    time_outs_go_on(&Control::new("dial_failed", 0), |b| b, fail_slowly);
}

#[test]
fn time_outs_go_on_while_an_observer_blocks_at_a_ping_that_failed() {
    let checked = |b: Builder| b.health_check(HealthCheck::Always);
    time_outs_go_on(&Control::new("ping_failed", 0), checked, ping_slowly);
}

#[test]
fn time_outs_go_on_while_a_subscriber_blocks_at_an_idle_time_out() {
    time_outs_go_on(&Control::new("DEBUG wharf::close", 0), |b| b.idle_timeout(ms(20)), idle_out);
}

#[test]
fn time_outs_go_on_while_a_subscriber_blocks_at_a_leak() {
    time_outs_go_on(&Control::new("WARN wharf::loan", 0), |b| b.leak_after(ms(20)), hold);
}

#[test]
fn time_outs_go_on_while_a_subscriber_blocks_at_the_span_of_a_dial_after_a_backoff() {
    time_outs_go_on(&Control::new("dial", 1), retries, dial_again);
}

/// Those that wait for a dial are told its error first.
#[track_caller]
fn callers_have_their_error(at: &'static str) {
    let control = Control::new(at, 0);
    let (runtime, pool, connector, kept) = play(&control, |b| b);
    connector.once(Stage::Connect, Step::Error);
    let caller = pool.acquire(&1);
    let error = outcome(&runtime, caller).map(drop).unwrap_err();
    assert!(matches!(error, AcquireError::Connect { .. }), "{error:?}");
    control.blocked.recv_timeout(LIMIT).expect("it is told");
    control.go.send(()).unwrap();
    drop(kept);
    outcome(&runtime, pool.close());
    assert_balanced(&pool, &connector);
}

#[test]
fn callers_have_their_error_while_an_observer_blocks_at_a_dial_that_failed() {
    callers_have_their_error("dial_failed");
}

#[test]
fn callers_have_their_error_while_a_subscriber_blocks_at_the_begin_of_an_outage() {
    callers_have_their_error("WARN wharf::dial");
}

/// What comes back dead makes room for the next caller, whose dial begins.
#[test]
fn a_close_that_an_observer_blocks_keeps_nobody_from_the_room_that_it_makes() {
    let control = Control::new("closed", 0);
    let (runtime, pool, connector, kept) = play(&control, |b| b);
    let loan = outcome(&runtime, pool.acquire(&1)).unwrap();
    let next = pool.acquire(&1);
    let (sender, served) = mpsc::channel();
    runtime.spawn(async move { sender.send(next.await) });
    while pool.host(&1).status().waiting == 0 {
        std::thread::yield_now();
    }
    outcome(&runtime, async move { PooledConnection::discard(loan) });
    drop(served.recv_timeout(LIMIT).expect("held up").unwrap());
    control.blocked.recv_timeout(LIMIT).expect("it is told");
    control.go.send(()).unwrap();
    drop(kept);
    outcome(&runtime, pool.close());
    assert_balanced(&pool, &connector);
}

/// Its tasks do what they have to, only later.
#[test]
fn a_pool_ends_while_an_observer_blocks_at_its_end() {
    let control = Control::new("pool_closed", 0);
    let (runtime, pool, connector, kept) = play(&control, |b| b);
    let waiter = pool.acquire(&2);
    let (sender, answer) = mpsc::channel();
    runtime.spawn(async move { sender.send(waiter.await.map(drop)) });
    while pool.host(&2).status().waiting == 0 {
        std::thread::yield_now();
    }
    let closes = pool.clone();
    runtime.spawn(async move { closes.close().await });
    let error = answer.recv_timeout(LIMIT).expect("held up").unwrap_err();
    assert!(matches!(error, AcquireError::Closed), "{error:?}");
    drop(kept);
    control.blocked.recv_timeout(LIMIT).expect("it is told");
    assert_eq!(pool.status().hosts, 0);
    let error = outcome(&runtime, pool.acquire(&2)).unwrap_err();
    assert!(matches!(error, AcquireError::Closed), "{error:?}");
    control.go.send(()).unwrap();
    outcome(&runtime, pool.close());
    assert_balanced(&pool, &connector);
}

/// A dial is told to be done before its connection is handed over: other callers, also of its host, go on.
#[test]
fn an_observer_that_blocks_at_a_dial_holds_up_that_dial_only() {
    let control = Control::new("dial_done", 0);
    let runtime = two_threads(None);
    let observer = Observes(control.blocks.clone());
    let (pool, connector) = pool(|b| b.max_per_host(2).observer(observer));
    pool.add(&1, connector.make(1)).unwrap();
    let first = pool.try_acquire(&1).unwrap();
    let second = runtime.spawn(pool.acquire(&1));
    control.blocked.recv_timeout(LIMIT).expect("it is told");
    drop(first);
    drop(outcome(&runtime, second).unwrap().unwrap());
    drop(outcome(&runtime, pool.acquire(&1)).unwrap());
    drop(outcome(&runtime, pool.acquire(&2)).unwrap());
    assert_eq!(pool.host(&1).status().dialing, 1);
    control.go.send(()).unwrap();
    outcome(&runtime, pool.close());
    assert_balanced(&pool, &connector);
}

/// The dial in the place of what did not answer begins when the failed ping was told; the caller's time-out is on time.
#[test]
fn an_observer_that_blocks_at_a_failed_ping_holds_up_no_time_out() {
    let control = Control::new("ping_failed", 0);
    let (runtime, pool, connector, kept) = play(&control, |b| b.health_check(HealthCheck::Always));
    drop(outcome(&runtime, pool.acquire(&1)).unwrap());
    connector.once(Stage::Ping, Step::Error);
    let caller = pool.acquire_within(&1, ms(20));
    let error = outcome(&runtime, caller).map(drop).unwrap_err();
    assert!(matches!(error, AcquireError::Timeout { .. }), "{error:?}");
    control.blocked.recv_timeout(LIMIT).expect("it is told");
    others_time_out(&pool, &runtime);
    control.go.send(()).unwrap();
    drop(kept);
    outcome(&runtime, pool.close());
    assert_balanced(&pool, &connector);
}
