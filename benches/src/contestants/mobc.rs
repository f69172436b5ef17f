//! mobc. It would keep two idle connections, far fewer than it may have: it is told to keep them all, and not to check
//! each before it lends it.

use std::convert::Infallible;

use mobc::{Connection, Manager, Pool, async_trait};

use super::{Contestant, Made, Setup, TIMEOUT};

pub(crate) struct Numbers(Made);

#[async_trait]
impl Manager for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.0.make())
    }

    async fn check(&self, connection: u64) -> Result<u64, Infallible> {
        Ok(connection)
    }
}

#[derive(Clone)]
pub(crate) struct Mobc(Pool<Numbers>);

impl Contestant for Mobc {
    type Loan<'a> = Connection<Numbers>;

    async fn build(setup: Setup) -> Self {
        let max = setup.max as u64;
        let builder = Pool::builder().max_open(max).max_idle(max).get_timeout(Some(TIMEOUT));
        Mobc(builder.test_on_check_out(false).build(Numbers(setup.made)))
    }

    async fn acquire(&self) -> Connection<Numbers> {
        self.0.get().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        usize::try_from(self.0.state().await.idle).ok()
    }
}
