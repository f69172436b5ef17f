//! `fast_pool`. Its check and its time-outs cannot be turned off. It dials until it has as many
//! connections as it may, whether any is idle or not.

use fast_pool::{ConnectionGuard, Manager, Pool};

use super::{Contestant, Made, PATIENCE, Setup};

pub(crate) struct Numbers(Made);

impl Manager for Numbers {
    type Connection = u64;
    type Error = String;

    async fn connect(&self) -> Result<u64, String> {
        Ok(self.0.make())
    }

    async fn check(&self, _: &mut u64) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct FastPool(Pool<Numbers>);

impl Contestant for FastPool {
    type Loan<'a> = ConnectionGuard<Numbers>;

    async fn build(setup: Setup) -> Self {
        let pool = Pool::new(Numbers(setup.made));
        pool.set_max_open(setup.max as u64);
        pool.set_max_idle_conns(setup.max as u64);
        pool.set_timeout_wait(Some(PATIENCE));
        FastPool(pool)
    }

    async fn acquire(&self) -> ConnectionGuard<Numbers> {
        self.0.get().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        usize::try_from(self.0.state().idle).ok()
    }
}
