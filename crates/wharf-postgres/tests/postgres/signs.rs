//! What a connector tells of its connections: when the server was heard, and whether they have
//! failed.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wharf::Connector;
use wharf_postgres::{PostgresClient, PostgresConnector};

use crate::proxy::Proxy;
use crate::support::{Database, SLEEPING, needs_server, poll, until, within_a_minute};

struct Bench {
    database: Database,
    connector: PostgresConnector,
    connection: PostgresClient,
}

impl Bench {
    async fn new() -> Self {
        let database = Database::new().await;
        let connector = database.connector();
        assert!(connector.notices_close());
        let connection = connector.connect(&()).await.unwrap();
        Bench { database, connector, connection }
    }

    fn last_heard(&self) -> Instant {
        self.connector.last_heard(&self.connection).unwrap()
    }

    /// Returns whether the connection has failed, once it is not open.
    async fn has_failed(&mut self) -> bool {
        within_a_minute(async {
            while self.connector.is_open(&mut self.connection) {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        self.connector.has_failed(&mut self.connection)
    }

    /// An administrator ends the session.
    async fn terminate(&self) {
        let session = self.database.session().await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert_eq!(session.execute(end, &[]).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_server_is_heard_when_it_answers_and_not_while_it_is_silent() {
    needs_server!();
    let mut bench = Bench::new().await;
    let dialed = bench.last_heard();
    bench.connection.query_one("SELECT 1", &[]).await.unwrap();
    let heard = bench.last_heard();
    assert!(heard > dialed);
    bench.connection.query_one("SELECT nothing", &[]).await.unwrap_err();
    let refused = bench.last_heard();
    assert!(refused > heard, "a refusal is an answer");

    {
        let mut asked = pin!(bench.connection.batch_execute("SELECT pg_sleep(600)"));
        assert!(poll(asked.as_mut()).is_pending());
    }
    let session = bench.database.session().await;
    until(&session, SLEEPING, 1).await;
    assert_eq!(bench.last_heard(), refused, "a request that is dropped proves nothing");
    within_a_minute(Connector::reset(&bench.connector, &mut bench.connection)).await.unwrap();
    let reset = bench.last_heard();
    assert!(reset > refused);
    bench.connector.ping(&mut bench.connection).await.unwrap();
    assert!(bench.last_heard() > reset);
}

#[tokio::test]
async fn a_session_that_an_administrator_ends_has_failed() {
    needs_server!();
    let mut idle = Bench::new().await;
    idle.terminate().await;
    assert!(idle.has_failed().await);

    let mut busy = Bench::new().await;
    let session = busy.database.session().await;
    let (slept, ()) = within_a_minute(async {
        tokio::join!(busy.connection.query("SELECT pg_sleep(600)", &[]), async {
            until(&session, SLEEPING, 1).await;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event = 'PgSleep'";
            session.execute(end, &[]).await.unwrap();
        })
    })
    .await;
    slept.unwrap_err();
    assert!(!busy.connector.is_open(&mut busy.connection));
    assert!(busy.connector.has_failed(&mut busy.connection));
}

#[tokio::test]
async fn a_connection_that_is_cut_has_failed() {
    needs_server!();
    let database = Database::new().await;
    let proxy = Proxy::start(([127, 0, 0, 1], database.server().port()).into()).await;
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let connector: PostgresConnector = url.parse().unwrap();
    let connection = connector.connect(&()).await.unwrap();
    let mut bench = Bench { database, connector, connection };
    assert_eq!(proxy.cut(), 1);
    assert!(bench.has_failed().await);
}

#[tokio::test]
async fn a_session_that_the_server_ends_because_it_is_idle_has_not_failed() {
    needs_server!();
    let mut bench = Bench::new().await;
    // In milliseconds.
    bench.connection.batch_execute("SET idle_session_timeout = 10").await.unwrap();
    assert!(!bench.has_failed().await);
    bench.connection.query_one("SELECT 1", &[]).await.unwrap_err();
    assert!(!bench.connector.has_failed(&mut bench.connection));
}

#[tokio::test]
async fn a_connection_whose_borrower_can_interrupt_it_is_not_lent_and_has_not_failed() {
    needs_server!();
    let mut bench = Bench::new().await;
    let _token = bench.connection.cancel_token();
    assert!(!bench.has_failed().await);
}
