//! When a connection is reset, and when its answers show that there is nothing to undo.

use std::mem;
use std::pin::pin;

use wharf::Connector;
use wharf_postgres::tokio_postgres::types::Type;
use wharf_postgres::tokio_postgres::{Client, Error};
use wharf_postgres::{PostgresClient, PostgresConnector, Reset};

use crate::support::{
    Database, IN_TRANSACTION, NOTE, acquire, assert_nothing_leaked, needs_server, one_connection,
    poll, process, until, within_a_minute, works_as_new,
};

/// A connection that no pool has, to be asked what it thinks of itself.
struct Bench {
    connector: PostgresConnector,
    connection: PostgresClient,
    session: Client,
    _database: Database,
}

impl Bench {
    async fn new() -> Self {
        let database = Database::new().await;
        let session = database.session().await;
        session.batch_execute("CREATE TABLE notes (note text)").await.unwrap();
        let connector = database.connector();
        let connection = connector.connect(&()).await.unwrap();
        Bench { connector, connection, session, _database: database }
    }

    fn needs_reset(&self) -> bool {
        assert!(!self.connection.is_closed());
        self.connector.needs_reset(&self.connection)
    }

    /// The server agrees.
    async fn has_left_nothing(&self, what: &str) {
        assert!(!self.needs_reset(), "{what}");
        until(&self.session, IN_TRANSACTION, 0).await;
    }

    /// Whether the server has a transaction open.
    async fn is_to_be_reset(&mut self, is_open: bool, what: &str) {
        assert!(self.needs_reset(), "{what}");
        until(&self.session, IN_TRANSACTION, i64::from(is_open)).await;
        within_a_minute(Connector::reset(&self.connector, &mut self.connection)).await.unwrap();
        self.has_left_nothing(what).await;
    }
}

#[tokio::test]
async fn an_answer_with_a_row_or_a_count_needs_no_reset() {
    needs_server!();
    let bench = Bench::new().await;
    let connection = &bench.connection;
    connection.query("SELECT 1", &[]).await.unwrap();
    connection.query_one("SELECT 1", &[]).await.unwrap();
    connection.query_opt("VALUES (1)", &[]).await.unwrap();
    connection.execute(NOTE, &[]).await.unwrap();
    let statement = connection.prepare("DELETE FROM notes RETURNING note").await.unwrap();
    connection.query_one(&statement, &[]).await.unwrap();
    let statement = connection.prepare_typed("SELECT $1", &[Type::INT8]).await.unwrap();
    connection.query(&statement, &[&1_i64]).await.unwrap();
    bench.has_left_nothing("rows and counts").await;
}

#[tokio::test]
async fn a_plain_text_needs_no_reset_with_any_answer() {
    needs_server!();
    let bench = Bench::new().await;
    let connection = &bench.connection;
    assert_eq!(connection.execute_cached("DELETE FROM notes", &[]).await.unwrap(), 0);
    assert!(connection.query_cached("SELECT * FROM notes", &[]).await.unwrap().is_empty());
    assert!(connection.query_typed("SELECT * FROM notes", &[]).await.unwrap().is_empty());
    assert!(connection.query_cached("SELECT 1 / 0", &[]).await.is_err());
    bench.has_left_nothing("plain texts").await;
}

#[tokio::test]
async fn a_connection_whose_results_prove_nothing_is_reset() {
    needs_server!();
    let mut bench = Bench::new().await;
    bench.connection.query("SELECT * FROM notes", &[]).await.unwrap();
    bench.is_to_be_reset(false, "no row").await;
    bench.connection.query_opt("SELECT * FROM notes", &[]).await.unwrap();
    bench.is_to_be_reset(false, "no row").await;
    bench.connection.execute("DELETE FROM notes", &[]).await.unwrap();
    bench.is_to_be_reset(false, "a count of none").await;
    bench.connection.query("SELECT 1 / 0", &[]).await.unwrap_err();
    bench.is_to_be_reset(false, "a refusal of an unknown text").await;
    bench.connection.simple_query("SELECT 1").await.unwrap();
    bench.is_to_be_reset(false, "what may be several statements").await;
    let client: &Client = &bench.connection;
    client.query_one("SELECT 1", &[]).await.unwrap();
    bench.is_to_be_reset(false, "what was asked through Client").await;
}

