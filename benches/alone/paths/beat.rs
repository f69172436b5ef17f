//! A heartbeat of one of many connections, in simulated time.

use std::sync::Arc;
use std::time::Duration;

use wharf::{Builder, Heartbeat, Host, Lease, Pool, SharedHost, SharedPool};

use crate::connector::Numbers;
use crate::count::Path;
use crate::countdown::Countdown;
use crate::hit;
use crate::setting::Setting;
use crate::sharing;

/// Between two heartbeats of the host, for any number of its connections: their interval grows with it.
const SPACING: Duration = Duration::from_millis(100);

pub(crate) struct Beat<Kept> {
    pings: Arc<Countdown>,
    /// Keeps the pool and its connections.
    _kept: Kept,
}

/// Sets up a host with `n` idle connections.
pub(crate) async fn idle(setting: Setting, n: usize) -> Beat<Host<Numbers>> {
    let connector = Numbers::new();
    let pings = connector.pings.clone();
    let builder = with_heartbeat(setting.apply(Pool::builder(), n), n);
    Beat { pings, _kept: hit::host_of(builder, connector, n).await }
}

/// Sets up a host with `n` shared connections, each lent.
pub(crate) async fn lent(
    setting: Setting,
    n: usize,
) -> Beat<(SharedHost<Numbers>, Vec<Lease<Numbers>>)> {
    let connector = Numbers::with_leases(1);
    let pings = connector.pings.clone();
    let builder = with_heartbeat(setting.apply(SharedPool::builder(), n), n);
    let host = sharing::host_of(builder, connector, n).await;
    let held = sharing::hold(&host, n).await;
    Beat { pings, _kept: (host, held) }
}

fn with_heartbeat<Kind>(builder: Builder<Kind>, n: usize) -> Builder<Kind> {
    let interval = SPACING * u32::try_from(n).expect("a small number");
    builder.heartbeat(Heartbeat::every(interval))
}

impl<Kept> Path for Beat<Kept> {
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        self.pings.run(times).await;
    }
}
