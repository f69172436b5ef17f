//! `deadpool::managed`.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleResult};

use super::{CAP, Dialer, Failure, LONGEST_DIAL, Player};
use crate::server::{Link, Refused, Server};

#[derive(Clone)]
pub(crate) struct Deadpool(Pool<Dialer>);

impl Manager for Dialer {
    type Type = Link;
    type Error = Refused;

    async fn create(&self) -> Result<Link, Refused> {
        self.0.dial().await
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<Refused> {
        Ok(link.check()?)
    }
}

impl Player for Deadpool {
    const NAME: &'static str = "deadpool";
    type Loan = Object<Dialer>;

    /// It has a time-out for the wait and another for the dial, and none for both.
    fn new(server: Server, time: Duration) -> Self {
        let builder = Pool::builder(Dialer(server)).max_size(CAP as usize);
        let builder = builder.wait_timeout(Some(time)).create_timeout(Some(time.min(LONGEST_DIAL)));
        Deadpool(builder.runtime(Runtime::Tokio1).build().expect("valid settings"))
    }

    async fn acquire(&self) -> Result<Self::Loan, Failure> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => Failure::TimedOut,
            _ => Failure::Error,
        })
    }

    /// Drops what is idle.
    fn retire(&self) {
        self.0.retain(|_, _| false);
    }
}
