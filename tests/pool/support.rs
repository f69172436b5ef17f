//! A connector that does as it is told, and counts.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Semaphore;
use wharf::{Acquire, Builder, Connector, Pool, PooledConnection, async_trait};

pub(crate) type TestPool = Pool<TestConnector>;
pub(crate) type TestLoan = PooledConnection<TestConnector>;

/// What a stage does when it is reached.
#[derive(Clone)]
pub(crate) enum Step {
    Ok,
    Error,
    /// Takes so long, then succeeds.
    Slow(Duration),
    Never,
    Panic,
    /// Waits for a permit, then succeeds.
    Gate(Arc<Semaphore>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Connect,
    Ping,
    Close,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestError;

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told to fail")
    }
}

impl std::error::Error for TestError {}

/// What was counted. A connection is live from the end of `connect` until it is dropped, and open
/// until it is dropped or known to be dead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dials: usize,
    pub(crate) dialing: usize,
    pub(crate) peak_dialing: usize,
    pub(crate) made: usize,
    pub(crate) dropped: usize,
    pub(crate) pings: usize,
    pub(crate) closes: usize,
    /// Dialing and open, in all and by host.
    pub(crate) open: usize,
    pub(crate) peak_open: usize,
    pub(crate) open_of: HashMap<u32, usize>,
    pub(crate) peak_of: HashMap<u32, usize>,
    pub(crate) dialing_of: HashMap<u32, usize>,
    /// Pings under way by host, where a connection is pinged by one borrower at a time.
    pub(crate) pinging_of: HashMap<u32, usize>,
}

impl Counts {
    pub(crate) fn live(&self) -> usize {
        self.made - self.dropped
    }

    fn open(&mut self, host: u32) {
        self.open += 1;
        self.peak_open = self.peak_open.max(self.open);
        let open = self.open_of.entry(host).or_default();
        *open += 1;
        let peak = self.peak_of.entry(host).or_default();
        *peak = (*peak).max(*open);
    }

    fn shut(&mut self, host: u32) {
        self.open -= 1;
        *self.open_of.get_mut(&host).unwrap() -= 1;
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Step>,
    then: Option<Step>,
}

type Watch = Box<dyn FnMut(u32, &Counts) + Send>;

#[derive(Default)]
struct State {
    counts: Counts,
    scripts: HashMap<Stage, Script>,
    /// Decides where no script does.
    chance: Option<Box<dyn FnMut(Stage) -> Step + Send>>,
    /// Told at once of every host of which more or less is open or dialed than before.
    watch: Option<Watch>,
    pulses: Vec<Arc<AtomicBool>>,
    is_open_panics: bool,
    failed_pings_kill: bool,
    nothing_is_retryable: bool,
    closed: Vec<u32>,
}

impl State {
    fn changed(&mut self, host: u32) {
        if let Some(watch) = &mut self.watch {
            watch(host, &self.counts);
        }
    }
}

/// Hosts are numbers. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct TestConnector(Arc<Mutex<State>>);

/// Alive until killed; counts its end.
pub(crate) struct TestConnection {
    pub(crate) number: usize,
    host: u32,
    pulse: Arc<AtomicBool>,
    is_buried: bool,
    connector: TestConnector,
    /// Run when it is dropped.
    pub(crate) at_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl TestConnection {
    pub(crate) fn is_alive(&self) -> bool {
        self.pulse.load(Ordering::SeqCst)
    }

    pub(crate) fn kill(&self) {
        self.pulse.store(false, Ordering::SeqCst);
    }

    /// It is known to be dead from now on: the pool may dial another in its place.
    pub(crate) fn bury(&mut self) {
        if !std::mem::replace(&mut self.is_buried, true) {
            let mut state = self.connector.state();
            state.counts.shut(self.host);
            state.changed(self.host);
        }
    }
}

impl Drop for TestConnection {
    fn drop(&mut self) {
        self.bury();
        self.connector.state().counts.dropped += 1;
        if let Some(at_drop) = self.at_drop.take() {
            at_drop();
        }
    }
}

impl TestConnector {
    pub(crate) fn new() -> Self {
        TestConnector::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// What the stage does from now on.
    pub(crate) fn always(&self, stage: Stage, step: Step) {
        self.state().scripts.entry(stage).or_default().then = Some(step);
    }

    /// What the stage does once, before anything else.
    pub(crate) fn once(&self, stage: Stage, step: Step) {
        self.state().scripts.entry(stage).or_default().next.push_back(step);
    }

    /// Makes a stage wait for permits of the semaphore that comes back.
    pub(crate) fn gate(&self, stage: Stage) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.always(stage, Step::Gate(gate.clone()));
        gate
    }

