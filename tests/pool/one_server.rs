//! What errors say where the key is `()`: nothing of the host, unless the connector has a name for it.

use std::fmt;

use tracing::Level;
use tracing::subscriber::set_default;
use wharf::test_util::{Stage, Step, TestConnector, TestError};
use wharf::{
    AcquireError, Builder, Connector, HealthCheck, Pool, PooledConnection, WarmError, Wrapper,
};

use crate::log::Log;
use crate::support::secs;

/// Gives the one server a name, or leaves it as it is.
struct Shown {
    connector: TestConnector<()>,
    name: Option<&'static str>,
}

impl Wrapper for Shown {
    type Inner = TestConnector<()>;

    fn inner(&self) -> &TestConnector<()> {
        &self.connector
    }

    fn fmt_key(&self, key: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => f.write_str(name),
            None => self.connector.fmt_key(key, f),
        }
    }
}

type Texts = Vec<String>;

struct Test {
    connector: TestConnector<()>,
    pool: Pool<Shown>,
}

fn test(name: Option<&'static str>, set: impl FnOnce(Builder) -> Builder) -> Test {
    let connector = TestConnector::new();
    let shown = Shown { connector: connector.clone(), name };
    let pool = set(Pool::builder().max_per_host(1)).build(shown).unwrap();
    Test { connector, pool }
}

impl Test {
    async fn lend(&self) -> PooledConnection<Shown> {
        self.pool.acquire(&()).await.unwrap()
    }

    async fn refused(&self) -> AcquireError<TestError> {
        self.pool.acquire(&()).await.unwrap_err()
    }

    async fn not_warm(&self, n: usize) -> WarmError<TestError> {
        self.pool.warm(&(), n).await.unwrap_err()
    }

    /// The part of a time-out's text that may name the host.
    async fn timed_out(&self) -> String {
        let text = self.refused().await.to_string();
        text.split(" in use").next().unwrap().to_owned()
    }
}

const FAILURES: [Step; 3] = [Step::Error, Step::Never, Step::Panic];

async fn acquires(name: Option<&'static str>) -> Texts {
    let mut texts = Texts::new();
    for step in FAILURES {
        let test = test(name, |b| b);
        test.connector.once(Stage::Connect, step);
        texts.push(test.refused().await.to_string());
    }
    let full = test(name, |b| b.max_waiters_per_host(0));
    let _loan = full.lend().await;
    texts.push(full.refused().await.to_string());
    texts
}

async fn time_outs(name: Option<&'static str>) -> Texts {
    let soon = |b: Builder| b.acquire_timeout(secs(2));
    let held = test(name, soon);
    let _loan = held.lend().await;
    let slow = test(name, soon);
    slow.connector.once(Stage::Connect, Step::Never);
    let mute = test(name, |b| soon(b).health_check(HealthCheck::Always));
    drop(mute.lend().await);
    mute.connector.always(Stage::Ping, Step::Never);
    vec![held.timed_out().await, slow.timed_out().await, mute.timed_out().await]
}

async fn warms(name: Option<&'static str>) -> Texts {
    let mut texts = Texts::new();
    for step in FAILURES {
        let test = test(name, |b| b);
        test.connector.once(Stage::Connect, step);
        texts.push(test.not_warm(1).await.to_string());
    }
    let one = test(name, |b| b);
    texts.push(one.not_warm(3).await.to_string());
    let total = test(name, |b| b.max_per_host(5).max_total(1));
    texts.push(total.not_warm(3).await.to_string());
    texts
}

async fn adds(name: Option<&'static str>) -> Texts {
    let Test { connector, pool } = test(name, |b| b);
    let dead = connector.make(());
    dead.kill();
    let dead = pool.add(&(), dead).unwrap_err().to_string();
    let _loan = pool.acquire(&()).await.unwrap();
    vec![dead, pool.add(&(), connector.make(())).unwrap_err().to_string()]
}

async fn all(name: Option<&'static str>) -> String {
    let mut texts = acquires(name).await;
    texts.extend(time_outs(name).await);
    texts.extend(warms(name).await);
    texts.extend(adds(name).await);
    texts.join("\n")
}

const WITHOUT_A_NAME: &str = "\
no connection: told to fail
the dial took longer than connect_timeout (10 s); raise it or look at the network
the connector panicked while dialing; the panic hook has said why
the queue is full: max_waiters_per_host (0) callers wait already; raise max_per_host or look for \
loans that are never returned
timed out after 2.0 s waiting for a connection: 1 of 1
timed out after 2.0 s waiting for a dial: 0 of 1
timed out after 2.0 s waiting for a ping: 0 of 1
no connection: told to fail
the dial took longer than connect_timeout (10 s); raise it or look at the network
the connector panicked while dialing; the panic hook has said why
no room for 3 connections: max_per_host is 1
no room for 3 connections: max_total or max_dialing leaves none, or the runtime of a dial has ended
the connection that was to be added is not open
no room for another connection: max_per_host (1), max_total or a limit of idle connections is reached";

const WITH_A_NAME: &str = "\
no connection to orders-db: told to fail
the dial to orders-db took longer than connect_timeout (10 s); raise it or look at the network
the connector panicked while dialing orders-db; the panic hook has said why
the queue for orders-db is full: max_waiters_per_host (0) callers wait already; raise max_per_host or look for \
loans that are never returned
timed out after 2.0 s waiting for a connection to orders-db: 1 of 1
timed out after 2.0 s waiting for a dial to orders-db: 0 of 1
timed out after 2.0 s waiting for a ping to orders-db: 0 of 1
no connection to orders-db: told to fail
the dial to orders-db took longer than connect_timeout (10 s); raise it or look at the network
the connector panicked while dialing orders-db; the panic hook has said why
no room for 3 connections to orders-db: max_per_host is 1
no room for 3 connections to orders-db: max_total or max_dialing leaves none, or the runtime of a dial has ended
the connection to orders-db that was to be added is not open
no room for another connection to orders-db: max_per_host (1), max_total or a limit of idle connections is reached";

#[tokio::test(start_paused = true)]
async fn errors_of_a_pool_for_one_server_leave_the_host_out() {
    assert_eq!(all(None).await, WITHOUT_A_NAME);
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_pool_for_one_server_show_the_name_that_the_connector_has_for_it() {
    assert_eq!(all(Some("orders-db")).await, WITH_A_NAME);
}

#[tokio::test(start_paused = true)]
async fn the_log_shows_the_name_of_the_one_server() {
    let log = Log::default();
    let _guard = set_default(log.without_spans(Level::WARN));
    for name in [None, Some("orders-db")] {
        let test = test(name, |b| b);
        test.connector.once(Stage::Connect, Step::Error);
        test.refused().await;
    }
    let lines = log.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("cannot be dialed key=() "), "{lines:?}");
    assert!(lines[1].contains("cannot be dialed key=orders-db "), "{lines:?}");
}
