//! `deadpool::managed`. It recycles by the manager's own rule, which here is none. As it comes it
//! has no time-outs.

use std::convert::Infallible;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};

use super::{Contestant, Made, Setup};

pub(crate) struct Numbers(Made);

impl Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(self.0.make())
    }

    async fn recycle(&self, _: &mut u64, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Deadpool(Pool<Numbers>);

impl Contestant for Deadpool {
    type Loan<'a> = Object<Numbers>;

    async fn build(setup: Setup) -> Self {
        let builder = Pool::builder(Numbers(setup.made.clone())).max_size(setup.max);
        let builder = builder.wait_timeout(setup.time_out()).runtime(Runtime::Tokio1);
        Deadpool(builder.build().expect("valid settings"))
    }

    async fn acquire(&self) -> Object<Numbers> {
        self.0.get().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.status().available)
    }
}
