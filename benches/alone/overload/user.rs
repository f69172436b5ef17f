//! A user: asks, leaves when its time is over, and tries again.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::player::Player;
use crate::server::Server;

/// Before the first retry; before the second it is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    /// How long it waits for an answer, each time it asks.
    pub(crate) waits: Duration,
    pub(crate) retries: u32,
}

impl User {
    /// Whether it is answered in the end.
    pub(crate) async fn is_answered<P: Player>(self, pool: P, server: Server) -> bool {
        for attempt in 0..=self.retries {
            sleep(PAUSE * attempt).await;
            let answer = timeout(self.waits, ask(pool.clone(), server.clone()));
            if answer.await.unwrap_or(false) {
                return true;
            }
        }
        false
    }
}

/// The server does the work that it has begun, also when its user has left.
async fn ask<P: Player>(pool: P, server: Server) -> bool {
    let Some(connection) = pool.acquire().await else { return false };
    let work = tokio::spawn(async move {
        server.serve().await;
        drop(connection);
    });
    work.await.is_ok()
}
