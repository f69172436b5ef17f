//! What one borrower leaves behind, and the next one must not find.

use std::pin::pin;
use std::time::Duration;

use tokio::time;
use wharf::{Builder, Connector, HealthCheck, Pool};
use wharf_postgres::Reset;
use wharf_postgres::tokio_postgres::{Client, CopyInSink};

use crate::log::Log;
use crate::support::{
    IN_TRANSACTION, Loan, NOTE, NOTES, SLEEPING, acquire, assert_nothing_leaked, needs_server,
    one_connection, poll, process, until, within_a_minute, works_as_new,
};

#[tokio::test]
async fn a_transaction_that_was_dropped_is_rolled_back_and_the_connection_goes_on() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let mut first = acquire(&pool).await;
    let id = process(&first).await;
    let transaction = first.transaction().await.unwrap();
    transaction.execute(NOTE, &[]).await.unwrap();
    drop(transaction);
    drop(first);

    let next = acquire(&pool).await;
    assert_eq!(process(&next).await, id);
    works_as_new(next, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_task_that_is_aborted_in_a_transaction_leaves_nothing() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let mut loan = acquire(&pool).await;
    let task = tokio::spawn(async move {
        let transaction = loan.transaction().await.unwrap();
        transaction.execute(NOTE, &[]).await.unwrap();
        std::future::pending::<()>().await;
        transaction.commit().await.unwrap();
    });
    until(&session, IN_TRANSACTION, 1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    works_as_new(acquire(&pool).await, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_begin_that_was_left_open_goes_to_nobody_idle_or_waiting() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    for opening in [
        "BEGIN",
        // Its transaction has failed: only a rollback is obeyed.
        "BEGIN; SELECT 1 / 0",
        "BEGIN; SAVEPOINT here; COMMIT AND CHAIN",
    ] {
        for waits in [false, true] {
            let first = acquire(&pool).await;
            let _ = first.batch_execute(opening).await;
            let _ = first.execute(NOTE, &[]).await;
            let mut next = pin!(pool.acquire(&()));
            if waits {
                assert!(poll(next.as_mut()).is_pending());
                assert_eq!(pool.status().waiting, 1);
            }
            drop(first);
            works_as_new(within_a_minute(next).await.unwrap(), &session).await;
        }
    }
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_begin_that_was_polled_once_and_dropped_goes_to_nobody() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    // By `Client`'s own method, which nobody watches.
    let client: &Client = &first;
    assert!(poll(pin!(client.batch_execute("BEGIN"))).is_pending());
    drop(first);

    works_as_new(acquire(&pool).await, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_connection_returned_outside_of_any_runtime_is_reset_all_the_same() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    first.batch_execute("BEGIN").await.unwrap();
    first.execute(NOTE, &[]).await.unwrap();
    std::thread::spawn(move || drop(first)).join().unwrap();

    works_as_new(acquire(&pool).await, &session).await;
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;
}

#[test]
fn a_connection_whose_runtime_rests_between_two_loans_is_lent_again() {
    needs_server!();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_database, pool, session) = runtime.block_on(one_connection(Reset::Rollback));
    for moves_on in [true, false] {
        runtime.block_on(async {
            acquire(&pool).await.batch_execute("SELECT 1").await.unwrap();
            if moves_on {
                // The reset is sent, but its answer is not read.
                tokio::task::yield_now().await;
            }
        });
        // Longer than a reset may take.
        std::thread::sleep(Duration::from_millis(1200));
    }
    runtime.block_on(async {
        works_as_new(acquire(&pool).await, &session).await;
        assert_eq!(pool.status().dials, 1);
        assert_nothing_leaked(&pool, &session).await;
    });
}

#[tokio::test]
async fn a_copy_into_a_table_that_was_not_finished_leaves_nothing() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    let mut sink: std::pin::Pin<Box<CopyInSink<&[u8]>>> =
        Box::pin(first.copy_in("COPY notes FROM STDIN").await.unwrap());
    let row: &[u8] = b"a row\n";
    futures_util::SinkExt::send(&mut sink, row).await.unwrap();
    drop(sink);
    drop(first);

    works_as_new(acquire(&pool).await, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_copy_out_of_a_table_that_was_not_read_leaves_nothing() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    let rows = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 50000)) TO STDOUT";
    drop(first.copy_out(rows).await.unwrap());
    drop(first);

    works_as_new(acquire(&pool).await, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_copy_that_nobody_can_finish_costs_the_connection() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    works_as_new(first, &session).await;
    // The way for a COPY is `copy_in`; here the server waits for rows that never come.
    let copy = "COPY notes FROM STDIN";
    for nth in 0..6 {
        let first = acquire(&pool).await;
        let answer = match nth {
            0 => first.batch_execute(copy).await.map(drop),
            1 => first.simple_query(copy).await.map(drop),
            2 => first.execute(copy, &[]).await.map(drop),
            3 => first.query(copy, &[]).await.map(drop),
            4 => first.query_typed(copy, &[]).await.map(drop),
            _ => first.execute_cached(copy, &[]).await.map(drop),
        };
        assert_eq!(answer.unwrap_err().to_string(), "unexpected message from server");
        drop(first);
        works_as_new(acquire(&pool).await, &session).await;
        assert_eq!(pool.status().dials, nth + 2);
    }
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_copy_that_was_begun_where_nobody_watches_fails_nobody_else() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let copy = "COPY notes FROM STDIN";
    for way in 0..8 {
        let mut first = acquire(&pool).await;
        let client: &Client = &first;
        let refusal = match way {
            0 => client.batch_execute(copy).await.err(),
            1 => client.execute(copy, &[]).await.err(),
            2 => client.simple_query(copy).await.err(),
            3 => client.query_typed(copy, &[]).await.err(),
            4 => first.transaction().await.unwrap().batch_execute(copy).await.err(),
            5 => first.transaction().await.unwrap().execute(copy, &[]).await.err(),
            6 => first.begin().await.unwrap().batch_execute(copy).await.err(),
            _ => first.begin().await.unwrap().execute(copy, &[]).await.err(),
        };
        assert_eq!(refusal.unwrap().to_string(), "unexpected message from server", "way {way}");
        drop(first);
        works_as_new(acquire(&pool).await, &session).await;
    }
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn notices_about_a_reset_are_not_logged() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let log = Log::begin();
    let first = acquire(&pool).await;
    first.batch_execute("BEGIN; BEGIN").await.unwrap();
    drop(first);
    works_as_new(acquire(&pool).await, &session).await;
    let remarks = |text: &str| text.matches("already a transaction in progress").count();
    assert_eq!(remarks(&log.text()), 1, "the borrower's own: {}", log.text());

    acquire(&pool).await.batch_execute("DO $$ BEGIN RAISE NOTICE 'mine'; END $$").await.unwrap();
    works_as_new(acquire(&pool).await, &session).await;
    assert!(log.text().contains("NOTICE: mine"), "{}", log.text());
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn an_error_of_the_caller_does_not_cost_the_connection() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let first = acquire(&pool).await;
    // Too few rows, too few parameters, a value that is no number, and what the server refuses.
    assert!(first.query_one("SELECT 1 WHERE false", &[]).await.is_err());
    assert!(first.query("SELECT $1::int4", &[]).await.is_err());
    assert!(first.query("SELECT $1::int4", &[&"one"]).await.is_err());
    assert!(first.query("SELECT 1 / 0", &[]).await.is_err());
    drop(first);

    works_as_new(acquire(&pool).await, &session).await;
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;
}

/// Leaves a query that goes on for ten minutes, and that nobody watched.
async fn leave_a_query(mut loan: Loan, session: &Client) {
    let transaction = loan.transaction().await.unwrap();
    cut_off(transaction.query(SLEEP, &[]), session).await;
}

#[tokio::test]
async fn a_transaction_whose_beginning_was_cut_off_goes_to_nobody() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let mut loan = acquire(&pool).await;
    assert!(poll(pin!(loan.transaction())).is_pending());
    drop(loan);

    works_as_new(acquire(&pool).await, &session).await;
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_query_that_delays_a_ping_or_the_close_is_cancelled() {
    needs_server!();
    for (reset, failed_pings) in [(Reset::Rollback, 0), (Reset::None, 1)] {
        let (database, pool, session) = one_connection(reset).await;
        drop(pool);
        let set = |builder: Builder| builder.max_per_host(1).ping_timeout(Duration::from_secs(1));
        let connector = database.builder().reset(reset).build().unwrap();
        let pool = set(Pool::builder().health_check(HealthCheck::Always)).build(connector).unwrap();
        leave_a_query(acquire(&pool).await, &session).await;
        works_as_new(acquire(&pool).await, &session).await;
        assert_eq!(pool.status().failed_pings, failed_pings);
        until(&session, SLEEPING, 0).await;

        leave_a_query(acquire(&pool).await, &session).await;
        assert_nothing_leaked(&pool, &session).await;
        until(&session, SLEEPING, 0).await;
    }
}

/// Waits until the server sleeps, and drops what makes it sleep.
async fn cut_off<T>(query: impl Future<Output = T>, session: &Client) {
    let mut query = Box::pin(query);
    within_a_minute(async {
        tokio::select! {
            _ = &mut query => panic!("it should sleep"),
            () = until(session, SLEEPING, 1) => {}
        }
    })
    .await;
}

const SLEEP: &str = "SELECT pg_sleep(600)";

/// The ways by which a query can be asked.
const WAYS: usize = 6;

async fn leave_a_query_by(way: usize, loan: &mut Loan, session: &Client) {
    match way {
        0 => cut_off(loan.query(SLEEP, &[]), session).await,
        1 => cut_off(loan.execute_cached(SLEEP, &[]), session).await,
        2 => cut_off(loan.begin().await.unwrap().query_one(SLEEP, &[]), session).await,
        3 => cut_off(loan.transaction().await.unwrap().query_one(SLEEP, &[]), session).await,
        4 => {
            let transaction = loan.begin().await.unwrap();
            let inner: &wharf_postgres::tokio_postgres::Transaction<'_> = &transaction;
            cut_off(inner.query_typed(SLEEP, &[]), session).await;
        }
        _ => {
            let client: &Client = loan;
            cut_off(client.simple_query(SLEEP), session).await;
        }
    }
}

#[tokio::test]
async fn a_query_that_was_cut_off_in_any_way_is_cancelled_and_its_connection_goes_on() {
    needs_server!();
    for reset in [Reset::Rollback, Reset::Discard] {
        let (_database, pool, session) = one_connection(reset).await;
        let id = process(&acquire(&pool).await).await;
        for way in 0..WAYS {
            let mut first = acquire(&pool).await;
            first.execute(NOTE, &[]).await.unwrap();
            first.execute("DELETE FROM notes", &[]).await.unwrap();
            leave_a_query_by(way, &mut first, &session).await;
            drop(first);
            let next = acquire(&pool).await;
            until(&session, SLEEPING, 0).await;
            // No cancellation comes late.
            for _ in 0..20 {
                assert_eq!(process(&next).await, id, "way {way}");
            }
            works_as_new(next, &session).await;
        }
        assert_eq!(pool.status().dials, 1);
        assert_nothing_leaked(&pool, &session).await;
    }
}

#[tokio::test]
async fn a_connection_whose_query_cannot_be_cancelled_is_replaced() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let stubborn = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); \
         EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$";
    let first = acquire(&pool).await;
    let id = process(&first).await;
    cut_off(first.batch_execute(stubborn), &session).await;
    drop(first);

    let next = acquire(&pool).await;
    assert_ne!(process(&next).await, id);
    session.execute("SELECT pg_terminate_backend($1)", &[&id]).await.unwrap();
    works_as_new(next, &session).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_reset_waits_for_what_was_left_and_leaves_a_clean_connection() {
    needs_server!();
    let (database, pool, session) = one_connection(Reset::Rollback).await;
    let connector = database.connector();
    let mut connection = connector.connect(&()).await.unwrap();
    connection.batch_execute("BEGIN").await.unwrap();
    assert!(connector.needs_reset(&connection));
    within_a_minute(Connector::reset(&connector, &mut connection)).await.unwrap();
    assert!(connector.is_open(&mut connection) && !connector.needs_reset(&connection));
    until(&session, IN_TRANSACTION, 0).await;
    connector.close(connection).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn only_what_may_have_left_a_transaction_is_reset() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    let last_request = "SELECT query FROM pg_stat_activity \
         WHERE application_name = 'a pool' AND datname = current_database()";
    let asked = acquire(&pool).await;
    asked.query_cached("SELECT 'kept'", &[]).await.unwrap();
    drop(asked);
    // Another return, whose answer is behind all that the first has sent.
    let asked = acquire(&pool).await;
    asked.query_cached("SELECT 'kept'", &[]).await.unwrap();
    drop(asked);
    let last: String = session.query_one(last_request, &[]).await.unwrap().get(0);
    assert_eq!(last, "SELECT 'kept'");

    let asked = acquire(&pool).await;
    asked.batch_execute("SELECT 'not kept'").await.unwrap();
    drop(asked);
    within_a_minute(async {
        loop {
            let last: String = session.query_one(last_request, &[]).await.unwrap().get(0);
            if last == "BEGIN; ROLLBACK" {
                break;
            }
            time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn without_a_reset_the_next_borrower_goes_on_where_the_last_one_was() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::None).await;
    let first = acquire(&pool).await;
    first.batch_execute("BEGIN").await.unwrap();
    first.execute(NOTE, &[]).await.unwrap();
    drop(first);

    acquire(&pool).await.batch_execute("COMMIT").await.unwrap();
    until(&session, NOTES, 1).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn discard_undoes_settings_locks_and_temporary_tables_and_keeps_statements() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Discard).await;
    session.batch_execute("CREATE TYPE mood AS ENUM ('good'); CREATE ROLE guest").await.unwrap();
    let first = acquire(&pool).await;
    let id = process(&first).await;
    first.query_cached("SELECT 'good'::mood", &[]).await.unwrap();
    first
        .batch_execute(
            "SET search_path TO nowhere; SET ROLE guest; LISTEN news; \
             CREATE TEMPORARY TABLE scratch (a int); SELECT pg_advisory_lock(7)",
        )
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    // This must not cut the reset short.
    first.batch_execute("SET statement_timeout = 1").await.unwrap();
    drop(first);

    let next = acquire(&pool).await;
    assert_eq!(process(&next).await, id);
    let left =
        "SELECT current_setting('search_path') || ' ' || current_setting('statement_timeout') \
         || ' ' || (current_user = session_user) \
         || ' ' || (SELECT count(*) FROM pg_listening_channels()) \
         || ' ' || (SELECT count(*) FROM pg_class WHERE relname = 'scratch')
         || ' ' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')";
    let left: String = next.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, "\"$user\", public 0 true 0 0 0");
    // Types that were never seen can still be looked up.
    session.batch_execute("CREATE TYPE weather AS ENUM ('fair')").await.unwrap();
    next.query_cached("SELECT 'good'::mood, 'fair'::weather", &[]).await.unwrap();
    drop(next);
    session.batch_execute("DROP ROLE guest").await.unwrap();
    assert_nothing_leaked(&pool, &session).await;
}

/// tokio-postgres does not wait for what a token does, and a token outlives its loan.
#[tokio::test]
async fn a_cancellation_by_a_borrower_does_not_reach_the_next_one() {
    needs_server!();
    let (_database, pool, session) = one_connection(Reset::Rollback).await;
    for way in 0..2 {
        let mut first = acquire(&pool).await;
        let token = match way {
            0 => first.cancel_token(),
            _ => first.begin().await.unwrap().cancel_token(),
        };
        first.query_one_cached("SELECT 1", &[]).await.unwrap();
        drop(first);
        let next = acquire(&pool).await;
        let query = next.query_one("SELECT 1 FROM pg_sleep(1)", &[]);
        let late = async {
            until(&session, SLEEPING, 1).await;
            token.cancel_query(wharf_postgres::tokio_postgres::NoTls).await
        };
        let (answer, _sent) = within_a_minute(async { tokio::join!(query, late) }).await;
        answer.expect("another's cancellation");
        works_as_new(next, &session).await;
    }
    assert_nothing_leaked(&pool, &session).await;
}
