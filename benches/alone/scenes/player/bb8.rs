//! bb8.

use std::time::Duration;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use tokio::time::timeout;

use super::{CAP, Dialer, Failure, LONGEST_DIAL, Player};
use crate::server::{Link, Refused, Server};

#[derive(Clone)]
pub(crate) struct Bb8(Pool<Dialer>);

impl ManageConnection for Dialer {
    type Connection = Link;
    type Error = Refused;

    async fn connect(&self) -> Result<Link, Refused> {
        timeout(LONGEST_DIAL, self.0.dial()).await.unwrap_or(Err(Refused))
    }

    async fn is_valid(&self, link: &mut Link) -> Result<(), Refused> {
        link.check()
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        !link.is_open()
    }
}

impl Player for Bb8 {
    const NAME: &'static str = "bb8";
    type Loan = PooledConnection<'static, Dialer>;

    fn new(server: Server, time: Duration) -> Self {
        let builder = Pool::builder().max_size(CAP).connection_timeout(time);
        Bb8(builder.build_unchecked(Dialer(server)))
    }

    async fn acquire(&self) -> Result<Self::Loan, Failure> {
        self.0.get_owned().await.map_err(|error| match error {
            RunError::TimedOut => Failure::TimedOut,
            RunError::User(_) => Failure::Error,
        })
    }

    /// It cannot be told.
    fn retire(&self) {}
}
