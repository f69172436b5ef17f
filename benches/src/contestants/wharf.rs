//! This crate, through a handle on one host and through a key.

use std::convert::Infallible;
use std::hint::black_box;

use wharf::{Connector, Observer, Pool, PooledConnection, async_trait};

use super::{Contestant, Made, PATIENCE, Setup};

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

fn pool(setup: Setup) -> Pool<Numbered> {
    Pool::builder().max_per_host(setup.max).build(Numbered(setup.made)).expect("it can be meant")
}

#[derive(Clone)]
pub(crate) struct Host(wharf::Host<Numbered>);

impl Contestant for Host {
    type Loan<'a> = PooledConnection<Numbered>;

    async fn build(setup: Setup) -> Self {
        Host(pool(setup).host(&7))
    }

    async fn acquire(&self) -> PooledConnection<Numbered> {
        self.0.acquire().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.status().idle)
    }
}

/// The same with all that can be watched: an observer of each event, warnings of loans that are held
/// for long and of waits that take long.
#[derive(Clone)]
pub(crate) struct Watched(wharf::Host<Numbered>);

struct Nobody;

impl Observer for Nobody {}

impl Contestant for Watched {
    type Loan<'a> = PooledConnection<Numbered>;

    async fn build(setup: Setup) -> Self {
        let builder = Pool::builder().max_per_host(setup.max).observer(Nobody);
        let builder = builder.leak_after(PATIENCE).slow_acquire(PATIENCE);
        Watched(builder.build(Numbered(setup.made)).expect("it can be meant").host(&7))
    }

    async fn acquire(&self) -> PooledConnection<Numbered> {
        self.0.acquire().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.status().idle)
    }
}

/// One host among a thousand.
#[derive(Clone)]
pub(crate) struct Key(Pool<Numbered>);

impl Contestant for Key {
    type Loan<'a> = PooledConnection<Numbered>;

    async fn build(setup: Setup) -> Self {
        let pool = pool(setup);
        for key in 0..1000 {
            drop(pool.acquire(&key).await);
        }
        Key(pool)
    }

    async fn acquire(&self) -> PooledConnection<Numbered> {
        self.0.acquire(black_box(&7)).await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.status().idle)
    }
}
