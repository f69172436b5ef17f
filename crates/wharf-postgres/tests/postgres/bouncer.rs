//! A database behind PgBouncer, which lends its sessions for a transaction at a time.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wharf::Pool;
use wharf_postgres::tokio_postgres::Client;
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::tokio_postgres::types::Type;
use wharf_postgres::{PostgresBuilder, PostgresConnector, Reset};

use servers::Server;
use servers::package::{PGBOUNCER, program, skip};

use crate::support::{
    PostgresPool, SLEEPING, acquire, needs_server, session, until, within_a_minute,
};

/// How many sessions it has for all its clients.
const SESSIONS: usize = 2;
const CAP: usize = 8;

/// Ends a test that has no PgBouncer, and names it as skipped.
macro_rules! needs_bouncer {
    () => {
        needs_server!();
        if !PGBOUNCER.is_installed_or_skip() {
            return;
        }
    };
}

struct Bouncer {
    running: Child,
    port: u16,
    server: Server,
}

/// Whether it can keep prepared statements in this mode: from version 1.21 on. Before, it does not know the setting.
/// From version 1.24 on it does so unless it is told not to.
fn can_keep_statements() -> bool {
    let pgbouncer = program("pgbouncer").unwrap();
    let told = Command::new(pgbouncer).arg("--version").output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    let version = told.lines().next().unwrap().trim_start_matches("PgBouncer ");
    let minor = version.strip_prefix("1.").and_then(|rest| rest.split('.').next());
    let minor: u32 = minor.and_then(|minor| minor.parse().ok()).expect("a version");
    minor >= 21
}

impl Bouncer {
    /// One that keeps no prepared statements.
    fn start() -> Self {
        Bouncer::start_with(if can_keep_statements() {
            "max_prepared_statements = 0\n"
        } else {
            ""
        })
    }

    fn start_with(setting: &str) -> Self {
        let server = Server::start(&["max_connections=20"]);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {SESSIONS}\n{setting}",
            server.port(),
        );
        let running = server.run_beside(&program("pgbouncer").unwrap(), &["-q"], &settings);
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "PgBouncer does not start");
            thread::sleep(Duration::from_millis(10));
        }
        Bouncer { running, port, server }
    }

    fn builder(&self) -> PostgresBuilder {
        let url = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port);
        PostgresConnector::builder(url.parse().unwrap())
    }

    fn pool(&self) -> PostgresPool {
        let connector = self.builder().transaction_pooling(true).build().unwrap();
        Pool::builder().max_per_host(CAP).build(connector).unwrap()
    }

    /// A session that PgBouncer knows nothing of.
    async fn looker(&self) -> Client {
        let looker = session(self.server.url().parse().unwrap()).await;
        looker.batch_execute("CREATE TABLE notes (number int8, note text)").await.unwrap();
        looker
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

async fn work(pool: PostgresPool, number: i64) {
    let mut loan = pool.acquire(&()).await.unwrap();
    let row = loan
        .query_one_cached(
            "SELECT $1::int8, $2, $3, $4::bool",
            &[&number, &format!("note {number}"), &None::<String>, &true],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), number);
    assert_eq!(row.get::<_, &str>(1), format!("note {number}"));
    let insert = "INSERT INTO notes VALUES ($1, $2)";
    let transaction = loan.begin().await.unwrap();
    transaction
        .execute_typed(insert, &[(&number, Type::INT8), (&"kept", Type::TEXT)])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(loan.execute_cached(insert, &[&number, &"another"]).await.unwrap(), 1);
    let rows = loan.query_cached("SELECT note FROM notes WHERE number = $1", &[&number]).await;
    assert_eq!(rows.unwrap().len(), 2);
    let delete = "DELETE FROM notes WHERE number = $1 AND note = 'another' RETURNING note";
    assert!(loan.query_opt_cached(delete, &[&number]).await.unwrap().is_some());
    // Left open, and seen by nobody else.
    let transaction = loan.begin().await.unwrap();
    transaction.batch_execute("INSERT INTO notes VALUES (-1, 'never')").await.unwrap();
}

