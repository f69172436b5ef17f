//! What a program says about a dial: whose database, by which password, and how the connection is set up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wharf::{AcquireError, Backoff, Pool};
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::tokio_postgres::{Client, Config, NoTls};
use wharf_postgres::{Error, NewConnection, PostgresBuilder, PostgresConnector, Reset};

use crate::support::{
    Database, NOTE, NOTES, SLEEPING, acquire, assert_nothing_leaked, by_key, in_full, needs_server,
    one_connection, until, within_a_minute, works_as_new,
};

/// A user who needs a password.
const USER: &str = "CREATE ROLE guarded LOGIN";

async fn set_password(session: &Client, password: &str) {
    session.batch_execute(&format!("ALTER ROLE guarded PASSWORD '{password}'")).await.unwrap();
}

#[tokio::test]
async fn each_dial_has_a_password_of_its_own() {
    needs_server!();
    let server = servers::Server::start(&[]);
    let looker = crate::support::session(server.url().parse().unwrap()).await;
    looker.batch_execute(USER).await.unwrap();
    let config: Config = server.url().parse().unwrap();
    let tokens = Arc::new(AtomicUsize::new(0));
    let connector = by_key({
        let tokens = tokens.clone();
        move |()| {
            let mut config = config.clone();
            let token = tokens.fetch_add(1, Ordering::Relaxed);
            config.user("guarded").application_name("a pool").password(format!("token {token}"));
            async move { Ok::<_, Error>(config) }
        }
    });
    let pool = Pool::builder().max_per_host(3).build(connector).unwrap();
    let mut loans = Vec::new();
    for token in 0..3 {
        set_password(&looker, &format!("token {token}")).await;
        loans.push(within_a_minute(pool.acquire(&())).await.unwrap());
    }
    drop(loans);
    // Connections that are open do not mind.
    set_password(&looker, "none").await;
    within_a_minute(pool.acquire(&())).await.unwrap().query_one("SELECT 1", &[]).await.unwrap();
    assert_eq!(tokens.load(Ordering::Relaxed), 3);
    assert_nothing_leaked(&pool, &looker).await;
}

#[tokio::test]
async fn a_closure_that_fails_says_why_and_may_succeed_the_next_time() {
    needs_server!();
    let database = Database::new().await;
    let config = database.config();
    let asked = Arc::new(AtomicUsize::new(0));
    let connector = || {
        let (config, asked) = (config.clone(), asked.clone());
        by_key(move |()| {
            let (config, nth) = (config.clone(), asked.fetch_add(1, Ordering::Relaxed));
            async move { if nth % 2 == 0 { Err("the vault is sealed") } else { Ok(config) } }
        })
    };
    let pool = Pool::new(connector());
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert!(in_full(&error).contains("the vault is sealed"), "{}", in_full(&error));
    let AcquireError::Connect(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, Error::Config(_)));

    asked.store(0, Ordering::Relaxed);
    let backoff = Backoff::default().initial(Duration::from_millis(1));
    let pool = Pool::builder().retry(backoff).build(connector()).unwrap();
    drop(within_a_minute(pool.acquire(&())).await.unwrap());
    assert_eq!(pool.status().failed_dials, 1);
}

#[tokio::test]
async fn a_pool_of_many_databases_keeps_one_cap_over_all() {
    needs_server!();
    let (one, other) = (Database::new().await, Database::new().await);
    let config = one.config();
    let connector = by_key(move |tenant: String| {
        let mut config = config.clone();
        config.dbname(tenant).application_name("a pool");
        async move { Ok::<_, Error>(config) }
    });
    let pool: Pool<PostgresConnector<NoTls, String>> =
        Pool::builder().max_per_host(3).max_total(4).build(connector).unwrap();
    let names: Vec<_> =
        [&one, &other].map(|db| db.config().get_dbname().unwrap().to_owned()).into();
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..40 {
        let (pool, name) = (pool.clone(), names[nth % 2].clone());
        tasks.spawn(async move {
            let loan = pool.acquire(&name).await.unwrap();
            let found: String =
                loan.query_one_cached("SELECT current_database()::text", &[]).await.unwrap().get(0);
            assert_eq!(found, name);
            let status = pool.status();
            assert!(status.idle + status.in_use + status.dialing <= 4, "{status:?}");
        });
    }
    within_a_minute(tasks.join_all()).await;
    assert!(names.iter().all(|name| pool.host(name).status().dials > 0));
    within_a_minute(pool.close()).await;
}

