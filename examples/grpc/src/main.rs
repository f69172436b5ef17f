//! What a pool of gRPC channels does: the same calls in four ways to a server that takes 8 calls at
//! once on a connection, and ends each connection when it is 100 ms old.
//!
//! ```text
//! cargo run --release -p example-grpc
//! ```
//!
//! The server is tonic's, in this process. It serves the standard health service, and a call is a
//! `Check`. 32 tasks make calls for 3 seconds: on a connection dialed for each call, on one tonic
//! channel, on 4 tonic channels in turn, and through a pool that may have 4 connections. A channel of
//! tonic's own connects anew when its connection has ended; the pool dials another.
//!
//! It prints one table: for each way the calls answered, those that failed, the connections that the
//! server accepted, the calls per second, and the latency of one call at two percentiles, everything
//! it needs included. Then one error of each way that had any. It fails if a call through the pool did:
//! calls that come too late for a connection that is going away are sent again by the pool's channel.

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use wharf::SharedPool;
use wharf_grpc::{GrpcConnector, PooledChannel};

const TASKS: usize = 32;
const TIME: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 4;
const CALLS_AT_ONCE: u32 = 8;
const MAX_CONNECTION_AGE: Duration = Duration::from_millis(100);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let dialing = run("dial each time", |uri| Ok(Way::DialEachTime(uri))).await?;
    let one = run("one channel", |uri| Ok(Way::in_turn(uri, 1))).await?;
    let in_turn = run("4 channels in turn", |uri| Ok(Way::in_turn(uri, CONNECTIONS))).await?;
    let pooled = run("pool", |uri| Way::pool(&uri)).await?;

    let outcomes = [dialing, one, in_turn, pooled];
    print(&outcomes);
    let [.., pooled] = outcomes;
    Ok(if pooled.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts a server. It counts the connections that it accepts.
async fn start() -> Result<(Uri, Arc<AtomicUsize>), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let uri = format!("http://{}", listener.local_addr()?).parse()?;
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).map(move |stream| {
        count.fetch_add(1, Ordering::Relaxed);
        stream
    });
    let server = Server::builder()
        .max_concurrent_streams(CALLS_AT_ONCE)
        .max_connection_age(MAX_CONNECTION_AGE)
        .add_service(health_reporter().1);
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok((uri, accepted))
}

/// How a call gets its channel.
#[derive(Clone)]
enum Way {
    DialEachTime(Uri),
    InTurn(Arc<[Channel]>, Arc<AtomicUsize>),
    Pool(PooledChannel),
}

impl Way {
    fn in_turn(uri: Uri, n: usize) -> Way {
        let endpoint = Endpoint::from(uri);
        let channels = std::iter::repeat_with(|| endpoint.connect_lazy()).take(n).collect();
        Way::InTurn(channels, Arc::default())
    }

    fn pool(uri: &Uri) -> Result<Way, Failure> {
        let pool = SharedPool::builder().max_per_host(CONNECTIONS).build(GrpcConnector::new())?;
        Ok(Way::Pool(PooledChannel::new(pool.host(uri))))
    }

    async fn call(&self) -> Result<(), Failure> {
        let request = HealthCheckRequest::default();
        match self {
            Way::DialEachTime(uri) => {
                let channel = Endpoint::from(uri.clone()).connect().await?;
                HealthClient::new(channel).check(request).await?;
            }
            Way::InTurn(channels, next) => {
                let nth = next.fetch_add(1, Ordering::Relaxed) % channels.len();
                HealthClient::new(channels[nth].clone()).check(request).await?;
            }
            Way::Pool(channel) => {
                HealthClient::new(channel.clone()).check(request).await?;
            }
        }
        Ok(())
    }
}

/// What one way came to.
#[derive(Default)]
struct Outcome {
    name: &'static str,
    failed: usize,
    accepted: usize,
    took: Duration,
    /// In order, from the shortest.
    latencies: Vec<Duration>,
    error: Option<Failure>,
}

async fn run(
    name: &'static str,
    way: impl FnOnce(Uri) -> Result<Way, Failure>,
) -> Result<Outcome, Failure> {
    let (uri, accepted) = start().await?;
    let way = way(uri)?;
    eprintln!("{name} ...");
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(work(way.clone(), begin + TIME));
    }
    let mut outcome = Outcome { name, ..Outcome::default() };
    for part in tasks.join_all().await {
        outcome.failed += part.failed;
        outcome.latencies.extend(part.latencies);
        outcome.error = part.error.or(outcome.error);
    }
    outcome.took = begin.elapsed();
    outcome.accepted = accepted.load(Ordering::Relaxed);
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

/// One task: makes calls, one after the other, until the time is over.
async fn work(way: Way, end: Instant) -> Outcome {
    let mut part = Outcome::default();
    loop {
        let begin = Instant::now();
        if begin >= end {
            return part;
        }
        match way.call().await {
            Ok(()) => part.latencies.push(begin.elapsed()),
            Err(error) => {
                part.failed += 1;
                part.error = Some(error);
            }
        }
    }
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that `percent` of a hundred calls did not exceed.
    fn percentile(&self, percent: usize) -> String {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        let latency = self.latencies.get(rank.saturating_sub(1));
        latency.map_or("n/a".to_owned(), |latency| format!("{} us", latency.as_micros()))
    }
}

fn print(outcomes: &[Outcome]) {
    let row = |cells: [String; 7]| {
        let [way, calls, failed, dials, rate, p50, p99] = cells;
        println!("{way:<18} {calls:>7} {failed:>7} {dials:>6} {rate:>8} {p50:>9} {p99:>9}");
    };
    row(["way", "calls", "failed", "dials", "calls/s", "p50", "p99"].map(Into::into));
    for outcome in outcomes {
        row([
            outcome.name.to_owned(),
            outcome.latencies.len().to_string(),
            outcome.failed.to_string(),
            outcome.accepted.to_string(),
            format!("{:.0}", outcome.rate()),
            outcome.percentile(50),
            outcome.percentile(99),
        ]);
    }
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            println!("\n{}, such as: {error}{cause}", outcome.name);
        }
    }
}
