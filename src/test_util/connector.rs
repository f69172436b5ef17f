//! The connector that a test tells what to do.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;

use super::connection::TestConnection;
use super::counts::Counts;
use super::error::TestError;
use super::gate::Gate;
use super::ledger::Ledger;
use super::step::{Stage, Step};
use crate::connector::Connector;

/// Makes [`TestConnection`]s, does what it is told, and counts. Clones share everything.
///
/// `K` is the pool's key. `T` is what a connection holds: nothing, or what the test puts there by
/// [`making`](TestConnector::making).
///
/// Everything succeeds at once unless the test says otherwise: what a stage was told to do
/// [once](TestConnector::once) comes first, in that order, then what it
/// [always](TestConnector::always) does.
///
/// # Examples
///
/// A server that refuses twice and then is there:
///
/// ```
/// use wharf::test_util::{Stage, Step, TestConnector};
/// use wharf::{Backoff, Pool};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = TestConnector::<u16>::new();
/// connector.once(Stage::Connect, Step::Error);
/// connector.once(Stage::Connect, Step::Error);
///
/// let pool = Pool::builder().retry(Backoff::default()).build(connector.clone())?;
/// assert!(pool.acquire(&5432).await.is_ok());
/// assert_eq!(connector.counts().dials, 3);
/// # Ok(()) }
/// ```
///
/// Connections with something at the other end:
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
/// use wharf::Pool;
/// use wharf::test_util::TestConnector;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = TestConnector::making(|_host: &String| -> DuplexStream {
///     let (near, mut far) = duplex(64);
///     tokio::spawn(async move { far.write_all(b"hello").await });
///     near
/// });
/// let pool = Pool::new(connector);
/// let mut loan = pool.acquire("localhost").await?;
/// let mut words = String::new();
/// loan.read_to_string(&mut words).await?;
/// assert_eq!(words, "hello");
/// # Ok(()) }
/// ```
pub struct TestConnector<K, T = ()> {
    ledger: Arc<Ledger<K>>,
    make: Arc<dyn Fn(&K) -> T + Send + Sync>,
}

/// # Making one
impl<K, T> TestConnector<K, T> {
    /// Makes a connector whose connections hold the default of `T`: nothing, as a rule.
    pub fn new() -> Self
    where
        T: Default,
    {
        TestConnector::making(|_| T::default())
    }

    /// Makes a connector whose connections hold what `make` makes, at the end of a successful dial.
    pub fn making(make: impl Fn(&K) -> T + Send + Sync + 'static) -> Self {
        TestConnector { ledger: Arc::new(Ledger::new()), make: Arc::new(make) }
    }
}

/// # Telling it what to do
impl<K, T> TestConnector<K, T> {
    /// What the stage does once, after what it was told to do once before and before anything else.
    pub fn once(&self, stage: Stage, step: Step) {
        self.ledger.state().once(stage, step);
    }

    /// What the stage does from now on.
    pub fn always(&self, stage: Stage, step: Step) {
        self.ledger.state().always(stage, step);
    }

    /// Makes the stage wait at the gate that comes back, from now on.
    pub fn gate(&self, stage: Stage) -> Gate {
        let gate = Gate::new();
        self.always(stage, Step::Gate(gate.clone()));
        gate
    }

    /// Asks `chance` what to do wherever a stage was told nothing else.
    pub fn leave_to_chance(&self, chance: impl FnMut(Stage) -> Step + Send + 'static) {
        self.ledger.leave_to(Box::new(chance));
    }

    /// Lets everything go well from now on: what the stages were told is forgotten, and
    /// [`leave_to_chance`](Self::leave_to_chance) with it.
    pub fn behave(&self) {
        self.ledger.behave();
    }

    /// Ends the connection with this [`number`](TestConnection::number).
    ///
    /// # Panics
    ///
    /// When there was none.
    pub fn kill(&self, number: usize) {
        self.ledger.state().kill(number);
    }

    /// Ends every connection made so far, as a server does that goes down: none is open when it is
    /// asked next.
    pub fn kill_all(&self) {
        self.ledger.state().kill_all();
    }

    /// Lets [`is_open`](Connector::is_open) panic from now on.
    pub fn let_is_open_panic(&self) {
        self.ledger.state().is_open_panics = true;
    }

    /// Lets a connection whose ping does not end well be dead from then on, and not only silent.
    pub fn let_failed_pings_kill(&self) {
        self.ledger.state().failed_pings_kill = true;
    }

    /// Tells `watch` of each host at the very moment when more or less of it is open or dialed, with what
    /// is counted by then. The connector is locked: `watch` may look at the counts, and at nothing else
    /// of it.
    pub fn watch(&self, watch: impl FnMut(&K, &Counts<K>) + Send + 'static) {
        let old = self.ledger.state().watch(Box::new(watch));
        drop(old);
    }

    /// Lets [`is_retryable`](Connector::is_retryable) say no from now on, as after a wrong password.
    pub fn let_no_error_be_retryable(&self) {
        self.ledger.state().nothing_is_retryable = true;
    }
}

