//! What a pool of TCP connections saves: the same requests to echo servers, once with a new
//! connection for each request, once through a pool.
//!
//! ```text
//! cargo run --release --features tcp --example tcp
//! cargo run --release --features tcp --example tcp -- 192.0.2.1:7 192.0.2.2:7
//! ```
//!
//! Without arguments it starts four echo servers for each way, inside this process. Given
//! addresses, it uses the echo servers there, which must send back what they get. 32 tasks send
//! 20,000 requests of 64 bytes in all, to each server in turn, and read the answers. The pool may
//! have 8 connections to each server.
//!
//! While it runs it shows progress on the standard error. Then it prints one table: for each way
//! the requests answered, the dials made, the requests per second, the latency of one request
//! (getting a connection, writing, reading, and letting go) at three percentiles, and the sockets
//! left in `TIME_WAIT` (`n/a` where the system has no `/proc/net/tcp`); and last, how many times as
//! many requests per second the pool made. It fails if any request did.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time;
use wharf::Pool;
use wharf::tcp::TcpConnector;

const SERVERS: usize = 4;
const TASKS: usize = 32;
/// Few enough for the ports that a system has: each dial leaves one unusable for a minute.
const REQUESTS: usize = 20_000;
const MAX_PER_HOST: usize = 8;
const MESSAGE: [u8; 64] = [b'w'; 64];

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    // Each way has its own servers, so that what the first leaves in TIME_WAIT is not the second's.
    let dialing = run("dial each time", &Way::DialEachTime, &hosts().await?).await;

    let pool = Pool::builder().max_per_host(MAX_PER_HOST).build(TcpConnector::new())?;
    let pooled = run("pool", &Way::Pool(pool), &hosts().await?).await;

    print(&[&dialing, &pooled]);
    let failed = dialing.failed + pooled.failed;
    if failed == 0 {
        println!(
            "\nthe pool: {:.1} times as many requests per second",
            pooled.rate() / dialing.rate()
        );
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{failed} requests failed");
    for error in [dialing.first_error, pooled.first_error].into_iter().flatten() {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        eprintln!("such as: {error}{cause}");
    }
    Ok(ExitCode::FAILURE)
}

/// The servers to talk to: those named, or some of our own.
async fn hosts() -> Result<Arc<[SocketAddr]>, Failure> {
    let mut hosts = Vec::new();
    for address in std::env::args().skip(1) {
        hosts.push(address.parse().map_err(|error| format!("{address:?} is no address: {error}"))?);
    }
    if hosts.is_empty() {
        for _ in 0..SERVERS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            hosts.push(listener.local_addr()?);
            tokio::spawn(serve(listener));
        }
    }
    Ok(hosts.into())
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// How a request gets its connection.
#[derive(Clone)]
enum Way {
    DialEachTime,
    Pool(Pool<TcpConnector>),
}

impl Way {
    async fn request(&self, host: SocketAddr) -> Result<(), Failure> {
        match self {
            Way::DialEachTime => {
                let mut stream = TcpStream::connect(host).await?;
                stream.set_nodelay(true)?;
                exchange(&mut stream).await
            }
            Way::Pool(pool) => pool.acquire(&host).await?.exchange(exchange).await,
        }
    }
}

async fn exchange(stream: &mut TcpStream) -> Result<(), Failure> {
    stream.write_all(&MESSAGE).await?;
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer).await?;
    if answer == MESSAGE { Ok(()) } else { Err("the server did not echo".into()) }
}

/// What one way came to.
struct Outcome {
    name: &'static str,
    dials: u64,
    took: Duration,
    /// In order, from the shortest.
    latencies: Vec<Duration>,
    failed: usize,
    first_error: Option<Failure>,
    in_time_wait: Option<usize>,
}

