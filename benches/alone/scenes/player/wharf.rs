//! wharf, with `retry` and without.

use std::time::Duration;

use wharf::{AcquireError, Backoff, Connector, Pool, PooledConnection, async_trait};

use super::{CAP, Dialer, Failure, Player};
use crate::server::{Link, Refused, Server};

pub(crate) struct Wharf<const RETRY: bool>(Pool<Dialer>);

#[async_trait]
impl Connector for Dialer {
    type Key = ();
    type Connection = Link;
    type Error = Refused;

    async fn connect(&self, (): &()) -> Result<Link, Refused> {
        self.0.dial().await
    }

    async fn ping(&self, link: &mut Link) -> Result<(), Refused> {
        link.check()
    }

    fn notices_close(&self) -> bool {
        true
    }

    fn is_open(&self, link: &mut Link) -> bool {
        link.is_open()
    }
}

impl<const RETRY: bool> Clone for Wharf<RETRY> {
    fn clone(&self) -> Self {
        Wharf(self.0.clone())
    }
}

impl<const RETRY: bool> Player for Wharf<RETRY> {
    const NAME: &'static str = if RETRY { "wharf, `retry`" } else { "wharf" };
    type Loan = PooledConnection<Dialer>;

    fn new(server: Server, time: Duration) -> Self {
        let builder = Pool::builder().max_per_host(CAP as usize).acquire_timeout(time);
        let builder = builder.retry(RETRY.then(Backoff::default));
        Wharf(builder.build(Dialer(server)).expect("valid settings"))
    }

    async fn acquire(&self) -> Result<Self::Loan, Failure> {
        self.0.acquire(&()).await.map_err(|error| match error {
            AcquireError::Timeout(_) => Failure::TimedOut,
            _ => Failure::Error,
        })
    }

    fn retire(&self) {
        self.0.retire(&());
    }
}