    /// What every stage does where it was told nothing else.
    pub(crate) fn leave_to_chance(&self, chance: impl FnMut(Stage) -> Step + Send + 'static) {
        self.state().chance = Some(Box::new(chance));
    }

    /// Every connection made so far is no longer open.
    pub(crate) fn kill_all(&self) {
        self.state().pulses.iter().for_each(|pulse| pulse.store(false, Ordering::SeqCst));
    }

    /// The connection with this number is no longer open.
    #[allow(dead_code)] // For programs.
    pub(crate) fn kill(&self, number: usize) {
        self.state().pulses[number].store(false, Ordering::SeqCst);
    }

    /// From now on everything goes well: what was told to the stages is forgotten.
    #[allow(dead_code)] // For programs.
    pub(crate) fn behave(&self) {
        let mut state = self.state();
        state.scripts.clear();
        state.chance = None;
    }

    /// Calls `watch`, with the connector locked, whenever more or less is open or dialed.
    #[allow(dead_code)] // For programs.
    pub(crate) fn watch(&self, watch: impl FnMut(u32, &Counts) + Send + 'static) {
        self.state().watch = Some(Box::new(watch));
    }

    pub(crate) fn let_is_open_panic(&self) {
        self.state().is_open_panics = true;
    }

    /// A connection whose ping does not end well is dead, and not only unknown to be alive.
    #[allow(dead_code)] // For programs.
    pub(crate) fn let_failed_pings_kill(&self) {
        self.state().failed_pings_kill = true;
    }

    pub(crate) fn let_no_error_be_retryable(&self) {
        self.state().nothing_is_retryable = true;
    }

    /// The hosts of the connections that were closed, in order.
    pub(crate) fn closed_hosts(&self) -> Vec<u32> {
        self.state().closed.clone()
    }

    fn step(&self, stage: Stage) -> Step {
        let mut state = self.state();
        let script = state.scripts.entry(stage).or_default();
        let told = script.next.pop_front().or_else(|| script.then.clone());
        let chance = state.chance.as_mut();
        told.or_else(|| chance.map(|chance| chance(stage))).unwrap_or(Step::Ok)
    }

    async fn run(&self, stage: Stage) -> Result<(), TestError> {
        match self.step(stage) {
            Step::Ok => {}
            Step::Error => return Err(TestError),
            Step::Slow(time) => tokio::time::sleep(time).await,
            Step::Never => std::future::pending().await,
            // Without the hook, which would print it: a program may panic a thousand times.
            Step::Panic => std::panic::resume_unwind(Box::new("told to panic")),
            Step::Gate(gate) => gate.acquire().await.unwrap().forget(),
        }
        Ok(())
    }

    /// What a ping does.
    pub(crate) async fn answer(&self) -> Result<(), TestError> {
        self.state().counts.pings += 1;
        self.run(Stage::Ping).await
    }

    /// A connection made elsewhere.
    pub(crate) fn make(&self, host: u32) -> TestConnection {
        let mut state = self.state();
        state.counts.open(host);
        self.finish(host, &mut state)
    }

    fn finish(&self, host: u32, state: &mut State) -> TestConnection {
        let number = state.counts.made;
        state.counts.made += 1;
        let pulse = Arc::new(AtomicBool::new(true));
        state.pulses.push(pulse.clone());
        let connector = self.clone();
        TestConnection { number, host, pulse, is_buried: false, connector, at_drop: None }
    }
}

/// A dial that counts as one until it is dropped.
struct Dial<'a>(&'a TestConnector, u32, bool);

impl Drop for Dial<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.counts.dialing -= 1;
        *state.counts.dialing_of.get_mut(&self.1).unwrap() -= 1;
        if !self.2 {
            state.counts.shut(self.1);
        }
        state.changed(self.1);
    }
}

