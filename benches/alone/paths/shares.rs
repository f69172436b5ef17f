//! Hosts that share `max_total` and take connections from each other.

use std::hint::black_box;

use tokio::task::JoinSet;
use wharf::Pool;

use crate::connector::Numbers;
use crate::count::Path;

pub(crate) struct Shares {
    pool: Pool<Numbers>,
    hosts: usize,
}

impl Shares {
    pub(crate) fn new(hosts: usize) -> Shares {
        let builder = Pool::builder().max_per_host(1).max_total(16).acquire_timeout(None);
        Shares { pool: builder.build(Numbers::new()).expect("valid settings"), hosts }
    }

    async fn use_each_host(&self) {
        let mut tasks = JoinSet::new();
        for key in 0..self.hosts as u64 {
            let pool = self.pool.clone();
            tasks.spawn(async move { drop(black_box(pool.acquire(&key).await)) });
        }
        tasks.join_all().await;
    }
}

impl Path for Shares {
    const WALKS: usize = 12_800;

    async fn walk(&mut self, times: usize) {
        for _ in 0..times / self.hosts {
            self.use_each_host().await;
        }
    }
}
