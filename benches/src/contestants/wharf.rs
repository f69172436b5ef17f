//! This crate: through a handle on one host, through a key, watched, and under a cap across hosts.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Once;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use wharf::metrics::Metrics;
use wharf::{
    Builder, Connector, HealthCheck, Heartbeat, Observer, Pool, PooledConnection, async_trait,
};

use super::{Contestant, Made, Setup, TIMEOUT};

/// Connections are numbers, and so are hosts.
pub(crate) struct Numbered(pub(crate) Made);

#[async_trait]
impl Connector for Numbered {
    type Key = u64;
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, _: &u64) -> Result<u64, Infallible> {
        Ok(self.0.make())
    }
}

/// The host that is measured.
const HOST: u64 = 7;

/// A pool with this many other hosts, each with an idle connection.
async fn pool(builder: Builder, setup: Setup, others: u64) -> Pool<Numbered> {
    let builder = builder.max_per_host(setup.max);
    let pool = builder.build(Numbered(setup.made)).expect("valid settings");
    for key in 0..others {
        drop(pool.acquire(&(HOST + 1 + key)).await);
    }
    pool
}

/// What the variants that go through a handle on a host have in common.
pub(crate) trait Variant: Clone + Send + Sync + 'static {
    const OTHERS: u64 = 0;
    fn builder() -> Builder;
}

#[derive(Clone)]
pub(crate) struct Through<V>(wharf::Host<Numbered>, V);

impl<V: Variant + Default> Contestant for Through<V> {
    type Loan<'a> = PooledConnection<Numbered>;

    async fn build(setup: Setup) -> Self {
        Through(pool(V::builder(), setup, V::OTHERS).await.host(&HOST), V::default())
    }

    async fn acquire(&self) -> PooledConnection<Numbered> {
        self.0.acquire().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.pool().status().idle)
    }

    fn apart(&self, nth: u64) -> Self {
        Through(self.0.pool().host(&(HOST + nth)), V::default())
    }
}

/// Every setting at its default.
#[derive(Clone, Default)]
pub(crate) struct Plain;

impl Variant for Plain {
    fn builder() -> Builder {
        Pool::builder()
    }
}

/// With the task of each loan noted.
#[derive(Clone, Default)]
pub(crate) struct Noted;

impl Variant for Noted {
    fn builder() -> Builder {
        Pool::builder().deadlock_warnings(true)
    }
}

/// With all that can be watched: an observer of each event, warnings of loans that are held for long and of waits that
/// take long, the task of each loan, pings of what was idle for long, and heartbeats.
#[derive(Clone, Default)]
pub(crate) struct Watched;

struct Nobody;

impl Observer for Nobody {}

impl Variant for Watched {
    fn builder() -> Builder {
        let builder = Noted::builder().observer(Nobody).leak_after(TIMEOUT).slow_acquire(TIMEOUT);
        builder.health_check(HealthCheck::IdleFor(TIMEOUT)).heartbeat(Heartbeat::default())
    }
}

/// The same with metrics of each event, into the exporter for Prometheus.
#[derive(Clone, Default)]
pub(crate) struct Metered;

impl Variant for Metered {
    fn builder() -> Builder {
        Watched::builder().observer(metrics())
    }
}

fn metrics() -> Metrics {
    static RECORDER: Once = Once::new();
    RECORDER.call_once(|| {
        PrometheusBuilder::new().install_recorder().expect("no other recorder");
    });
    Metrics::new("benches")
}

/// What the report after this many hits takes.
pub(crate) async fn report_after(hits: u32, setup: Setup) -> Duration {
    let metrics = metrics();
    let pool = pool(Watched::builder().observer(metrics.clone()), setup, 0).await;
    let host = pool.host(&HOST);
    drop(host.acquire().await);
    metrics.report(&pool);
    for _ in 0..hits {
        drop(black_box(host.acquire().await));
    }
    let begun = Instant::now();
    metrics.report(&pool);
    begun.elapsed()
}

/// Under `max_total`, with this many other hosts.
#[derive(Clone, Default)]
pub(crate) struct Total<const OTHERS: u64>;

impl<const OTHERS: u64> Variant for Total<OTHERS> {
    const OTHERS: u64 = OTHERS;

    fn builder() -> Builder {
        Pool::builder().max_total(2000).idle_timeout(Duration::from_secs(3600))
    }
}

/// By key: one host among a thousand.
#[derive(Clone)]
pub(crate) struct Key(Pool<Numbered>, u64);

impl Contestant for Key {
    type Loan<'a> = PooledConnection<Numbered>;

    async fn build(setup: Setup) -> Self {
        Key(pool(Pool::builder(), setup, 999).await, HOST)
    }

    async fn acquire(&self) -> PooledConnection<Numbered> {
        self.0.acquire(black_box(&self.1)).await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.status().idle)
    }

    fn apart(&self, nth: u64) -> Self {
        Key(self.0.clone(), HOST + nth)
    }
}
