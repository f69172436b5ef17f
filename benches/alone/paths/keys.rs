//! A hit through a key, each of many in turn.

use std::hint::black_box;

use wharf::Pool;

use crate::connector::Numbers;
use crate::count::Path;

pub(crate) struct Keys {
    pool: Pool<Numbers>,
    keys: Box<dyn Iterator<Item = u64>>,
}

impl Keys {
    pub(crate) async fn new(hosts: usize) -> Keys {
        let builder = Pool::builder().max_per_host(1).acquire_timeout(None);
        let pool = builder.build(Numbers::new()).expect("valid settings");
        let mut keys = Keys { pool, keys: Box::new((0..hosts as u64).cycle()) };
        // Once around, so that all connections are there.
        keys.walk(hosts).await;
        keys
    }
}

impl Path for Keys {
    async fn walk(&mut self, times: usize) {
        for key in self.keys.by_ref().take(times) {
            drop(black_box(self.pool.acquire(black_box(&key)).await.expect("a connection")));
        }
    }
}
