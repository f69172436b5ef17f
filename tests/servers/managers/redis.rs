//! A Redis server as the suite sees it. The tests of each package include it below a module that names the `redis` of
//! its manager.

use servers::RedisServer;

use super::redis::{self, aio::MultiplexedConnection};

pub(crate) async fn session(connection: &mut MultiplexedConnection) -> Option<i64> {
    redis::cmd("CLIENT").arg("ID").query_async(connection).await.ok()
}

/// A connection that no pool knows of.
pub(crate) async fn admin(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The server's part of a subject, which is the same for all managers.
macro_rules! server {
    () => {
        fn is_installed_or_skip() -> bool {
            RedisServer::is_installed_or_skip()
        }

        async fn count_sessions(&self) -> usize {
            let mut admin = admin(&self.0).await;
            let list = redis::cmd("CLIENT").arg(&["LIST", "TYPE", "normal"]).to_owned();
            let list: String = list.query_async(&mut admin).await.unwrap();
            list.lines().count() - 1
        }

        async fn kill_sessions(&self) {
            let mut admin = admin(&self.0).await;
            let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).to_owned();
            let killed: usize = kill.query_async(&mut admin).await.unwrap();
            assert!(killed > 0);
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
