//! Long streams on the connections of a shared pool.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};
use wharf::{Connector, SharedConnector, SharedHost, SharedPool, async_trait};

use crate::{in_simulated_time, ms, secs};

const STORY: &str = "\
### A long stream on each shared connection

A shared pool with all defaults (`max_per_host` 10, `max_lifetime` 30 minutes, callers have 30 s) for 24 hours. A
connection carries 100 leases. Every half hour a stream begins, and lasts; every second somebody else asks, and needs
50 ms. deadpool and bb8 lend a connection to one borrower only.

| a stream lasts | served | failed | longest wait | streams at once | connections at once | dials |
| --- | --- | --- | --- | --- | --- | --- |";

const RUN: Duration = hours(24);
const MAX_LEASES: usize = 100;

const fn hours(n: u64) -> Duration {
    secs(n * 3600)
}

pub(crate) fn tell() {
    println!("{STORY}");
    for (name, stream) in [("1 hour", hours(1)), ("8 hours", hours(8)), ("for good", RUN * 2)] {
        println!("| {name} | {} |", in_simulated_time(0, play(stream)));
    }
}

/// Connections that carry many leases. Each clone is the same one.
struct Connections;

#[async_trait]
impl Connector for Connections {
    type Key = ();
    type Connection = Arc<()>;
    type Error = Infallible;

    async fn connect(&self, (): &()) -> Result<Arc<()>, Infallible> {
        sleep(ms(5)).await;
        Ok(Arc::new(()))
    }
}

impl SharedConnector for Connections {
    fn max_leases(&self, _: &Arc<()>) -> usize {
        MAX_LEASES
    }
}

async fn play(stream: Duration) -> String {
    let host = SharedPool::new(Connections).host(&());
    let mut streams = JoinSet::new();
    let mut callers = JoinSet::new();
    let (mut most_streams, mut most_connections) = (0, 0);
    let mut seconds = interval(secs(1));
    for second in 0..RUN.as_secs() {
        seconds.tick().await;
        while streams.try_join_next().is_some() {}
        if second % 1800 == 0 {
            streams.spawn(ask(host.clone(), stream));
        }
        callers.spawn(ask(host.clone(), ms(50)));
        most_streams = most_streams.max(streams.len());
        let status = host.status();
        most_connections = most_connections.max(status.dials - status.closed);
    }
    let waits = callers.join_all().await;
    let served: Vec<_> = waits.iter().flatten().collect();
    let longest = served.iter().max().map_or(0, |wait| wait.as_millis());
    let failed = waits.len() - served.len();
    let dials = host.status().dials;
    format!(
        "{} | {failed} | {longest} ms | {most_streams} | {most_connections} | {dials}",
        served.len()
    )
}

/// How long a caller waited, unless it was not served.
async fn ask(host: SharedHost<Connections>, uses: Duration) -> Option<Duration> {
    let began = Instant::now();
    let lease = host.acquire().await.ok()?;
    let waited = began.elapsed();
    sleep(uses).await;
    drop(lease);
    Some(waited)
}
