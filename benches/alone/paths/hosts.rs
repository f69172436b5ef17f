//! Hosts that come and go.

use std::hint::black_box;

use wharf::Pool;

use crate::connector::Numbers;
use crate::count::Path;

/// A host's first loan, with its dial and its return.
pub(crate) struct First {
    pool: Pool<Numbers>,
    next_key: u64,
}

impl First {
    pub(crate) fn new() -> First {
        let builder = Pool::builder().max_per_host(1).acquire_timeout(None);
        First { pool: builder.build(Numbers::new()).expect("valid settings"), next_key: 0 }
    }
}

impl Path for First {
    const WALKS: usize = 10_000;
    const WARM_UP: usize = Self::WALKS;
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        for _ in 0..times {
            drop(black_box(self.pool.acquire(&self.next_key).await.expect("a connection")));
            self.next_key += 1;
        }
    }
}

/// A pool's close. A walk is a host that has an idle connection.
pub(crate) struct Close(Vec<Pool<Numbers>>);

impl Close {
    pub(crate) async fn new() -> Close {
        let mut pools = Vec::new();
        for walks in [Self::WALKS, Self::WARM_UP] {
            let mut hosts = First::new();
            hosts.walk(walks).await;
            pools.push(hosts.pool);
        }
        Close(pools)
    }
}

impl Path for Close {
    const WALKS: usize = First::WALKS;
    const WARM_UP: usize = First::WARM_UP;
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        let pool = self.0.pop().expect("a pool for each call");
        assert_eq!(pool.status().idle, times);
        pool.close().await;
    }
}