#[tokio::test]
async fn a_transaction_begun_by_any_statement_is_rolled_back() {
    needs_server!();
    let mut bench = Bench::new().await;
    let connection = &bench.connection;
    connection.execute("BEGIN", &[]).await.unwrap();
    bench.is_to_be_reset(true, "execute").await;
    bench.connection.query("BEGIN", &[]).await.unwrap();
    bench.is_to_be_reset(true, "query").await;
    bench.connection.query_opt("START TRANSACTION", &[]).await.unwrap();
    bench.is_to_be_reset(true, "query_opt").await;
    bench.connection.query_one("BEGIN", &[]).await.unwrap_err();
    bench.is_to_be_reset(true, "query_one").await;
    bench.connection.query_typed("BEGIN", &[]).await.unwrap();
    bench.is_to_be_reset(true, "query_typed").await;
    bench.connection.execute_cached("BEGIN", &[]).await.unwrap();
    bench.is_to_be_reset(true, "execute_cached").await;
    let statement = bench.connection.prepare_cached("BEGIN").await.unwrap();
    bench.connection.execute(&statement, &[]).await.unwrap();
    // What comes after it shows nothing about it.
    bench.connection.query_one("SELECT 1", &[]).await.unwrap();
    bench.connection.execute(NOTE, &[]).await.unwrap();
    bench.is_to_be_reset(true, "a kept statement").await;
    bench.connection.simple_query("BEGIN; SELECT 1").await.unwrap();
    bench.is_to_be_reset(true, "simple_query").await;
    bench.connection.batch_execute("BEGIN; SELECT 1 / 0").await.unwrap_err();
    bench.is_to_be_reset(true, "a failed transaction").await;
    bench.connection.batch_execute("BEGIN").await.unwrap();
    bench.connection.execute("COMMIT AND CHAIN", &[]).await.unwrap();
    bench.is_to_be_reset(true, "a chain").await;
    until(&bench.session, "SELECT count(*) FROM notes", 0).await;
}

