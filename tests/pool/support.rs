//! Pools with the scripted connector, whose hosts are numbers, and what looks at them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wharf::{Acquire, Builder, Pool, PooledConnection, test_util};

pub(crate) use wharf::test_util::{Stage, Step, TestError};

pub(crate) type TestConnector = test_util::TestConnector<u32, Held>;
pub(crate) type TestConnection = test_util::TestConnection<Held>;
pub(crate) type TestPool = Pool<TestConnector>;
pub(crate) type TestLoan = PooledConnection<TestConnector>;

/// What a connection holds.
#[derive(Default)]
pub(crate) struct Held {
    /// Run when it is dropped.
    pub(crate) at_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(at_drop) = self.at_drop.take() {
            at_drop();
        }
    }
}

/// A pool with the settings given, and its connector. As in release builds: one task of a test often holds what it waits
/// for.
pub(crate) fn pool(set: impl FnOnce(Builder) -> Builder) -> (TestPool, TestConnector) {
    let connector = TestConnector::new();
    let builder = Pool::builder().deadlock_warnings(false);
    let pool = set(builder).build(connector.clone()).unwrap();
    (pool, connector)
}

/// A pool with a cap for each host, and its connector.
pub(crate) fn pool_of(cap: usize) -> (TestPool, TestConnector) {
    pool(|builder| builder.max_per_host(cap))
}

/// The pool knows that the host's server is quick, and has nothing open there: it dials for all who wait.
pub(crate) async fn learn(pool: &TestPool, host: u32) -> wharf::Host<TestConnector> {
    let handle = pool.host(&host);
    drop(handle.acquire().await.unwrap());
    pool.close_idle();
    quiet().await;
    assert_eq!(handle.status().idle, 0);
    handle
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
