//! `bb8-redis`.

use bb8_redis::{RedisConnectionManager, redis};
use servers::RedisServer;
use wharf_bb8::Bb8;

use self::sessions::{admin, server, session};
use crate::suite::{Connection, Subject};

#[path = "../../../../tests/servers/managers/redis.rs"]
mod sessions;

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
