//! A primary and its standby, which take each other's place.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time;
use wharf::{Backoff, Pool};
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::tokio_postgres::{Client, Config};

use crate::support::{
    Loan, PostgresPool, acquire, assert_nothing_leaked, by_key, connector, needs_server, session,
    until, within_a_minute,
};
use servers::Server;

const CAP: usize = 4;
const INSERT: &str = "INSERT INTO notes VALUES ('written')";

/// A pool of both, and a connection to the standby that no pool knows.
struct Pair {
    primary: Server,
    standby: Server,
    pool: PostgresPool,
}

impl Pair {
    async fn new() -> Self {
        let (primary, standby) = spawn_blocking(|| {
            let primary = Server::start(&["max_connections=20"]);
            let standby = primary.standby();
            (primary, standby)
        })
        .await
        .unwrap();
        let url = format!(
            "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres \
             target_session_attrs=read-write",
            primary.port(),
            standby.port()
        );
        let backoff = Backoff::default().initial(Duration::from_millis(10));
        let builder = Pool::builder().max_per_host(CAP).retry(backoff);
        let pool = builder.build(connector(url.parse().unwrap())).unwrap();
        acquire(&pool).await.batch_execute("CREATE TABLE notes (note text)").await.unwrap();
        let pair = Pair { primary, standby, pool };
        // The standby has heard of it.
        let standby = session(pair.standby.url().parse().unwrap()).await;
        until(&standby, "SELECT count(*) FROM pg_tables WHERE tablename = 'notes'", 1).await;
        pair.fill().await;
        pair
    }

    /// As many connections as there may be, all of them idle.
    async fn fill(&self) {
        let mut loans = Vec::new();
        for _ in 0..CAP {
            loans.push(acquire(&self.pool).await);
        }
        assert!(port(&loans[0]).await == i32::from(self.primary.port()));
        drop(loans);
    }

    async fn looker(&self) -> Client {
        session(self.standby.url().parse().unwrap()).await
    }
}

async fn port(loan: &Loan) -> i32 {
    loan.query_one_cached("SELECT inet_server_port()", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_standby_that_is_promoted_is_found_by_the_borrower_after_the_one_that_failed() {
    needs_server!();
    let mut pair = Pair::new().await;
    pair = spawn_blocking(move || {
        pair.standby.promote();
        pair
    })
    .await
    .unwrap();
    // The old primary lives on, and writes no more.
    let old = session(pair.primary.url().parse().unwrap()).await;
    old.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").await.unwrap();
    old.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let dials = pair.pool.status().dials;
    within_a_minute(async {
        loop {
            // The old one may not have read its settings again.
            let answer = acquire(&pair.pool).await.execute_cached(INSERT, &[]).await;
            let Err(error) = answer else { continue };
            assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
            break;
        }
    })
    .await;
    for _ in 0..CAP * 2 {
        let loan = acquire(&pair.pool).await;
        assert_eq!(port(&loan).await, i32::from(pair.standby.port()));
        loan.execute_cached(INSERT, &[]).await.unwrap();
    }
    assert_eq!(pair.pool.status().dials, dials + 1);
    assert_nothing_leaked(&pair.pool, &pair.looker().await).await;
}

#[tokio::test]
async fn a_refused_write_that_was_not_watched_is_found_by_the_reset() {
    needs_server!();
    let mut pair = Pair::new().await;
    pair = spawn_blocking(move || {
        pair.standby.promote();
        pair
    })
    .await
    .unwrap();
    let old = session(pair.primary.url().parse().unwrap()).await;
    old.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").await.unwrap();
    old.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    within_a_minute(async {
        loop {
            let loan = acquire(&pair.pool).await;
            let client: &Client = &loan;
            if client.execute(INSERT, &[]).await.is_err() {
                break;
            }
        }
        // The news comes with the reset's answer.
        while pair.pool.status().closed == 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let loan = acquire(&pair.pool).await;
    assert_eq!(port(&loan).await, i32::from(pair.standby.port()));
    loan.execute_cached(INSERT, &[]).await.unwrap();
    drop(loan);
    assert_nothing_leaked(&pair.pool, &pair.looker().await).await;
}

#[tokio::test]
async fn a_primary_that_is_gone_costs_one_request_and_the_standby_is_found_when_it_is_promoted() {
    needs_server!();
    let mut pair = Pair::new().await;
    let loan = acquire(&pair.pool).await;
    pair = spawn_blocking(move || {
        pair.primary.stop();
        pair
    })
    .await
    .unwrap();
    let error = within_a_minute(loan.execute_cached(INSERT, &[])).await.unwrap_err();
    assert!(error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN), "{error}");
    drop(loan);

    // Somebody waits already, and is not told of hosts that cannot write yet.
    let waiter = tokio::spawn({
        let pool = pair.pool.clone();
        async move { pool.acquire(&()).await.unwrap().execute_cached(INSERT, &[]).await.unwrap() }
    });
    time::sleep(Duration::from_millis(50)).await;
    pair = spawn_blocking(move || {
        pair.standby.promote();
        pair
    })
    .await
    .unwrap();
    within_a_minute(waiter).await.unwrap();
    assert_nothing_leaked(&pair.pool, &pair.looker().await).await;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    Writes,
    Reads,
}

#[tokio::test]
async fn two_keys_lead_to_the_primary_and_to_its_replica() {
    needs_server!();
    let pair = Pair::new().await;
    let hosts = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres",
        pair.primary.port(),
        pair.standby.port()
    );
    let connector = by_key(move |role: Role| {
        let of_role = if role == Role::Writes { "read-write" } else { "read-only" };
        let config = format!("{hosts} target_session_attrs={of_role}").parse::<Config>();
        async move { config }
    });
    let pool = Pool::new(connector);
    for (role, server) in [(Role::Writes, &pair.primary), (Role::Reads, &pair.standby)] {
        for _ in 0..3 {
            let loan = within_a_minute(pool.acquire(&role)).await.unwrap();
            let row = loan.query_one_cached("SELECT inet_server_port()", &[]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), i32::from(server.port()));
            let written = loan.execute_cached(INSERT, &[]).await;
            assert_eq!(written.is_ok(), role == Role::Writes);
        }
    }
    within_a_minute(pool.close()).await;
}