/// A connection whose ping is under way: it is dead if that does not end well.
struct Pinged<'a>(&'a mut TestConnection, bool);

impl<'a> Pinged<'a> {
    fn new(conn: &'a mut TestConnection) -> Self {
        *conn.connector.state().counts.pinging_of.entry(conn.host).or_default() += 1;
        Pinged(conn, false)
    }
}

impl Drop for Pinged<'_> {
    fn drop(&mut self) {
        *self.0.connector.state().counts.pinging_of.get_mut(&self.0.host).unwrap() -= 1;
        if !self.1 {
            self.0.bury();
            if self.0.connector.state().failed_pings_kill {
                self.0.kill();
            }
        }
    }
}

#[async_trait]
impl Connector for TestConnector {
    type Key = u32;
    type Connection = TestConnection;
    type Error = TestError;

    async fn connect(&self, &host: &u32) -> Result<TestConnection, TestError> {
        {
            let mut state = self.state();
            let counts = &mut state.counts;
            counts.dials += 1;
            counts.dialing += 1;
            *counts.dialing_of.entry(host).or_default() += 1;
            counts.peak_dialing = counts.peak_dialing.max(counts.dialing);
            counts.open(host);
            state.changed(host);
        }
        let mut dial = Dial(self, host, false);
        self.run(Stage::Connect).await?;
        dial.2 = true;
        Ok(self.finish(host, &mut self.state()))
    }

    fn is_open(&self, conn: &mut TestConnection) -> bool {
        let panics = self.state().is_open_panics;
        assert!(!panics, "told to panic");
        let is_open = conn.is_alive();
        if !is_open {
            conn.bury();
        }
        is_open
    }

    fn is_retryable(&self, _: &TestError) -> bool {
        !self.state().nothing_is_retryable
    }

    async fn ping(&self, conn: &mut TestConnection) -> Result<(), TestError> {
        let mut pinged = Pinged::new(conn);
        self.answer().await?;
        pinged.1 = pinged.0.is_alive();
        if pinged.1 { Ok(()) } else { Err(TestError) }
    }

    async fn close(&self, conn: TestConnection) {
        {
            let mut state = self.state();
            state.counts.closes += 1;
            state.closed.push(conn.host);
        }
        let _ = self.run(Stage::Close).await;
        drop(conn);
    }
}

/// A pool with the settings given, and its connector.
pub(crate) fn pool(set: impl FnOnce(Builder) -> Builder) -> (TestPool, TestConnector) {
    let connector = TestConnector::new();
    let pool = set(Pool::builder()).build(connector.clone()).unwrap();
    (pool, connector)
}

/// A pool with a cap for each host, and its connector.
pub(crate) fn pool_of(cap: usize) -> (TestPool, TestConnector) {
    pool(|builder| builder.max_per_host(cap))
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets every task do what it can without time passing, but for a moment.
pub(crate) async fn quiet() {
    tokio::time::sleep(ms(1)).await;
}

/// Polls once, as a task would that nobody wakes.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// An acquire that waits: polled once.
pub(crate) fn waiting(pool: &TestPool, host: u32) -> Acquire<TestConnector> {
    let mut acquire = pool.acquire(&host);
    assert!(poll(&mut acquire).is_pending(), "something was lent at once");
    acquire
}

/// The connection that must be there.
pub(crate) fn ready(acquire: &mut Acquire<TestConnector>) -> TestLoan {
    match poll(acquire) {
        Poll::Ready(Ok(loan)) => loan,
        Poll::Ready(Err(error)) => panic!("{error}"),
        Poll::Pending => panic!("still waiting"),
    }
}

/// Nothing is out or under way, and the pool and its connector agree on what there is.
#[track_caller]
pub(crate) fn assert_balanced(pool: &TestPool, connector: &TestConnector) {
    let (status, counts) = (pool.status(), connector.counts());
    let out = [status.in_use, status.dialing, status.closing, status.waiting];
    assert_eq!(out, [0; 4], "in use, dialing, closing, waiting");
    assert_eq!(counts.live(), status.idle, "connections live, idle");
    assert_eq!(counts.open, status.idle, "connections open, idle");
}
