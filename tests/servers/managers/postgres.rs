//! A PostgreSQL server as the suite sees it. The tests of each package include it below a module that names the
//! `tokio_postgres` of its manager.

use servers::Server;

use super::tokio_postgres::{Client, Config, NoTls};

pub(crate) fn config(server: &Server) -> Config {
    server.url().parse().unwrap()
}

/// A session that no pool knows of.
pub(crate) async fn admin(server: &Server) -> Client {
    let (client, connection) = config(server).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) async fn session(client: &Client) -> Option<i64> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await.ok()?;
    Some(row.get::<_, i32>(0).into())
}

pub(crate) const OTHERS: &str = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> \
                                 pg_backend_pid()";

/// The server's part of a subject, which is the same for all managers.
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
pub(crate) use server;
