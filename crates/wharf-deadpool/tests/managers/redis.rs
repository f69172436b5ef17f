//! `deadpool-redis`.

use deadpool_redis::redis;
use servers::RedisServer;
use wharf_deadpool::Deadpool;

use self::sessions::{admin, server, session};
use crate::suite::{Connection, Subject};

#[path = "../../../../tests/servers/managers/redis.rs"]
mod sessions;

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
