//! Warnings of slow statements.

use std::time::Duration;

use wharf::Pool;
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::{Config, Error};

use crate::log::Log;
use crate::support::{
    Database, PostgresPool, acquire, assert_nothing_leaked, needs_server, within_a_minute,
};

/// Slow for a limit of a millisecond.
const SLOW: &str = "SELECT pg_sleep(0.01), $1::text AS who";
const LIMIT: Duration = Duration::from_millis(1);
/// Passed as a parameter.
const SECRET: &str = "swordfish";

fn pool(database: &Database, limit: Option<Duration>) -> PostgresPool {
    let connector = database.builder().slow_statement(limit).build().unwrap();
    Pool::builder().max_per_host(1).build(connector).unwrap()
}

/// The warnings that name this statement. tokio-postgres logs parameters by itself.
fn warnings(log: &Log, statement: &str) -> Vec<String> {
    let text = log.text();
    let of_ours =
        text.lines().filter(|line| line.contains("WARN") && line.contains("a slow statement"));
    of_ours.filter(|line| line.contains(statement)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_slow_statement_is_logged_with_its_text_and_never_with_its_parameters() {
    needs_server!();
    let database = Database::new().await;
    let pool = pool(&database, Some(LIMIT));
    let mut loan = acquire(&pool).await;
    let log = Log::begin();
    let statement = loan.prepare_cached(SLOW).await.unwrap();
    let elsewhere = loan.prepare("SELECT pg_sleep(0.01), $1::text AS whence").await.unwrap();
    loan.query(SLOW, &[&SECRET]).await.unwrap();
    loan.query_one_cached(SLOW, &[&SECRET]).await.unwrap();
    loan.query_opt(&statement, &[&SECRET]).await.unwrap();
    loan.query_one(&elsewhere, &[&SECRET]).await.unwrap();
    let transaction = loan.begin().await.unwrap();
    transaction.execute(&statement, &[&SECRET]).await.unwrap();
    transaction.query_one(SLOW, &[&SECRET]).await.unwrap();
    transaction.commit().await.unwrap();

    let found = warnings(&log, SLOW);
    let name = database.config().get_dbname().unwrap().to_owned();
    assert!(found.len() >= 5, "{found:?}");
    for line in &found {
        assert!(line.contains("wharf::postgres") && line.contains("took="), "{line}");
        assert!(line.contains("answered") && line.contains(&format!("/{name}")), "{line}");
    }
    // On a busy machine its preparation is slow, too.
    assert!(!warnings(&log, "whence").is_empty(), "{found:?}");
    let shown = warnings(&log, "").concat();
    assert!(!shown.contains(SECRET), "{shown}");
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn without_a_limit_or_below_it_nothing_is_logged() {
    needs_server!();
    let database = Database::new().await;
    for limit in [None, Some(Duration::from_secs(3600))] {
        let pool = pool(&database, limit);
        let loan = acquire(&pool).await;
        let log = Log::begin();
        loan.query(SLOW, &[&SECRET]).await.unwrap();
        assert!(warnings(&log, "").is_empty(), "{}", log.text());
    }
}

#[tokio::test]
async fn a_slow_statement_that_fails_or_is_dropped_is_logged_too() {
    needs_server!();
    let database = Database::new().await;
    let pool = pool(&database, Some(LIMIT));
    let loan = acquire(&pool).await;
    let log = Log::begin();
    let failing = "SELECT 1 / length($1::text || pg_sleep(0.01)::text)";
    loan.query_cached(failing, &[&""]).await.unwrap_err();
    let endless = "SELECT pg_sleep(600), $1::text";
    let query = loan.query(endless, &[&SECRET]);
    assert!(tokio::time::timeout(Duration::from_millis(20), query).await.is_err());
    for (statement, outcome) in [(failing, "failed"), (endless, "dropped")] {
        let found = warnings(&log, statement);
        assert!(found.last().is_some_and(|line| line.contains(outcome)), "{found:?}");
    }
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn a_slow_commit_is_logged() {
    needs_server!();
    let database = Database::new().await;
    let slow_commit = "CREATE TABLE notes (note text); \
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END'; \
        CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED \
        FOR EACH ROW EXECUTE FUNCTION dawdle()";
    database.session().await.batch_execute(slow_commit).await.unwrap();
    let pool = pool(&database, Some(LIMIT));
    let mut loan = acquire(&pool).await;
    let log = Log::begin();
    let transaction = loan.begin().await.unwrap();
    transaction.batch_execute("INSERT INTO notes VALUES ('draft')").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(warnings(&log, "COMMIT").len(), 1);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn a_long_text_is_shortened_and_the_database_is_shown_by_its_key() {
    needs_server!();
    let database = Database::new().await;
    let config = database.config();
    let connector = PostgresConnector::builder_by_key(move |_: &'static str| {
        let config: Config = config.clone();
        async move { Ok::<_, Error>(config) }
    });
    let pool = Pool::new(connector.slow_statement(LIMIT).build().unwrap());
    let loan = within_a_minute(pool.acquire(&"orders")).await.unwrap();
    let log = Log::begin();
    let text = format!("SELECT pg_sleep(0.01) /* {} the end */", "x".repeat(2_000));
    loan.batch_execute(&text).await.unwrap();
    let found = warnings(&log, "pg_sleep").concat();
    assert!(found.contains("orders") && found.contains("xxx…"), "{found}");
    assert!(!found.contains("the end"), "{found}");
}

#[test]
fn a_limit_of_zero_is_rejected() {
    let builder = PostgresConnector::builder("host=127.0.0.1 user=postgres".parse().unwrap());
    let error = builder.slow_statement(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.field, "slow_statement");
    assert_eq!(error.value, "0s");
}
