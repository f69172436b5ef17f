//! `bb8-postgres` and `deadpool-postgres`.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::tokio_postgres::{Client, Config, NoTls};
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use wharf_bb8::Bb8;
use wharf_deadpool::Deadpool;

use servers::Server;

use crate::suite::{Connection, Subject};

fn config(server: &Server) -> Config {
    server.url().parse().unwrap()
}

/// A session that no pool knows of.
async fn admin(server: &Server) -> Client {
    let (client, connection) = config(server).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn session(client: &Client) -> Option<i64> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await.ok()?;
    Some(row.get::<_, i32>(0).into())
}

const OTHERS: &str = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> \
                      pg_backend_pid()";

/// The server's part of a subject, which is the same for both managers.
macro_rules! server {
    () => {
        fn is_installed_or_skip() -> bool {
            Server::is_installed_or_skip()
        }

        async fn count_sessions(&self) -> usize {
            let rows = admin(&self.0).await.query(&format!("SELECT pid {OTHERS}"), &[]).await;
            rows.unwrap().len()
        }

        async fn kill_sessions(&self) {
            let kill = format!("SELECT pg_terminate_backend(pid, 10000) {OTHERS}");
            let killed = admin(&self.0).await.query(&kill, &[]).await.unwrap();
            assert!(!killed.is_empty());
        }

        async fn stop(&mut self) {
            self.0.stop();
        }

        async fn start_again(&mut self) {
            self.0.start_again();
        }
    };
}

mod bb8 {
    use super::*;

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
}

mod deadpool {
    use super::*;
    use tokio::time::{Duration, sleep};
    use wharf::Pool;

    struct DeadpoolPostgres(Server);

    fn manager(server: &Server, recycling_method: RecyclingMethod) -> Manager {
        Manager::from_config(config(server), NoTls, ManagerConfig { recycling_method })
    }

    impl Subject for DeadpoolPostgres {
        type Connector = Deadpool<Manager>;

        async fn start() -> Self {
            DeadpoolPostgres(Server::start(&[]))
        }

        fn connector(&self) -> Self::Connector {
            Deadpool::new(manager(&self.0, RecyclingMethod::Verified))
        }

        async fn session(connection: &mut Connection<Self>) -> Option<i64> {
            session(connection).await
        }

        server!();
    }

    crate::suite::suite!(DeadpoolPostgres);

    #[tokio::test]
    async fn what_one_borrower_has_set_the_next_one_does_not_see_even_when_it_waited() {
        if !Server::is_installed_or_skip() {
            return;
        }
        let server = Server::start(&[]);
        let connector = Deadpool::new(manager(&server, RecyclingMethod::Clean));
        let pool = Pool::builder().max_per_host(1).build(connector).unwrap();
        let loan = pool.acquire(&()).await.unwrap();
        loan.batch_execute("SET statement_timeout = 12345").await.unwrap();
        let next = tokio::spawn(pool.acquire(&()));
        while pool.status().waiting == 0 {
            sleep(Duration::from_millis(2)).await;
        }
        let first = session(&loan).await;
        drop(loan);

        let loan = next.await.unwrap().unwrap();
        assert_eq!(session(&loan).await, first);
        let row = loan.query_one("SHOW statement_timeout", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "0");
    }
}
