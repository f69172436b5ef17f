//! bb8, told not to check each connection before it lends it. Its `connection_timeout` is the time-out of an acquire.

use std::convert::Infallible;

use bb8::{ManageConnection, Pool, PooledConnection};

use super::{Contestant, Made, Setup, TIMEOUT};

pub(crate) struct Numbers(Made);

impl ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.0.make())
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

#[derive(Clone)]
pub(crate) struct Bb8(Pool<Numbers>);

impl Contestant for Bb8 {
    type Loan<'a> = PooledConnection<'a, Numbers>;

    async fn build(setup: Setup) -> Self {
        let builder = Pool::builder().max_size(setup.max_u32()).connection_timeout(TIMEOUT);
        let builder = builder.test_on_check_out(false);
        Bb8(builder.build(Numbers(setup.made)).await.expect("valid settings"))
    }

    async fn acquire(&self) -> PooledConnection<'_, Numbers> {
        self.0.get().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.state().idle_connections as usize)
    }
}
