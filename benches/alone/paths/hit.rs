//! A hit through a host: an idle connection is lent and returned.

use std::hint::black_box;

use wharf::{Builder, Host, Pool, PooledConnection};

use crate::connector::Numbers;
use crate::count::Path;
use crate::setting::Setting;

pub(crate) struct Hit {
    host: Host<Numbers>,
    /// The connections that others hold.
    _held: Vec<PooledConnection<Numbers>>,
}

impl Hit {
    pub(crate) fn of(host: Host<Numbers>) -> Hit {
        Hit { host, _held: Vec::new() }
    }
}

/// Sets up a host with `n` idle connections.
pub(crate) async fn idle(setting: Setting, n: usize) -> Hit {
    Hit::of(host(setting, n).await)
}

/// Sets up a host with one idle connection while others hold `n`.
pub(crate) async fn out(setting: Setting, n: usize) -> Hit {
    let host = host(setting, n + 1).await;
    let held = hold(&host, n).await;
    Hit { host, _held: held }
}

/// Makes a host with `n` idle connections, and no more.
pub(crate) async fn host(setting: Setting, n: usize) -> Host<Numbers> {
    host_of(setting.apply(Pool::builder(), n), Numbers::new(), n).await
}

/// Makes one in a pool of its own.
pub(crate) async fn host_of(builder: Builder, connector: Numbers, n: usize) -> Host<Numbers> {
    let pool = builder.build(connector).expect("valid settings");
    // The cheapest way while instructions are counted. With a minimum idle, the first one has the others dialed.
    while pool.add(&7, 7).is_ok() {}
    let host = pool.host(&7);
    host.warm(n).await.expect("the connections");
    host
}

/// Borrows `n` connections.
pub(crate) async fn hold(host: &Host<Numbers>, n: usize) -> Vec<PooledConnection<Numbers>> {
    let mut held = Vec::with_capacity(n);
    for _ in 0..n {
        held.push(host.acquire().await.expect("a connection"));
    }
    held
}

impl Path for Hit {
    async fn walk(&mut self, times: usize) {
        for _ in 0..times {
            drop(black_box(self.host.acquire().await.expect("a connection")));
        }
    }
}
