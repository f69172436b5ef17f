//! r2d2, which blocks the thread of whoever waits: it is measured only where nobody does.

use std::convert::Infallible;

use r2d2::{ManageConnection, Pool, PooledConnection};

use super::{Contestant, Made, PATIENCE, Setup};

pub(crate) struct Numbers(Made);

impl ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.0.make())
    }

    fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

#[derive(Clone)]
pub(crate) struct R2d2(Pool<Numbers>);

impl Contestant for R2d2 {
    type Loan<'a> = PooledConnection<Numbers>;

    async fn build(setup: Setup) -> Self {
        let builder = Pool::builder().max_size(setup.max_u32()).connection_timeout(PATIENCE);
        let builder = builder.test_on_check_out(!setup.alike);
        R2d2(builder.build(Numbers(setup.made)).expect("it can be meant"))
    }

    async fn acquire(&self) -> PooledConnection<Numbers> {
        self.0.get().expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.0.state().idle_connections as usize)
    }
}