async fn run(name: &'static str, way: &Way, hosts: &Arc<[SocketAddr]>) -> Outcome {
    let waiting_before = in_time_wait(hosts);
    let next = Arc::new(AtomicUsize::new(0));
    let progress = tokio::spawn(show_progress(name, next.clone()));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(work(way.clone(), hosts.clone(), next.clone()));
    }
    let parts = tasks.join_all().await;
    let took = begin.elapsed();
    progress.abort();
    eprintln!("\r{name}: {REQUESTS} of {REQUESTS} requests");

    let mut outcome = Outcome {
        name,
        dials: REQUESTS as u64,
        took,
        latencies: Vec::with_capacity(REQUESTS),
        failed: 0,
        first_error: None,
        in_time_wait: None,
    };
    for (latencies, errors) in parts {
        outcome.latencies.extend(latencies);
        outcome.failed += errors.len();
        outcome.first_error = outcome.first_error.or(errors.into_iter().next());
    }
    outcome.latencies.sort_unstable();
    if let Way::Pool(pool) = way {
        outcome.dials = pool.status().dials;
        // What it leaves behind counts as well.
        pool.close().await;
    }
    outcome.in_time_wait = settled_time_wait(hosts).await;
    if let (Some(now), Some(before)) = (&mut outcome.in_time_wait, waiting_before) {
        *now = now.saturating_sub(before);
    }
    outcome
}

/// One task: takes requests until there are none left.
async fn work(
    way: Way,
    hosts: Arc<[SocketAddr]>,
    next: Arc<AtomicUsize>,
) -> (Vec<Duration>, Vec<Failure>) {
    let (mut latencies, mut errors) = (Vec::new(), Vec::new());
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= REQUESTS {
            return (latencies, errors);
        }
        let begin = Instant::now();
        match way.request(hosts[nth % hosts.len()]).await {
            Ok(()) => latencies.push(begin.elapsed()),
            Err(error) => errors.push(error),
        }
    }
}

async fn show_progress(name: &'static str, next: Arc<AtomicUsize>) {
    let mut ticks = time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let begun = next.load(Ordering::Relaxed).min(REQUESTS);
        eprint!("\r{name}: {begun} of {REQUESTS} requests");
        let _ = io::stderr().flush();
    }
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that `per_mille` of a thousand requests did not exceed.
    fn percentile(&self, per_mille: usize) -> String {
        let rank = (self.latencies.len() * per_mille).div_ceil(1000);
        let latency = self.latencies.get(rank.saturating_sub(1));
        latency.map_or("n/a".to_owned(), |latency| format!("{} us", latency.as_micros()))
    }
}

fn print(outcomes: &[&Outcome]) {
    let row = |cells: [String; 8]| {
        let [way, requests, dials, rate, p50, p99, p999, waiting] = cells;
        println!(
            "{way:<14} {requests:>8} {dials:>7} {rate:>10} {p50:>9} {p99:>9} {p999:>9} {waiting:>9}"
        );
    };
    row(["way", "requests", "dials", "requests/s", "p50", "p99", "p99.9", "TIME_WAIT"]
        .map(Into::into));
    for outcome in outcomes {
        row([
            outcome.name.to_owned(),
            outcome.latencies.len().to_string(),
            outcome.dials.to_string(),
            format!("{:.0}", outcome.rate()),
            outcome.percentile(500),
            outcome.percentile(990),
            outcome.percentile(999),
            outcome.in_time_wait.map_or("n/a".to_owned(), |n| n.to_string()),
        ]);
    }
}

/// The sockets in `TIME_WAIT` once no more are on their way there.
async fn settled_time_wait(hosts: &[SocketAddr]) -> Option<usize> {
    let mut before = in_time_wait(hosts)?;
    for _ in 0..20 {
        time::sleep(Duration::from_millis(50)).await;
        let now = in_time_wait(hosts)?;
        if now == before {
            break;
        }
        before = now;
    }
    Some(before)
}

/// The sockets in `TIME_WAIT` that have, or had, to do with a port of the hosts.
fn in_time_wait(hosts: &[SocketAddr]) -> Option<usize> {
    let v4 = fs::read_to_string("/proc/net/tcp").ok()?;
    let v6 = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let is_ours = |end: &str| {
        let port = end.rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok());
        port.is_some_and(|port| hosts.iter().any(|host| host.port() == port))
    };
    let is_counted = |line: &&str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let ends = [fields.next(), fields.next()];
        fields.next() == Some("06") && ends.into_iter().flatten().any(is_ours)
    };
    Some(v4.lines().chain(v6.lines()).filter(is_counted).count())
}
