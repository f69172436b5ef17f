//! The pool inside hyper-util's legacy client, which is public for old times' sake, with the
//! client's own defaults (90 seconds idle, no timer). It has no cap on what is open, and its client
//! dials for every caller that waits, so that it is measured only where nobody waits.

use std::time::Duration;

use hyper_util::client::legacy::pool::{Config, Pool, Poolable, Pooled, Reservation, Ver};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A connection of HTTP/1.
pub(crate) struct Idle(u64);

impl Poolable for Idle {
    fn is_open(&self) -> bool {
        true
    }

    fn reserve(self) -> Reservation<Self> {
        Reservation::Unique(self)
    }

    fn can_share(&self) -> bool {
        false
    }
}

pub(crate) struct HyperUtil(Pool<Idle, u64>);

impl HyperUtil {
    /// This many connections for each of this many keys.
    pub(crate) fn new(keys: u64, of_each: u64) -> HyperUtil {
        let idle_timeout = Some(Duration::from_secs(90));
        let config = Config { idle_timeout, max_idle_per_host: usize::MAX };
        let pool = Pool::new(config, TokioExecutor::new(), None::<TokioTimer>);
        for key in (0..keys * of_each).map(|n| n / of_each) {
            let connecting = pool.connecting(&key, Ver::Auto).expect("HTTP/1 takes no turns");
            drop(pool.pooled(connecting, Idle(key)));
        }
        HyperUtil(pool)
    }

    pub(crate) async fn take(&self, key: u64) -> Pooled<Idle, u64> {
        let pooled = self.0.checkout(key).await.expect("an idle connection");
        assert_eq!(pooled.0, key);
        pooled
    }
}
