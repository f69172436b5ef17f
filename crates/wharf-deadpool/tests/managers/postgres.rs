//! `deadpool-postgres`.

use deadpool_postgres::tokio_postgres::{self, NoTls};
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use servers::Server;
use tokio::time::{Duration, sleep};
use wharf::Pool;
use wharf_deadpool::Deadpool;

use self::sessions::{OTHERS, admin, config, server, session};
use crate::suite::{Connection, Subject};

#[path = "../../../../tests/servers/managers/postgres.rs"]
mod sessions;

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
