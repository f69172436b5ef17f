//! Databases to test with, and what is asked of a server behind a pool's back.

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time;
use wharf::{Builder, Connector, Host, Pool, PooledConnection};
use wharf_postgres::tokio_postgres::{Client, Config, NoTls};
use wharf_postgres::{PostgresBuilder, PostgresConnector, Reset};

use servers::Server;

pub(crate) type PostgresPool = Pool<PostgresConnector>;
pub(crate) type Loan = PooledConnection<PostgresConnector>;

/// Ends a test that no server can be started for, and names it as skipped.
macro_rules! needs_server {
    () => {
        if !servers::Server::is_installed_or_skip() {
            return;
        }
    };
}
pub(crate) use needs_server;

/// What the pools' sessions are known by.
const NAME: &str = "a pool";

/// How many sessions of this database are in `pg_sleep`.
pub(crate) const SLEEPING: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND wait_event = 'PgSleep'";

pub(crate) async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    time::timeout(Duration::from_secs(60), future).await.expect("this should not hang")
}

/// Polls once, as a task would that nobody wakes.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A database of one's own, on a server that others use too.
pub(crate) struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = shared_server();
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admin = session(server.url().parse().unwrap()).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Database { server, name }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn config(&self) -> Config {
        let mut config: Config = self.server.url().parse().unwrap();
        config.dbname(&self.name);
        config
    }

    /// A session that no pool knows.
    pub(crate) async fn session(&self) -> Client {
        session(self.config()).await
    }

    pub(crate) fn connector(&self) -> PostgresConnector {
        connector(self.config())
    }

    pub(crate) fn builder(&self) -> PostgresBuilder {
        PostgresConnector::builder(named(self.config()))
    }

    pub(crate) fn pool(&self, cap: usize) -> PostgresPool {
        Pool::builder().max_per_host(cap).build(self.connector()).unwrap()
    }
}

/// A database with an empty table, a pool of one connection, and a session to look from.
pub(crate) async fn one_connection(reset: Reset) -> (Database, PostgresPool, Client) {
    let database = Database::new().await;
    let session = database.session().await;
    session.batch_execute("CREATE TABLE notes (note text)").await.unwrap();
    let connector = database.builder().reset(reset).build().unwrap();
    let pool = Pool::builder().max_per_host(1).build(connector).unwrap();
    (database, pool, session)
}

pub(crate) const NOTE: &str = "INSERT INTO notes VALUES ('draft')";
pub(crate) const NOTES: &str = "SELECT count(*) FROM notes";
pub(crate) const IN_TRANSACTION: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE application_name = 'a pool' AND datname = current_database() \
     AND state LIKE 'idle in transaction%'";

/// A borrower finds no note but its own, and what it writes stays.
pub(crate) async fn works_as_new(mut next: Loan, session: &Client) {
    within_a_minute(async {
        let seen: i64 = next.query_one(NOTES, &[]).await.unwrap().get(0);
        assert_eq!(seen, 0, "what the last borrower did not commit");
        next.execute_cached("INSERT INTO notes VALUES ('fair copy')", &[]).await.unwrap();
        until(session, NOTES, 1).await;
        let transaction = next.transaction().await.unwrap();
        transaction.execute("DELETE FROM notes", &[]).await.unwrap();
        transaction.commit().await.unwrap();
        until(session, NOTES, 0).await;
        drop(next);
        until(session, IN_TRANSACTION, 0).await;
    })
    .await;
}

/// One server for all tests that do not harm it, for as long as there is one that uses it: a static
/// would never be dropped.
fn shared_server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start(&["max_connections=200"]));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// A connector whose sessions are known by their name.
pub(crate) fn connector(config: Config) -> PostgresConnector {
    PostgresConnector::new(named(config))
}

fn named(mut config: Config) -> Config {
    config.application_name(NAME);
    config
}

/// A connector that is told the configuration of each dial.
pub(crate) fn by_key<K, F, Fut, E>(config: F) -> PostgresConnector<NoTls, K>
where
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Config, E>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    PostgresConnector::builder_by_key(config).build().unwrap()
}

/// A pool on a server of one's own.
pub(crate) fn pool_on(server: &Server, set: impl FnOnce(Builder) -> Builder) -> PostgresPool {
    set(Pool::builder()).build(connector(server.url().parse().unwrap())).unwrap()
}

/// A session that no pool knows.
pub(crate) async fn session(config: Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The server's process behind a connection; asking leaves nothing to undo.
pub(crate) async fn process(connection: &Loan) -> i32 {
    let process = connection.query_one_cached("SELECT pg_backend_pid()", &[]);
    within_a_minute(process).await.unwrap().get(0)
}

/// Acquires the only host's connection.
pub(crate) async fn acquire(pool: &PostgresPool) -> Loan {
    let host: Host<_> = pool.host(&());
    within_a_minute(host.acquire()).await.unwrap()
}

/// Waits until a statement about the server gives this number.
pub(crate) async fn until(session: &Client, sql: &str, wanted: i64) {
    within_a_minute(async {
        while session.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) != wanted {
            time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until nothing of the pool is out or under way, and the server has as many sessions of it as
/// the pool has connections; then closes the pool, and waits until it has none.
pub(crate) async fn assert_nothing_leaked(pool: &Pool<impl Connector>, session: &Client) {
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE application_name = '{NAME}' AND datname = current_database()"
    );
    within_a_minute(async {
        loop {
            let status = pool.status();
            if [status.in_use, status.dialing, status.closing, status.waiting] == [0; 4] {
                break;
            }
            time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let idle = i64::try_from(pool.status().idle).unwrap();
    until(session, &sessions, idle).await;
    within_a_minute(pool.close()).await;
    until(session, &sessions, 0).await;
}

/// An error and all its causes, in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
