//! The connector of all paths. Its connections are their keys.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::time::Instant;
use wharf::{Connector, SharedConnector, async_trait};

use crate::countdown::Countdown;

pub(crate) struct Numbers {
    max_leases: usize,
    pub(crate) dials: Arc<Countdown>,
    pub(crate) pings: Arc<Countdown>,
    /// Since when the peers are said to be heard, if they are.
    pub(crate) heard: Option<Instant>,
}

impl Numbers {
    pub(crate) fn new() -> Numbers {
        Numbers::with_leases(100)
    }

    /// Makes connections that carry this many leases each.
    pub(crate) fn with_leases(max_leases: usize) -> Numbers {
        Numbers { max_leases, dials: Arc::default(), pings: Arc::default(), heard: None }
    }

    /// Says that its peers were heard when it was made.
    pub(crate) fn hearing() -> Numbers {
        Numbers { heard: Some(Instant::now()), ..Numbers::new() }
    }
}

#[async_trait]
impl Connector for Numbers {
    type Key = u64;
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, key: &u64) -> Result<u64, Infallible> {
        self.dials.step();
        Ok(*key)
    }

    fn notices_close(&self) -> bool {
        true
    }

    fn last_heard(&self, _: &u64) -> Option<Instant> {
        self.heard
    }

    async fn ping(&self, _: &mut u64) -> Result<(), Infallible> {
        self.pings.step();
        Ok(())
    }
}

impl SharedConnector for Numbers {
    fn max_leases(&self, _: &u64) -> usize {
        self.max_leases
    }
}
