//! Pools of one server, and the callers of each.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf::{Builder, Connector, Pool, SharedConnector, async_trait};

use crate::ms;
use crate::server::{Link, Refused, Server};

/// Between a failed call and the caller's next one.
const AFTER_A_FAILURE: Duration = ms(100);

/// Dials the server with the key's number.
pub(crate) struct Links(pub(crate) Vec<Server>);

#[async_trait]
impl Connector for Links {
    type Key = usize;
    type Connection = Arc<Link>;
    type Error = Refused;

    async fn connect(&self, server: &usize) -> Result<Arc<Link>, Refused> {
        Ok(Arc::new(self.0[*server].dial().await?))
    }

    fn is_open(&self, link: &mut Arc<Link>) -> bool {
        link.is_open()
    }
}

impl SharedConnector for Links {
    fn max_leases(&self, _: &Arc<Link>) -> usize {
        100
    }
}

pub(crate) fn pool(server: &Server, set: impl FnOnce(Builder) -> Builder) -> Pool<Links> {
    set(Pool::builder()).build(Links(vec![server.clone()])).expect("valid settings")
}

/// What the callers of a pool saw.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) served: u64,
    pub(crate) failed: u64,
    /// The first one that was served.
    pub(crate) first: Option<Instant>,
    pub(crate) longest: Duration,
}

impl Seen {
    pub(crate) fn and(self, other: Seen) -> Seen {
        Seen {
            served: self.served + other.served,
            failed: self.failed + other.failed,
            first: self.first.into_iter().chain(other.first).min(),
            longest: self.longest.max(other.longest),
        }
    }
}

/// Calls again and again until the end, and uses each connection for this long. What ends before
/// `from` is not counted.
async fn call(pool: Pool<Links>, used_for: Duration, from: Instant, end: Instant) -> Seen {
    let mut seen = Seen::default();
    // Nothing begins in step.
    sleep(Duration::from_secs_f64(fastrand::f64())).await;
    while Instant::now() < end {
        let began = Instant::now();
        let link = pool.acquire(&0).await;
        let now = Instant::now();
        let counts = (from..end).contains(&now);
        if counts {
            seen.longest = seen.longest.max(now - began);
        }
        let Ok(link) = link else {
            seen.failed += u64::from(counts);
            sleep(AFTER_A_FAILURE).await;
            continue;
        };
        if counts {
            seen.served += 1;
            seen.first.get_or_insert(now);
        }
        sleep(used_for).await;
        drop(link);
    }
    seen
}

/// This many callers of each pool. Returns what those of each pool saw together.
pub(crate) async fn callers(
    pools: &[Pool<Links>],
    of_each: usize,
    used_for: Duration,
    from: Instant,
    end: Instant,
) -> Vec<Seen> {
    let mut calls = JoinSet::new();
    for (n, pool) in pools.iter().enumerate() {
        for _ in 0..of_each {
            let pool = pool.clone();
            calls.spawn(async move { (n, call(pool, used_for, from, end).await) });
        }
    }
    let mut seen = vec![Seen::default(); pools.len()];
    while let Some(one) = calls.join_next().await {
        let (n, one) = one.expect("no panic");
        seen[n] = seen[n].and(one);
    }
    seen
}