#[tokio::test]
async fn a_transaction_whose_end_is_answered_needs_no_reset() {
    needs_server!();
    let mut bench = Bench::new().await;
    let transaction = bench.connection.begin().await.unwrap();
    transaction.execute(NOTE, &[]).await.unwrap();
    transaction.commit().await.unwrap();
    bench.has_left_nothing("a commit").await;
    until(&bench.session, "SELECT count(*) FROM notes", 1).await;

    let mut transaction = bench.connection.begin().await.unwrap();
    transaction.execute("DELETE FROM notes", &[]).await.unwrap();
    let part = transaction.transaction().await.unwrap();
    part.execute(NOTE, &[]).await.unwrap();
    part.commit().await.unwrap();
    transaction.rollback().await.unwrap();
    bench.has_left_nothing("a rollback").await;
    until(&bench.session, "SELECT count(*) FROM notes", 1).await;

    // The server answers that it has rolled back.
    bench.connection.batch_execute("BEGIN").await.unwrap();
    let transaction = bench.connection.begin().await.unwrap();
    transaction.execute("SELECT 1 / 0", &[]).await.unwrap_err();
    transaction.commit().await.unwrap();
    bench.has_left_nothing("a commit of what has failed").await;

    bench
        .session
        .batch_execute("CREATE TABLE one (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        .await
        .unwrap();
    let transaction = bench.connection.begin().await.unwrap();
    transaction.execute("INSERT INTO one VALUES (1), (1)", &[]).await.unwrap();
    transaction.commit().await.unwrap_err();
    bench.is_to_be_reset(false, "a commit that was refused").await;
}

#[tokio::test]
async fn a_transaction_whose_end_was_not_seen_is_rolled_back() {
    needs_server!();
    let mut bench = Bench::new().await;
    let transaction = bench.connection.begin().await.unwrap();
    transaction.execute(NOTE, &[]).await.unwrap();
    mem::forget(transaction);
    bench.is_to_be_reset(true, "forgotten").await;

    let transaction = bench.connection.begin().await.unwrap();
    transaction.execute(NOTE, &[]).await.unwrap();
    // Never polled: neither a COMMIT nor a ROLLBACK is sent.
    drop(transaction.commit());
    assert!(bench.needs_reset());
    within_a_minute(Connector::reset(&bench.connector, &mut bench.connection)).await.unwrap();

    drop(bench.connection.begin().await.unwrap());
    assert!(bench.needs_reset());
    let transaction = bench.connection.transaction().await.unwrap();
    transaction.commit().await.unwrap();
    bench.is_to_be_reset(false, "as Client's").await;
    until(&bench.session, "SELECT count(*) FROM notes", 0).await;
}

#[tokio::test]
async fn a_commit_that_was_cut_off_leaves_no_transaction() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let mut first = acquire(&pool).await;
    let transaction = first.begin().await.unwrap();
    assert!(poll(pin!(transaction.commit())).is_pending());
    drop(first);

    works_as_new(acquire(&pool).await, &session).await;
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn queries_that_were_cut_off_together_answer_nobody_else() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    let statement = first.prepare_cached("SELECT $1::int8").await.unwrap();
    let answered = first.query_one(&statement, &[&1_i64]);
    {
        let mut cut_off = pin!(first.query_one(&statement, &[&2_i64]));
        assert!(poll(cut_off.as_mut()).is_pending());
        assert_eq!(answered.await.unwrap().get::<_, i64>(0), 1);
        assert!(poll(pin!(first.query_one_cached("SELECT 3::int8", &[]))).is_pending());
    }
    drop(first);

    let next = acquire(&pool).await;
    let answer = next.query_one_cached("SELECT 4::int8", &[]).await.unwrap();
    assert_eq!(answer.get::<_, i64>(0), 4);
    assert_eq!(pool.status().dials, 1);
    works_as_new(next, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

/// Rows that are sent at once, and one that is not sent for ten minutes.
const ROWS: &str = "SELECT repeat('x', 20000), CASE WHEN n > 3 THEN pg_sleep(600) END \
     FROM generate_series(1, 4) AS n";

async fn too_many_rows(connection: &PostgresClient, kept: bool) -> Error {
    let row = if kept {
        connection.query_one_cached(ROWS, &[]).await
    } else {
        connection.query_one(ROWS, &[]).await
    };
    row.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_was_read_in_part_holds_nobody_up() {
    needs_server!();
    for kept in [false, true] {
        let (_database, pool, session) = one_connection(Reset::Rollback).await;
        let first = acquire(&pool).await;
        let id = process(&first).await;
        let error = within_a_minute(too_many_rows(&first, kept)).await;
        assert!(error.as_db_error().is_none(), "{error}");
        drop(first);

        let next = acquire(&pool).await;
        assert_eq!(process(&next).await, id);
        works_as_new(next, &session).await;
        assert_nothing_leaked(&pool, &session).await;
    }
}

#[tokio::test]
async fn settings_and_locks_of_a_function_are_discarded() {
    needs_server!();
    for has_failed in [false, true] {
        discards(has_failed).await;
    }
}

async fn discards(has_failed: bool) {
    let (_database, pool, session) = one_connection(Reset::Discard).await;
    let left = "SELECT current_setting('my.flag', true) || (SELECT count(*) FROM pg_locks \
         WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
    let first = acquire(&pool).await;
    let id = process(&first).await;
    // Answers with rows show nothing of these.
    first.query_one_cached("SELECT set_config('my.flag', 'up', false)", &[]).await.unwrap();
    first.query_one("SELECT pg_advisory_lock(8)::text", &[]).await.unwrap();
    let seen: String = first.query_one_cached(left, &[]).await.unwrap().get(0);
    assert_eq!(seen, "up1");
    if has_failed {
        first.batch_execute("BEGIN; SELECT 1 / 0").await.unwrap_err();
    }
    drop(first);

    let next = acquire(&pool).await;
    assert_eq!(process(&next).await, id);
    let seen: String = next.query_one_cached(left, &[]).await.unwrap().get(0);
    assert_eq!(seen, "0");
    drop(next);
    assert_nothing_leaked(&pool, &session).await;
}
