//! Prepared statements that are kept.

use wharf::Pool;
use wharf_postgres::PostgresClient;
use wharf_postgres::tokio_postgres::SimpleQueryMessage;
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::tokio_postgres::types::Type;

use crate::support::{
    Database, PostgresPool, acquire, assert_nothing_leaked, needs_server, process, within_a_minute,
};

const BY_ID: &str = "SELECT * FROM items WHERE id = $1";

async fn database() -> Database {
    let database = Database::new().await;
    let items = "CREATE TABLE items (id int); INSERT INTO items VALUES (1)";
    database.session().await.batch_execute(items).await.unwrap();
    database
}

/// A pool of one connection, which caches this number of statements.
fn caching(database: &Database, statements: usize) -> PostgresPool {
    let connector = database.builder().statement_cache_capacity(statements).build().unwrap();
    Pool::builder().max_per_host(1).build(connector).unwrap()
}

/// The texts that the server has prepared for this connection, the oldest first.
async fn texts(connection: &PostgresClient) -> Vec<String> {
    let texts =
        "SELECT statement FROM pg_prepared_statements WHERE NOT from_sql ORDER BY prepare_time";
    let messages = connection.simple_query(texts).await.unwrap();
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// How many statements the server has prepared for this connection.
async fn prepared(connection: &PostgresClient) -> usize {
    texts(connection).await.len()
}

#[tokio::test]
async fn a_statement_is_prepared_once_for_each_connection_and_type() {
    needs_server!();
    let database = database().await;
    let pool = database.pool(1);
    for _ in 0..3 {
        let loan = acquire(&pool).await;
        loan.prepare_cached(BY_ID).await.unwrap();
        loan.prepare_typed_cached("SELECT $1", &[Type::INT8]).await.unwrap();
        let text = loan.prepare_typed_cached("SELECT $1", &[Type::TEXT]).await.unwrap();
        assert_eq!(text.params(), [Type::TEXT]);
        assert_eq!(loan.query_cached(BY_ID, &[&1]).await.unwrap().len(), 1);
        assert_eq!(prepared(&loan).await, 3);
    }
    let loan = acquire(&pool).await;
    loan.clear_cached();
    assert_eq!(prepared(&loan).await, 0);
    assert_eq!(loan.execute_cached(BY_ID, &[&1]).await.unwrap(), 1);
    assert!(loan.query_opt_cached(BY_ID, &[&2]).await.unwrap().is_none());
    assert!(loan.query_one_cached(BY_ID, &[&2]).await.is_err());
    assert_eq!(prepared(&loan).await, 1);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn a_statement_that_is_prepared_twice_at_once_is_kept_once() {
    needs_server!();
    let database = database().await;
    let pool = database.pool(1);
    let loan = acquire(&pool).await;
    let (one, other) = tokio::join!(loan.prepare_cached(BY_ID), loan.prepare_cached(BY_ID));
    drop((one.unwrap(), other.unwrap()));
    assert_eq!(prepared(&loan).await, 1);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn of_many_texts_the_server_keeps_256_and_those_that_are_used_often() {
    needs_server!();
    let database = database().await;
    let pool = database.pool(1);
    let loan = acquire(&pool).await;
    loan.query_cached(BY_ID, &[&1]).await.unwrap();
    for nth in 0..3_000 {
        let text = format!("SELECT id + {nth} FROM items WHERE id = $1");
        assert_eq!(loan.query_one_cached(&text, &[&1]).await.unwrap().get::<_, i32>(0), nth + 1);
        if nth % 100 == 0 {
            loan.query_cached(BY_ID, &[&1]).await.unwrap();
        }
    }
    let kept = texts(&loan).await;
    assert_eq!(kept.len(), 256);
    // It was prepared once, before all others.
    assert_eq!(kept[0], BY_ID);
    assert!(kept[1].contains("2745"), "{}", kept[1]);
    assert!(format!("{:?}", *loan).contains("statements: 256"), "{:?}", *loan);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn a_statement_is_evicted_alone_and_the_least_recently_used_one_first() {
    needs_server!();
    let database = database().await;
    let pool = caching(&database, 3);
    let loan = acquire(&pool).await;
    loan.prepare_typed_cached("SELECT $1", &[Type::INT8]).await.unwrap();
    loan.prepare_typed_cached("SELECT $1", &[Type::TEXT]).await.unwrap();
    loan.query_cached(BY_ID, &[&1]).await.unwrap();
    loan.prepare_typed_cached("SELECT $1", &[Type::INT8]).await.unwrap();
    loan.prepare_cached("SELECT 4").await.unwrap();
    assert_eq!(texts(&loan).await, ["SELECT $1", BY_ID, "SELECT 4"]);
    loan.prepare_cached("SELECT 5").await.unwrap();
    assert_eq!(texts(&loan).await, ["SELECT $1", "SELECT 4", "SELECT 5"]);
    loan.clear_cached();
    assert_eq!(prepared(&loan).await, 0);
    // None of them counts any more.
    for text in ["SELECT 6", "SELECT 7", "SELECT 8"] {
        loan.prepare_cached(text).await.unwrap();
    }
    assert_eq!(prepared(&loan).await, 3);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn without_a_cache_each_call_prepares_its_statement_and_the_server_closes_it() {
    needs_server!();
    let database = database().await;
    let pool = caching(&database, 0);
    let loan = acquire(&pool).await;
    for _ in 0..3 {
        assert_eq!(loan.query_cached(BY_ID, &[&1]).await.unwrap().len(), 1);
        assert_eq!(prepared(&loan).await, 0);
    }
    let statement = loan.prepare_cached(BY_ID).await.unwrap();
    assert_eq!(prepared(&loan).await, 1);
    assert_eq!(loan.query(&statement, &[&1]).await.unwrap().len(), 1);
    drop(statement);
    assert_eq!(prepared(&loan).await, 0);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn a_statement_that_is_evicted_while_it_is_used_stays_usable() {
    needs_server!();
    let database = database().await;
    let pool = caching(&database, 1);
    let loan = acquire(&pool).await;
    let statement = loan.prepare_cached(BY_ID).await.unwrap();
    // All at once: each evicts another one whose request has no answer yet.
    let texts: Vec<_> = (0..50).map(|nth| format!("SELECT {nth} + id FROM items")).collect();
    let all = texts.iter().map(|text| loan.query_one_cached(text, &[]));
    let rows = within_a_minute(futures_util::future::try_join_all(all)).await.unwrap();
    let values: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(values, (1..=50).collect::<Vec<_>>());
    drop(rows);
    assert_eq!(loan.query(&statement, &[&1]).await.unwrap().len(), 1);
    assert_eq!(prepared(&loan).await, 2);

    // Statements are closed also in a transaction, and in one that has failed.
    loan.batch_execute("BEGIN").await.unwrap();
    for text in &texts {
        loan.query_one_cached(text, &[]).await.unwrap();
    }
    assert_eq!(prepared(&loan).await, 2);
    assert!(loan.batch_execute("SELECT 1 / 0").await.is_err());
    drop(statement);
    loan.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(prepared(&loan).await, 1);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn statements_are_prepared_anew_on_the_connection_that_replaces_another() {
    needs_server!();
    let database = database().await;
    let session = database.session().await;
    let pool = database.pool(1);
    let loan = acquire(&pool).await;
    loan.query_cached(BY_ID, &[&1]).await.unwrap();
    let id = process(&loan).await;
    session.execute("SELECT pg_terminate_backend($1)", &[&id]).await.unwrap();
    assert!(loan.query_cached(BY_ID, &[&1]).await.is_err());
    drop(loan);

    let next = acquire(&pool).await;
    assert_eq!(next.query_cached(BY_ID, &[&1]).await.unwrap().len(), 1);
    assert_ne!(process(&next).await, id);
    drop(next);
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_statement_whose_table_has_changed_is_prepared_again() {
    needs_server!();
    let database = database().await;
    let session = database.session().await;
    let pool = database.pool(1);
    let loan = acquire(&pool).await;
    assert_eq!(loan.query_one_cached(BY_ID, &[&1]).await.unwrap().len(), 1);

    session.batch_execute("ALTER TABLE items ADD name text DEFAULT 'one'").await.unwrap();
    assert_eq!(loan.query_one_cached(BY_ID, &[&1]).await.unwrap().len(), 2);

    // In a transaction the refusal is what the caller gets, and the next try is fine.
    session.batch_execute("ALTER TABLE items ADD price int").await.unwrap();
    loan.batch_execute("BEGIN").await.unwrap();
    let error = loan.query_one_cached(BY_ID, &[&1]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    loan.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(loan.query_one_cached(BY_ID, &[&1]).await.unwrap().len(), 3);
    drop(loan);
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_statement_that_the_server_was_told_to_drop_is_prepared_again() {
    needs_server!();
    let database = database().await;
    let pool = database.pool(1);
    let loan = acquire(&pool).await;
    loan.query_cached(BY_ID, &[&1]).await.unwrap();
    loan.batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(within_a_minute(loan.query_cached(BY_ID, &[&1])).await.unwrap().len(), 1);
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

/// What it did before it failed stays, so it must not be done again.
#[tokio::test]
async fn a_procedure_that_has_committed_and_then_misses_a_statement_is_called_once() {
    needs_server!();
    let database = database().await;
    let procedure = "CREATE PROCEDURE count_and_fail() LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO items VALUES (2); COMMIT; EXECUTE 'DEALLOCATE nothing'; END $$";
    let session = database.session().await;
    session.batch_execute(procedure).await.unwrap();
    let pool = database.pool(1);
    let loan = acquire(&pool).await;
    let error = loan.execute_cached("CALL count_and_fail()", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
    let called = session.query_one("SELECT count(*) FROM items WHERE id = 2", &[]).await.unwrap();
    assert_eq!(called.get::<_, i64>(0), 1);
    drop(loan);
    assert_nothing_leaked(&pool, &session).await;
}
