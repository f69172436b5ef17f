//! How servers are reached, and what is said when they are not.

use std::time::Duration;

use wharf::{AcquireError, Backoff, Builder, Pool};
use wharf_postgres::tokio_postgres::Config;
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::{Error, PostgresBuilder, PostgresConnector};

use crate::support::{
    Database, PostgresPool, acquire, assert_nothing_leaked, connector, in_full, needs_server,
    pool_on, process, session, within_a_minute,
};
use servers::Server;

/// A pool that would dial until its time is over, which is longer than a test may take.
fn stubborn(config: Config) -> PostgresPool {
    let set = |builder: Builder| {
        builder.retry(Backoff::default()).acquire_timeout(Duration::from_secs(600))
    };
    set(Pool::builder()).build(connector(config)).unwrap()
}

/// The error that a caller has at once, although the pool would dial again.
async fn refusal(config: Config) -> AcquireError<Error> {
    let pool = stubborn(config);
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error:?}");
    assert_eq!(pool.status().dials, 1);
    error
}

fn code(error: &AcquireError<Error>) -> Option<&SqlState> {
    let AcquireError::Connect(error) = error else { return None };
    error.code()
}

/// Nothing is dialed: `sslmode=require` needs TLS, and there is none.
#[tokio::test]
async fn an_error_shows_the_name_that_a_database_was_given_or_else_its_servers_and_its_own_name() {
    async fn told(builder: PostgresBuilder) -> String {
        let pool = Pool::new(builder.build().unwrap());
        let told = within_a_minute(pool.acquire(&())).await.unwrap_err().to_string();
        told.split(": sslmode=require").next().unwrap().to_owned()
    }
    let config: Config = "host=db-1 user=u dbname=shop sslmode=require".parse().unwrap();
    let fixed = || PostgresConnector::builder(config.clone());
    assert_eq!(told(fixed()).await, "no connection to \"db-1:5432/shop\"");
    assert_eq!(told(fixed().name("orders-db")).await, "no connection to \"orders-db\"");

    let asked = || {
        let config = config.clone();
        PostgresConnector::builder_by_key(move |()| {
            let config = config.clone();
            async move { Ok::<_, Error>(config) }
        })
    };
    assert_eq!(told(asked()).await, "no connection");
    assert_eq!(told(asked().name("orders-db")).await, "no connection to \"orders-db\"");
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once() {
    needs_server!();
    let database = Database::new().await;
    let session = database.session().await;
    session.batch_execute("CREATE ROLE guarded LOGIN PASSWORD 'right'").await.unwrap();
    let mut config = database.config();
    config.user("guarded").password("wrong");

    let error = refusal(config.clone()).await;
    assert_eq!(code(&error), Some(&SqlState::INVALID_PASSWORD));

    let mut without = database.config();
    without.user("guarded");
    assert!(in_full(&refusal(without).await).contains("password missing"));

    config.password("right");
    let pool = stubborn(config);
    process(&acquire(&pool).await).await;
    assert_nothing_leaked(&pool, &session).await;
    session.batch_execute("DROP ROLE guarded").await.unwrap();
}

#[tokio::test]
async fn an_error_that_no_retry_mends_is_reported_at_once() {
    needs_server!();
    let database = Database::new().await;
    let mut config = database.config();
    config.dbname("nowhere");
    assert_eq!(code(&refusal(config).await), Some(&SqlState::UNDEFINED_DATABASE));

    let mut config = database.config();
    config.options("-c no_such_setting=1");
    assert_eq!(code(&refusal(config).await), Some(&SqlState::UNDEFINED_OBJECT));

    let mut config = database.config();
    config.ssl_mode(wharf_postgres::tokio_postgres::config::SslMode::Require);
    assert!(in_full(&refusal(config).await).contains("TLS"));

    let mut config = Config::new();
    config.user("postgres");
    assert!(in_full(&refusal(config).await).contains("host"));
}

#[test]
fn a_string_that_is_no_configuration_says_what_is_wrong_with_it() {
    let parsed = "host=localhost port=many".parse::<wharf_postgres::PostgresConnector>();
    assert_eq!(
        in_full(&parsed.unwrap_err()),
        "invalid connection string: invalid value for option `port`"
    );
}

#[tokio::test]
async fn a_server_is_reached_over_its_unix_socket() {
    needs_server!();
    let database = Database::new().await;
    let mut config: Config = database.server().socket().parse().unwrap();
    config.dbname(database.config().get_dbname().unwrap());
    let pool = Pool::new(connector(config));
    let loan = acquire(&pool).await;
    let address = "SELECT inet_server_addr() IS NULL";
    assert!(loan.query_one_cached(address, &[]).await.unwrap().get::<_, bool>(0));
    drop(loan);
    assert_nothing_leaked(&pool, &database.session().await).await;
}

#[tokio::test]
async fn of_two_hosts_the_one_that_takes_writes_is_used() {
    needs_server!();
    let standby = Server::start(&["default_transaction_read_only=on"]);
    let database = Database::new().await;
    let hosts = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname={}",
        standby.port(),
        database.server().port(),
        database.config().get_dbname().unwrap(),
    );
    // The standby has no such database; it is asked first all the same.
    for attributes in ["", " target_session_attrs=read-write"] {
        let pool = Pool::new(connector(format!("{hosts}{attributes}").parse().unwrap()));
        let loan = acquire(&pool).await;
        let port: i32 =
            loan.query_one_cached("SELECT inet_server_port()", &[]).await.unwrap().get(0);
        assert_eq!(port, i32::from(database.server().port()));
        drop(loan);
        assert_nothing_leaked(&pool, &database.session().await).await;
    }

    let everywhere = hosts.split(" dbname=").next().unwrap();
    let first: Config = format!("{everywhere} dbname=postgres").parse().unwrap();
    let writable = format!("{everywhere} dbname=postgres target_session_attrs=read-write");
    for (config, port) in
        [(first, standby.port()), (writable.parse().unwrap(), database.server().port())]
    {
        let pool = Pool::new(connector(config));
        let loan = acquire(&pool).await;
        let found: i32 =
            loan.query_one_cached("SELECT inet_server_port()", &[]).await.unwrap().get(0);
        assert_eq!(found, i32::from(port));
    }
}

