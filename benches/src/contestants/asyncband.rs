//! asyncband's bounded pool. It has no timers: its documents tell its users to wrap each acquire in
//! their runtime's time-out.

use std::convert::Infallible;
use std::sync::Arc;

use asyncband::pool::bounded::{Object, Pool, PoolConfig};
use asyncband::pool::{ManageObject, ObjectStatus};
use tokio::time::timeout;

use super::{Contestant, Made, Setup, TIMEOUT};

pub(crate) struct Numbers(Made);

impl ManageObject for Numbers {
    type Object = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(self.0.make())
    }

    async fn is_recyclable(&self, _: &mut u64, _: &ObjectStatus) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Asyncband {
    pool: Arc<Pool<Numbers>>,
    alike: bool,
}

impl Contestant for Asyncband {
    type Loan<'a> = Object<Numbers>;

    async fn build(setup: Setup) -> Self {
        let pool = Pool::new(PoolConfig::new(setup.max), Numbers(setup.made));
        Asyncband { pool, alike: setup.alike }
    }

    async fn acquire(&self) -> Object<Numbers> {
        if !self.alike {
            return self.pool.get().await.expect("a connection");
        }
        timeout(TIMEOUT, self.pool.get()).await.expect("in time").expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.pool.status().idle_count)
    }
}
