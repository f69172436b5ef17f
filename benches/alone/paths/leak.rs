//! Leak checks: loans that are held for too long, in simulated time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::sleep;
use wharf::{Host, Pool, PooledConnection};

use crate::connector::Numbers;
use crate::count::Path;
use crate::hit;
use crate::setting::Setting;

/// Between two leaks of the host, for any number of its loans.
const SPACING: Duration = Duration::from_millis(100);

pub(crate) struct Leak {
    host: Host<Numbers>,
    /// The loans, the oldest first. It becomes a leak next.
    loans: VecDeque<PooledConnection<Numbers>>,
}

impl Leak {
    /// Sets up a host with `n` loans, of which one becomes a leak in each `SPACING`.
    pub(crate) async fn new(setting: Setting, n: usize) -> Leak {
        let leak_after = SPACING * u32::try_from(n).expect("a small number");
        let builder = setting.apply(Pool::builder(), n).leak_after(leak_after);
        let host = hit::host_of(builder, Numbers::new(), n).await;
        let mut leak = Leak { host, loans: VecDeque::with_capacity(n) };
        for _ in 0..n {
            leak.lend().await;
        }
        leak
    }

    async fn lend(&mut self) {
        self.loans.push_back(self.host.acquire().await.expect("a connection"));
        sleep(SPACING).await;
    }
}

impl Path for Leak {
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        for _ in 0..times {
            self.loans.pop_front();
            self.lend().await;
        }
    }
}