#[tokio::test]
async fn a_server_with_less_room_than_the_pool_serves_all_with_what_there_is() {
    needs_server!();
    let server = Server::start(&["max_connections=5", "superuser_reserved_connections=0"]);
    let pool = pool_on(&server, |builder| builder.max_per_host(20));
    let callers: Vec<_> = (0..60)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let loan = pool.acquire(&()).await?;
                loan.query_one_cached("SELECT pg_sleep(0.01)", &[]).await.unwrap();
                Ok::<_, AcquireError<wharf_postgres::Error>>(())
            })
        })
        .collect();
    for caller in callers {
        within_a_minute(caller)
            .await
            .unwrap()
            .unwrap_or_else(|error| panic!("{}", in_full(&error)));
    }
    let status = pool.status();
    assert!(status.failed_dials > 0, "the server refused nobody");
    assert!(status.idle <= 5);
    pool.close_idle();
    within_a_minute(async {
        while pool.status().closing > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let looker = session_when_there_is_room(&server).await;
    assert_nothing_leaked(&pool, &looker).await;
}

#[tokio::test]
async fn where_nothing_can_serve_the_servers_word_is_told() {
    needs_server!();
    let server = Server::start(&["max_connections=3", "superuser_reserved_connections=0"]);
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(session(server.url().parse().unwrap()).await);
    }
    let pool = pool_on(&server, |builder| builder);
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert_eq!(code(&error), Some(&SqlState::TOO_MANY_CONNECTIONS));
    assert!(in_full(&error).contains("too many clients"), "{}", in_full(&error));

    let patient = pool_on(&server, |builder| builder.retry(Backoff::default()));
    let error = patient.acquire_within(&(), Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().contains("too many clients"), "{error}");
    // Its last dial may still be in flight, and would take the place.
    within_a_minute(patient.close()).await;
    drop(others.pop());
    let looker = others.pop().unwrap();
    // The server frees the place in its own time.
    within_a_minute(async {
        while pool.acquire(&()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_nothing_leaked(&pool, &looker).await;
}

async fn session_when_there_is_room(server: &Server) -> wharf_postgres::tokio_postgres::Client {
    let config: Config = server.url().parse().unwrap();
    within_a_minute(async {
        loop {
            if let Ok((client, connection)) =
                config.connect(wharf_postgres::tokio_postgres::NoTls).await
            {
                tokio::spawn(connection);
                return client;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
