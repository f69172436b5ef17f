//! `bb8-postgres`.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::tokio_postgres::{self, NoTls};
use servers::Server;
use wharf::{AcquireError, Pool};
use wharf_bb8::Bb8;

use self::sessions::{OTHERS, admin, config, server, session};
use crate::suite::{Connection, Subject};

#[path = "../../../../tests/servers/managers/postgres.rs"]
mod sessions;

struct Bb8Postgres(Server);

impl Subject for Bb8Postgres {
    type Connector = Bb8<PostgresConnectionManager<NoTls>>;

    async fn start() -> Self {
        Bb8Postgres(Server::start(&[]))
    }

    fn connector(&self) -> Self::Connector {
        Bb8::new(PostgresConnectionManager::new(config(&self.0), NoTls))
    }

    async fn session(connection: &mut Connection<Self>) -> Option<i64> {
        session(connection).await
    }

    server!();
}

crate::suite::suite!(Bb8Postgres);

#[tokio::test]
async fn a_set_up_changes_settings_of_each_session_and_its_error_is_the_servers() {
    if !Server::is_installed_or_skip() {
        return;
    }
    let server = Server::start(&[]);
    let manager = || Bb8::new(PostgresConnectionManager::new(config(&server), NoTls));
    let set_up = manager()
        .on_connect(|client| Box::pin(client.batch_execute("SET statement_timeout = 12345")));
    let pool = Pool::new(set_up);
    for loan in [pool.acquire(&()).await.unwrap(), pool.acquire(&()).await.unwrap()] {
        let row = loan.query_one("SHOW statement_timeout", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "12345ms");
    }

    let fails = manager()
        .name("orders-db")
        .on_connect(|client| Box::pin(client.batch_execute("SET ROLE nobody_of_that_name")));
    let error = Pool::new(fails).acquire(&()).await.unwrap_err();
    assert!(error.to_string().starts_with("no connection to \"orders-db\": "), "{error}");
    assert!(error.to_string().contains("nobody_of_that_name"), "{error}");
    let AcquireError::Connect(error) = error else { panic!("{error:?}") };
    assert!(error.as_db_error().is_some(), "{error:?}");
}
