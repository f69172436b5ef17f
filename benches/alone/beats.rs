//! What the heartbeats of 100,000 connections take of a core: 10 hosts, and a heartbeat every 10 seconds.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench beats`.
//!
//! Time is simulated, so the rate is the pool's own decision and does not depend on the machine. At least 10,000 a second
//! are due; each connection's interval is up to a tenth shorter than the configured one, so that a few more are made. The
//! share of a core is measured: the processor time that a simulated interval takes, divided by the interval. It includes
//! the timers of the simulated answers. Linux only, because the processor time of a thread is read from `/proc`.

use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;
use wharf::{Builder, Connector, Heartbeat, Lease, Pool, SharedConnector, SharedPool, async_trait};

const HOSTS: u64 = 10;
const CONNECTIONS_PER_HOST: u32 = 10_000;
const EVERY: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_secs(30);
const ROUND_TRIPS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Answers each ping after a round trip.
struct Peers {
    round_trip: Duration,
    answers: Arc<AtomicU64>,
}

#[async_trait]
impl Connector for Peers {
    type Key = u64;
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, host: &u64) -> Result<u64, Infallible> {
        Ok(*host)
    }

    fn notices_close(&self) -> bool {
        true
    }

    async fn ping(&self, _: &mut u64) -> Result<(), Infallible> {
        sleep(self.round_trip).await;
        self.answers.fetch_add(1, Relaxed);
        Ok(())
    }
}

impl SharedConnector for Peers {
    fn max_leases(&self, _: &u64) -> usize {
        1
    }
}

fn main() {
    println!("| connections | round trip | heartbeats a second | share of a core |");
    println!("| --- | --- | --- | --- |");
    for round_trip in ROUND_TRIPS {
        println!("{}", simulate(row("idle", round_trip, idle)));
        println!("{}", simulate(row("shared, lent", round_trip, lent)));
    }
}

fn simulate<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// One row of the table.
async fn row<T>(name: &str, round_trip: Duration, set_up: impl AsyncFnOnce(Peers) -> T) -> String {
    let answers = Arc::new(AtomicU64::new(0));
    let _pool = set_up(Peers { round_trip, answers: answers.clone() }).await;
    let (answers_before, nanos_before) = (answers.load(Relaxed), processor_nanos());
    sleep(MEASURED).await;
    let rate = (answers.load(Relaxed) - answers_before) as f64 / MEASURED.as_secs_f64();
    let share = 100.0 * (processor_nanos() - nanos_before) as f64 / MEASURED.as_nanos() as f64;
    format!("| {name} | {} ms | {rate:.0} | {share:.1} % |", round_trip.as_millis())
}

/// Returns the time that this thread has run on a processor, in nanoseconds.
fn processor_nanos() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.expect("nanoseconds")
}

/// Sets up idle connections.
async fn idle(peers: Peers) -> Pool<Peers> {
    let pool = with_heartbeat(Pool::builder()).build(peers).expect("valid settings");
    for _ in 0..CONNECTIONS_PER_HOST {
        for host in 0..HOSTS {
            pool.add(&host, host).expect("room for it");
        }
        sleep(EVERY / CONNECTIONS_PER_HOST).await;
    }
    pool
}

/// Sets up shared connections, each lent.
async fn lent(peers: Peers) -> (SharedPool<Peers>, Vec<Lease<Peers>>) {
    let pool = with_heartbeat(SharedPool::builder()).build(peers).expect("valid settings");
    let mut leases = Vec::new();
    for _ in 0..CONNECTIONS_PER_HOST {
        for host in 0..HOSTS {
            pool.add(&host, host).expect("room for it");
            leases.push(pool.acquire(&host).await.expect("a lease"));
        }
        sleep(EVERY / CONNECTIONS_PER_HOST).await;
    }
    (pool, leases)
}

/// Connections that only a missed heartbeat closes. They are made one after the other for an interval, so that their
/// heartbeats are spread over it.
fn with_heartbeat<Kind>(builder: Builder<Kind>) -> Builder<Kind> {
    let builder = builder.max_per_host(None).idle_timeout(None).max_lifetime(None);
    builder.heartbeat(Heartbeat::every(EVERY))
}
