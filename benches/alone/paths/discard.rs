//! A connection that is lent and discarded, and its replacement.

use std::sync::Arc;

use wharf::{Host, Pool, PooledConnection};

use crate::connector::Numbers;
use crate::count::Path;
use crate::countdown::Countdown;
use crate::hit;
use crate::setting::Setting;

pub(crate) struct Discard {
    host: Host<Numbers>,
    dials: Arc<Countdown>,
    /// The connections that others hold.
    _held: Vec<PooledConnection<Numbers>>,
}

/// Sets up a host with `n` idle connections.
pub(crate) async fn idle(setting: Setting, n: usize) -> Discard {
    Discard::new(setting, n, 0).await
}

/// Sets up a host with one idle connection while others hold `n`.
pub(crate) async fn out(setting: Setting, n: usize) -> Discard {
    Discard::new(setting, 1, n).await
}

impl Discard {
    /// The minimum idle has each discarded connection replaced at once.
    async fn new(setting: Setting, idle: usize, held: usize) -> Discard {
        let all = idle + held;
        let builder = setting.apply(Pool::builder(), all).min_idle_per_host(idle);
        let connector = Numbers::new();
        let dials = connector.dials.clone();
        let host = hit::host_of(builder, connector, all).await;
        let held = hit::hold(&host, held).await;
        Discard { host, dials, _held: held }
    }
}

impl Path for Discard {
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        for _ in 0..times {
            let connection = self.host.acquire().await.expect("a connection");
            PooledConnection::discard(connection);
            self.dials.run(1).await;
        }
    }
}
