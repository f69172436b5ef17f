//! `bb8-postgres`.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::tokio_postgres::{self, NoTls};
use servers::Server;
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