#[tokio::test]
async fn each_new_connection_is_set_up_once_and_needs_no_reset_for_it() {
    needs_server!();
    let database = Database::new().await;
    let builder = database.builder().on_connect(async |client: NewConnection| {
        client.batch_execute("SET search_path TO elsewhere").await?;
        client.prepare_cached("SELECT 1").await.map(drop)
    });
    let connector = builder.build().unwrap();
    let connection = wharf::Connector::connect(&connector, &()).await.unwrap();
    assert!(!wharf::Connector::needs_reset(&connector, &connection));
    assert!(format!("{connection:?}").contains("statements: 1"), "{connection:?}");
    drop(connection);

    let pool = Pool::builder().max_per_host(1).build(connector).unwrap();
    for _ in 0..3 {
        let loan = within_a_minute(pool.acquire(&())).await.unwrap();
        let path: String = loan.query_one("SHOW search_path", &[]).await.unwrap().get(0);
        assert_eq!(path, "elsewhere");
        // It is rolled back, and the set-up stays.
        loan.batch_execute("BEGIN").await.unwrap();
    }
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn a_set_up_leaves_neither_a_transaction_nor_a_query_to_the_first_borrower() {
    needs_server!();
    let (database, _, session) = one_connection(Reset::Rollback).await;
    let one = |builder: PostgresBuilder| {
        Pool::builder().max_per_host(1).build(builder.build().unwrap()).unwrap()
    };
    // The script fails before its COMMIT, and nobody minds.
    let pool = one(database.builder().on_connect(async |client: NewConnection| {
        client.batch_execute("SET search_path TO public").await?;
        let _ = client.batch_execute("BEGIN; CREATE TABLE notes (); COMMIT").await;
        Ok::<_, Error>(())
    }));
    works_as_new(acquire(&pool).await, &session).await;
    assert_nothing_leaked(&pool, &session).await;

    let pool = one(database
        .builder()
        .on_connect(async |client: NewConnection| client.batch_execute("BEGIN").await));
    let loan = acquire(&pool).await;
    loan.execute(NOTE, &[]).await.unwrap();
    drop(loan);
    until(&session, NOTES, 1).await;
    session.batch_execute("DELETE FROM notes").await.unwrap();
    assert_nothing_leaked(&pool, &session).await;

    let pool = one(database.builder().on_connect(async |client: NewConnection| {
        let warm = client.query_one("SELECT pg_sleep(600)", &[]);
        let _ = tokio::time::timeout(Duration::from_millis(100), warm).await;
        Ok::<_, Error>(())
    }));
    works_as_new(acquire(&pool).await, &session).await;
    until(&session, SLEEPING, 0).await;
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_set_up_that_fails_fails_the_dial_under_its_name() {
    needs_server!();
    let (database, _, session) = one_connection(Reset::Rollback).await;
    let failing = |sql: &'static str| {
        database
            .builder()
            .on_connect(move |client: NewConnection| async move { client.batch_execute(sql).await })
            .build()
            .unwrap()
    };
    // No retry helps where the server does not know a role.
    let stubborn = Pool::builder().retry(Backoff::default());
    let pool = stubborn.build(failing("SET ROLE nobody_of_that_name")).unwrap();
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert!(in_full(&error).contains("on_connect"), "{}", in_full(&error));
    assert!(in_full(&error).contains("nobody_of_that_name"), "{}", in_full(&error));
    let AcquireError::Connect(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, Error::OnConnect(_)));
    assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE));
    assert_eq!(pool.status().dials, 1);
    assert_nothing_leaked(&pool, &session).await;

    // It is within the dial's time.
    let hurried = Pool::builder().connect_timeout(Duration::from_millis(300));
    let pool = hurried.build(failing("SELECT pg_sleep(600)")).unwrap();
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout { .. }), "{error:?}");
    // Nor does it go on in the server, where each dial would add another session that no cap counts.
    until(&session, SLEEPING, 0).await;
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn a_password_is_shown_nowhere() {
    needs_server!();
    let database = Database::new().await;
    let mut config = database.config();
    config.user("unheard_of").password("swordfish");
    let log = crate::log::Log::begin();
    let fixed = PostgresConnector::new(config.clone());
    assert!(format!("{fixed:?}").contains("unheard_of"), "{fixed:?}");
    let asked = by_key(move |()| {
        let config = config.clone();
        async move { Ok::<_, Error>(config) }
    });
    let mut shown = vec![format!("{fixed:?} {asked:?}")];
    for connector in [fixed, asked] {
        let pool = Pool::new(connector);
        // The server takes everybody who exists without asking.
        let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
        assert!(in_full(&error).contains("unheard_of"), "{}", in_full(&error));
        shown.push(format!("{error:?} {} {pool:?} {:?}", in_full(&error), pool.status()));
    }
    let connection = wharf::Connector::connect(&database.connector(), &()).await.unwrap();
    shown.push(format!("{connection:?}"));
    shown.push(log.text());
    assert!(!shown.concat().contains("swordfish"), "{shown:?}");
}

#[test]
fn a_password_in_a_string_that_is_no_configuration_is_not_shown() {
    for config in [
        "postgres://app:swordfish@db.example:many/shop",
        "host=db.example password=swordfish port=many",
        "postgres://app:swordfish@db.example/shop?no_such=option",
    ] {
        let error = config.parse::<PostgresConnector>().unwrap_err();
        let shown = format!("{error:?} {}", in_full(&error));
        assert!(!shown.contains("swordfish"), "{shown}");
    }
}