/// # Looking
impl<K: Clone, T> TestConnector<K, T> {
    /// What was counted so far.
    pub fn counts(&self) -> Counts<K> {
        self.ledger.state().counts.clone()
    }

    /// The hosts of the connections that were closed, in order.
    pub fn closed_hosts(&self) -> Vec<K> {
        self.ledger.state().closed.clone()
    }
}

/// # Doing it
impl<K, T> TestConnector<K, T>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// A connection made elsewhere, as for [`Pool::add`](crate::Pool::add).
    pub fn make(&self, host: K) -> TestConnection<T> {
        let mut state = self.ledger.state();
        state.counts.open(&host);
        state.changed(&host);
        drop(state);
        self.finish(host)
    }

    /// Does what a ping does, for connectors that wrap this one.
    ///
    /// # Errors
    ///
    /// When it was told to fail.
    pub async fn answer(&self) -> Result<(), TestError> {
        self.ledger.state().counts.pings += 1;
        self.run(Stage::Ping).await
    }

    fn finish(&self, host: K) -> TestConnection<T> {
        let held = (self.make)(&host);
        let (number, pulse) = self.ledger.state().made(host);
        TestConnection::new(number, pulse, self.ledger.clone(), held)
    }

    async fn run(&self, stage: Stage) -> Result<(), TestError> {
        match self.ledger.step(stage) {
            Step::Ok => Ok(()),
            Step::Error => Err(TestError),
            Step::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Step::Never => std::future::pending().await,
            // Past the hook that prints panics: there may be thousands.
            Step::Panic => std::panic::resume_unwind(Box::new("told to panic")),
            Step::Gate(gate) => gate.pass().await,
        }
    }
}

/// A dial that counts as one until it is dropped, and as open if it did not end well.
struct Dial<'a, K: Clone + Eq + Hash> {
    ledger: &'a Ledger<K>,
    host: &'a K,
    is_done: bool,
}

impl<'a, K: Clone + Eq + Hash> Dial<'a, K> {
    fn begin(ledger: &'a Ledger<K>, host: &'a K) -> Self {
        let mut state = ledger.state();
        state.counts.begin_dial(host);
        state.changed(host);
        Dial { ledger, host, is_done: false }
    }
}

impl<K: Clone + Eq + Hash> Drop for Dial<'_, K> {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.counts.end_dial(self.host);
        if !self.is_done {
            state.counts.shut(self.host);
        }
        state.changed(self.host);
    }
}

/// A connection whose ping is under way: it is dead if that does not end well.
struct Pinged<'a, K: Clone + Eq + Hash, T> {
    ledger: &'a Ledger<K>,
    host: K,
    connection: &'a mut TestConnection<T>,
    has_answered: bool,
}

impl<'a, K: Clone + Eq + Hash, T> Pinged<'a, K, T> {
    fn begin(ledger: &'a Ledger<K>, connection: &'a mut TestConnection<T>) -> Self {
        let host = ledger.state().begin_ping(connection.number);
        Pinged { ledger, host, connection, has_answered: false }
    }
}

impl<K: Clone + Eq + Hash, T> Drop for Pinged<'_, K, T> {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.counts.end_ping(&self.host);
        let kills = state.failed_pings_kill;
        drop(state);
        if !self.has_answered {
            self.connection.bury();
            if kills {
                self.connection.kill();
            }
        }
    }
}

#[async_trait]
impl<K, T> Connector for TestConnector<K, T>
where
    K: Clone + Eq + Hash + Debug + Send + Sync + 'static,
    T: Send + 'static,
{
    type Key = K;
    type Connection = TestConnection<T>;
    type Error = TestError;

    async fn connect(&self, host: &K) -> Result<TestConnection<T>, TestError> {
        let mut dial = Dial::begin(&self.ledger, host);
        self.run(Stage::Connect).await?;
        let connection = self.finish(host.clone());
        dial.is_done = true;
        Ok(connection)
    }

    async fn ping(&self, connection: &mut TestConnection<T>) -> Result<(), TestError> {
        let mut pinged = Pinged::begin(&self.ledger, connection);
        self.answer().await?;
        pinged.has_answered = pinged.connection.is_alive();
        if pinged.has_answered { Ok(()) } else { Err(TestError) }
    }

    fn is_open(&self, connection: &mut TestConnection<T>) -> bool {
        let panics = self.ledger.state().is_open_panics;
        assert!(!panics, "told to panic");
        let is_open = connection.is_alive();
        if !is_open {
            connection.bury();
        }
        is_open
    }

    fn is_retryable(&self, _: &TestError) -> bool {
        !self.ledger.state().nothing_is_retryable
    }

    async fn close(&self, connection: TestConnection<T>) {
        self.ledger.state().begin_close(connection.number);
        let _ = self.run(Stage::Close).await;
        drop(connection);
    }
}

impl<K, T: Default> Default for TestConnector<K, T> {
    fn default() -> Self {
        TestConnector::new()
    }
}

impl<K, T> Clone for TestConnector<K, T> {
    fn clone(&self) -> Self {
        TestConnector { ledger: self.ledger.clone(), make: self.make.clone() }
    }
}

impl<K: Clone + Debug, T> Debug for TestConnector<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestConnector").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
