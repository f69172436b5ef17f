//! A query to PostgreSQL, on a server of our own. Its programs are not installed for this.

use std::net::SocketAddr;

use wharf::{Pool, PooledConnection};
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::types::Type;
use wharf_postgres::tokio_postgres::{Client, Config, NoTls, Statement};

use super::{Protocol, Serving, TASKS};
use crate::beside::Keeps;
use crate::postgres::is_installed;
use servers::Server;

const SQL: &str = "SELECT $1::int8";

pub(crate) struct Postgres {
    config: Config,
    pool: Pool<PostgresConnector>,
}

impl Protocol for Postgres {
    const NAME: &'static str = "PostgreSQL";

    async fn serve() -> Serving {
        if !is_installed() {
            return None;
        }
        let server = tokio::task::spawn_blocking(|| Server::start(&["max_connections=200"]));
        let server = server.await.ok()?;
        Some((SocketAddr::from(([127, 0, 0, 1], server.port())), Box::new(server)))
    }

    fn at(address: SocketAddr) -> Self {
        let mut config = Config::new();
        config.host(address.ip().to_string()).port(address.port());
        config.user("postgres").dbname("postgres");
        let pool = Pool::builder().max_per_host(TASKS);
        let pool = pool.build(PostgresConnector::new(config.clone())).expect("valid settings");
        Postgres { config, pool }
    }

    async fn dial_and_ask(&self) {
        let (client, connection) = self.config.connect(NoTls).await.expect("a connection");
        let driver = tokio::spawn(connection);
        let row = client.query_typed_one(SQL, &[(&7i64, Type::INT8)]).await.expect("an answer");
        assert_eq!(row.get::<_, i64>(0), 7);
        drop(client);
        let _ = driver.await;
    }

    async fn ask_through_pool(&self) {
        Postgres::ask_on_loan(&mut self.borrow().await).await;
    }

    fn dials(&self) -> u64 {
        self.pool.status().dials
    }
}

impl Keeps for Postgres {
    type Connection = (Client, Statement);
    type Loan = PooledConnection<PostgresConnector>;

    async fn dial(&self) -> (Client, Statement) {
        let (client, connection) = self.config.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let statement = client.prepare(SQL).await.expect("a statement");
        (client, statement)
    }

    async fn ask((client, statement): &mut (Client, Statement)) {
        let row = client.query_one(statement, &[&7i64]).await.expect("an answer");
        assert_eq!(row.get::<_, i64>(0), 7);
    }

    async fn borrow(&self) -> PooledConnection<PostgresConnector> {
        self.pool.acquire(&()).await.expect("a connection")
    }

    async fn ask_on_loan(client: &mut PooledConnection<PostgresConnector>) {
        let row = client.query_one_cached(SQL, &[&7i64]).await.expect("an answer");
        assert_eq!(row.get::<_, i64>(0), 7);
    }
}
