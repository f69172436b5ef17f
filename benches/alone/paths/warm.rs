//! Connections that are dialed in advance.

use wharf::Pool;

use crate::connector::Numbers;
use crate::count::Path;
use crate::setting::Setting;

/// The connections that all hosts of a pool have at the end.
const ALL: usize = 2 * Warm::WALKS;

pub(crate) struct Warm {
    pool: Pool<Numbers>,
    /// The connections of one host.
    n: usize,
    next_key: u64,
}

impl Warm {
    pub(crate) fn new(setting: Setting, n: usize) -> Warm {
        let builder = setting.apply(Pool::builder(), ALL).max_per_host(n).max_idle_per_host(n);
        let builder =
            if setting == Setting::Every { builder.min_idle_per_host(n) } else { builder };
        Warm { pool: builder.build(Numbers::new()).expect("valid settings"), n, next_key: 0 }
    }
}

/// A walk is a connection. Each host has `n`, so that a walk costs more if a connection costs more with many.
impl Path for Warm {
    const WALKS: usize = 10_000;
    const WARM_UP: usize = Self::WALKS;
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        for _ in 0..times / self.n {
            self.pool.warm(&self.next_key, self.n).await.expect("the connections");
            self.next_key += 1;
        }
    }
}
