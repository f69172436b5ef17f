//! `deadpool-postgres`.

use deadpool_postgres::tokio_postgres::{self, NoTls};
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use servers::Server;
use tokio::time::{Duration, sleep};
use wharf::{AcquireError, Pool};
use wharf_deadpool::{Deadpool, Error};

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
async fn a_session_setting_of_one_borrower_is_not_seen_by_a_waiter() {
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

#[tokio::test]
async fn a_set_up_changes_settings_of_each_session_and_its_error_is_the_servers() {
    if !Server::is_installed_or_skip() {
        return;
    }
    let server = Server::start(&[]);
    let manager = || Deadpool::new(manager(&server, RecyclingMethod::Fast));
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
    assert!(matches!(&*error, Error::Manager(error) if error.as_db_error().is_some()), "{error:?}");
}