#[tokio::test]
async fn many_connections_share_few_sessions_and_everybody_has_its_own_answers() {
    needs_bouncer!();
    let bouncer = Bouncer::start();
    let looker = bouncer.looker().await;
    let pool = bouncer.pool();
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        tasks.spawn(work(pool.clone(), number));
    }
    within_a_minute(tasks.join_all()).await;
    until(&looker, "SELECT count(DISTINCT number) FROM notes", 64).await;
    until(&looker, "SELECT count(*) FROM notes", 64).await;
    let status = pool.status();
    assert_eq!((status.dials, status.closed), (CAP as u64, 0));
    let sessions = "SELECT count(*) FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    until(&looker, sessions, i64::try_from(SESSIONS).unwrap()).await;
    within_a_minute(pool.close()).await;
}

#[tokio::test]
async fn a_query_that_was_cut_off_is_cancelled_through_the_bouncer() {
    needs_bouncer!();
    let bouncer = Bouncer::start();
    let looker = bouncer.looker().await;
    let pool = bouncer.pool();
    // More than there are sessions, so that one that is held up holds up others.
    for nth in 0..3 * SESSIONS {
        let mut loan = acquire(&pool).await;
        let sleep = "SELECT pg_sleep(600)";
        let sleeps = async {
            if nth % 2 == 0 {
                loan.query_cached(sleep, &[]).await.unwrap();
            } else {
                let transaction = loan.transaction().await.unwrap();
                transaction.batch_execute(sleep).await.unwrap();
            }
        };
        within_a_minute(async {
            tokio::select! {
                () = sleeps => panic!("it should sleep"),
                () = until(&looker, SLEEPING, 1) => {}
            }
        })
        .await;
        drop(loan);
        until(&looker, SLEEPING, 0).await;
        for _ in 0..10 {
            acquire(&pool).await.query_one_cached("SELECT 1", &[]).await.unwrap();
        }
    }
    within_a_minute(pool.close()).await;
}

#[tokio::test]
async fn without_the_setting_statements_are_looked_for_in_the_wrong_session() {
    needs_bouncer!();
    let bouncer = Bouncer::start();
    let pool = Pool::builder().max_per_host(CAP).build(bouncer.builder().build().unwrap()).unwrap();
    let (first, second) = (acquire(&pool).await, acquire(&pool).await);
    let statement = first.prepare_cached("SELECT 1").await.unwrap();
    within_a_minute(async {
        loop {
            // It holds one session, which may be the one that the statement is in.
            second.batch_execute("BEGIN").await.unwrap();
            let answer = first.query_one(&statement, &[]).await;
            second.batch_execute("ROLLBACK").await.unwrap();
            if let Err(error) = answer {
                assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_bouncer_that_keeps_statements_needs_no_setting() {
    needs_bouncer!();
    if !can_keep_statements() {
        skip("this PgBouncer is older than 1.21 and cannot keep prepared statements");
        return;
    }
    let bouncer = Bouncer::start_with("max_prepared_statements = 10\n");
    let looker = bouncer.looker().await;
    looker.batch_execute("CREATE TYPE mood AS ENUM ('happy')").await.unwrap();
    for is_told in [false, true] {
        let connector = bouncer.builder().transaction_pooling(is_told).build().unwrap();
        let pool = Pool::builder().max_per_host(CAP).build(connector).unwrap();
        let (first, second) = (acquire(&pool).await, acquire(&pool).await);
        let statement = first.prepare("SELECT $1::int8").await.unwrap();
        for nth in 0..20_i64 {
            // It holds one session, which may be the one that the statement was prepared in.
            second.batch_execute("BEGIN").await.unwrap();
            let row = first.query_one(&statement, &[&nth]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), nth);
            // More texts than it keeps, and a type that has to be looked up.
            let text = format!("SELECT {nth}::int8, 'happy'::mood WHERE $1");
            let row = first.query_one(&text, &[&true]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), nth);
            assert!(first.query_one_cached(&text[..text.len() - 9], &[]).await.is_ok());
            second.batch_execute("ROLLBACK").await.unwrap();
        }
    }
}

#[test]
fn a_session_that_is_not_ours_cannot_be_discarded() {
    let builder = PostgresConnector::builder("host=127.0.0.1 user=postgres".parse().unwrap());
    let builder = builder.reset(Reset::Discard).transaction_pooling(true);
    assert_eq!(builder.build().unwrap_err().field, "reset");
}
