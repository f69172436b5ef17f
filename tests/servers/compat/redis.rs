//! `bb8-redis` and `deadpool-redis`.

use bb8_redis::RedisConnectionManager;
use bb8_redis::redis::{self, aio::MultiplexedConnection};
use wharf_bb8::Bb8;
use wharf_deadpool::Deadpool;

use servers::RedisServer;

use crate::suite::{Connection, Subject};

async fn session(connection: &mut MultiplexedConnection) -> Option<i64> {
    redis::cmd("CLIENT").arg("ID").query_async(connection).await.ok()
}

/// A connection that no pool knows of.
async fn admin(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// The server's part of a subject, which is the same for both managers.
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

mod bb8 {
    use super::*;

    struct Bb8Redis(RedisServer);

    impl Subject for Bb8Redis {
        type Connector = Bb8<RedisConnectionManager>;

        async fn start() -> Self {
            Bb8Redis(RedisServer::start())
        }

        fn connector(&self) -> Self::Connector {
            Bb8::new(RedisConnectionManager::new(self.0.url()).unwrap())
        }

        async fn session(connection: &mut Connection<Self>) -> Option<i64> {
            session(connection).await
        }

        server!();
    }

    crate::suite::suite!(Bb8Redis);
}

mod deadpool {
    use super::*;

    struct DeadpoolRedis(RedisServer);

    impl Subject for DeadpoolRedis {
        type Connector = Deadpool<deadpool_redis::Manager>;

        async fn start() -> Self {
            DeadpoolRedis(RedisServer::start())
        }

        fn connector(&self) -> Self::Connector {
            Deadpool::new(deadpool_redis::Manager::new(self.0.url()).unwrap())
        }

        async fn session(connection: &mut Connection<Self>) -> Option<i64> {
            session(connection).await
        }

        server!();
    }

    crate::suite::suite!(DeadpoolRedis);
}
