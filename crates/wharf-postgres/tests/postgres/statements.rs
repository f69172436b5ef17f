//! Prepared statements that are kept.

use wharf_postgres::PostgresClient;
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::tokio_postgres::types::Type;

use crate::support::{
    Database, acquire, assert_nothing_leaked, needs_server, process, within_a_minute,
};

const BY_ID: &str = "SELECT * FROM items WHERE id = $1";

async fn database() -> Database {
    let database = Database::new().await;
    let items = "CREATE TABLE items (id int); INSERT INTO items VALUES (1)";
    database.session().await.batch_execute(items).await.unwrap();
    database
}

/// How many statements the server has prepared for this connection.
async fn prepared(connection: &PostgresClient) -> i64 {
    let count = "SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql";
    let mut rows = connection.simple_query(count).await.unwrap().into_iter();
    rows.find_map(|message| match message {
        wharf_postgres::tokio_postgres::SimpleQueryMessage::Row(row) => {
            Some(row.get(0).unwrap().parse().unwrap())
        }
        _ => None,
    })
    .unwrap()
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
