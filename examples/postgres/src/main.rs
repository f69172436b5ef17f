//! What a pool of PostgreSQL connections saves: the same queries with a new connection for each,
//! through a pool of this crate, and through two other pools.
//!
//! ```text
//! cargo run --release -p example-postgres
//! cargo run --release -p example-postgres -- postgres://me@db.example/mine
//! ```
//!
//! Without an argument it starts a server of its own in a temporary directory, and stops it at the
//! end; PostgreSQL's programs must be there, or be installable by `apt-get`. 32 tasks send 50,000 queries
//! in all (2,000 where each dials), `SELECT $1::int8`, and check the answers. Every pool may have 8
//! connections. The ways:
//!
//! - `dial each time`: `tokio_postgres::connect`, and one round trip.
//! - `wharf`: `query_one_cached`, after which there is nothing to undo.
//! - `wharf, reset`: `prepare_cached`, then `query_one` of tokio-postgres' `Client`, whose answer the pool does
//!   not see: every return undoes what may have been left.
//! - `deadpool`: the same calls, with its default settings: it neither checks nor undoes anything.
//! - `bb8`: `query_typed_one`, since it keeps no statements, with its default settings: each connection
//!   is pinged before it is lent.
//! - `bb8, no ping`: the same without that. It neither checks nor undoes anything.
//!
//! While it runs it shows progress on the standard error. Then it prints one table: for each way the
//! queries answered, the dials made, the time of the whole run, the queries per second, and the latency
//! of one query (getting a connection, asking, and letting go) at two percentiles; and last, how many
//! times as many queries per second the first of this crate's ways made. It fails if any query did.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8;
use servers::Server;
use tokio::task::JoinSet;
use wharf::Pool;
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::types::Type;
use wharf_postgres::tokio_postgres::{Client, Config, NoTls, Row};

const TASKS: usize = 32;
const QUERIES: i64 = 50_000;
/// A dial costs the server a process.
const DIALED_QUERIES: i64 = 2_000;
const CAP: u32 = 8;
const SQL: &str = "SELECT $1::int8";

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let url = std::env::args().nth(1);
    let own = url.is_none().then(|| Server::start(&[]));
    let url = url.or_else(|| own.as_ref().map(Server::url)).unwrap_or_default();
    let config: Config = url.parse()?;

    let outcomes = [
        run("dial each time", Way::DialEachTime(Arc::new(config.clone()))).await,
        run("wharf", Way::Wharf(wharf(&config)?)).await,
        run("wharf, reset", Way::WharfReset(wharf(&config)?)).await,
        run("deadpool", Way::Deadpool(deadpool(&config)?)).await,
        run("bb8", Way::Bb8(bb8(&config, true).await?)).await,
        run("bb8, no ping", Way::Bb8(bb8(&config, false).await?)).await,
    ];
    drop(own);

    print(&outcomes);
    let failed: usize = outcomes.iter().map(|outcome| outcome.failed).sum();
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{failed} queries failed");
    for error in outcomes.into_iter().filter_map(|outcome| outcome.first_error) {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        eprintln!("such as: {error}{cause}");
    }
    Ok(ExitCode::FAILURE)
}

type Bb8 = bb8::Pool<PostgresConnectionManager<NoTls>>;

fn wharf(config: &Config) -> Result<Pool<PostgresConnector>, Failure> {
    let connector = PostgresConnector::new(config.clone());
    Ok(Pool::builder().max_per_host(CAP as usize).build(connector)?)
}

fn deadpool(config: &Config) -> Result<deadpool_postgres::Pool, Failure> {
    let manager = deadpool_postgres::Manager::new(config.clone(), NoTls);
    Ok(deadpool_postgres::Pool::builder(manager).max_size(CAP as usize).build()?)
}

async fn bb8(config: &Config, ping: bool) -> Result<Bb8, Failure> {
    let manager = PostgresConnectionManager::new(config.clone(), NoTls);
    Ok(bb8::Pool::builder().max_size(CAP).test_on_check_out(ping).build(manager).await?)
}

/// How a query gets its connection.
#[derive(Clone)]
enum Way {
    DialEachTime(Arc<Config>),
    Wharf(Pool<PostgresConnector>),
    WharfReset(Pool<PostgresConnector>),
    Deadpool(deadpool_postgres::Pool),
    Bb8(Bb8),
}

impl Way {
    async fn query(&self, number: i64) -> Result<(), Failure> {
        let row = match self {
            Way::DialEachTime(config) => {
                let (client, connection) = config.connect(NoTls).await?;
                let driver = tokio::spawn(connection);
                let row = ask(&client, number).await?;
                drop(client);
                driver.await??;
                row
            }
            Way::Wharf(pool) => pool.acquire(&()).await?.query_one_cached(SQL, &[&number]).await?,
            Way::WharfReset(pool) => {
                let connection = pool.acquire(&()).await?;
                let statement = connection.prepare_cached(SQL).await?;
                let client: &Client = &connection;
                client.query_one(&statement, &[&number]).await?
            }
            Way::Deadpool(pool) => {
                let connection = pool.get().await?;
                let statement = connection.prepare_cached(SQL).await?;
                connection.query_one(&statement, &[&number]).await?
            }
            Way::Bb8(pool) => ask(&*pool.get().await?, number).await?,
        };
        if row.get::<_, i64>(0) == number { Ok(()) } else { Err("another's answer".into()) }
    }

    fn queries(&self) -> i64 {
        if matches!(self, Way::DialEachTime(_)) { DIALED_QUERIES } else { QUERIES }
    }

    /// How many connections were made. None of the pools has closed one by then.
    fn dials(&self) -> u64 {
        match self {
            Way::DialEachTime(_) => DIALED_QUERIES.unsigned_abs(),
            Way::Wharf(pool) | Way::WharfReset(pool) => pool.status().dials,
            Way::Deadpool(pool) => pool.status().size as u64,
            Way::Bb8(pool) => pool.state().statistics.connections_created,
        }
    }

    async fn close(self) {
        match self {
            Way::Wharf(pool) | Way::WharfReset(pool) => pool.close().await,
            Way::Deadpool(pool) => pool.close(),
            Way::DialEachTime(_) | Way::Bb8(_) => {}
        }
    }
}

/// One round trip, without a statement that is kept.
async fn ask(client: &Client, number: i64) -> Result<Row, Failure> {
    Ok(client.query_typed_one(SQL, &[(&number, Type::INT8)]).await?)
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
}

async fn run(name: &'static str, way: Way) -> Outcome {
    let queries = way.queries();
    let next = Arc::new(AtomicI64::new(0));
    eprint!("{name}: {queries} queries");
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(work(way.clone(), next.clone()));
    }
    let parts = tasks.join_all().await;
    let took = begin.elapsed();
    eprintln!(", done");

    let dials = way.dials();
    let mut outcome =
        Outcome { name, dials, took, latencies: Vec::new(), failed: 0, first_error: None };
    for (latencies, errors) in parts {
        outcome.latencies.extend(latencies);
        outcome.failed += errors.len();
        outcome.first_error = outcome.first_error.or(errors.into_iter().next());
    }
    outcome.latencies.sort_unstable();
    way.close().await;
    outcome
}

/// One task: takes queries until there are none left.
async fn work(way: Way, next: Arc<AtomicI64>) -> (Vec<Duration>, Vec<Failure>) {
    let (mut latencies, mut errors) = (Vec::new(), Vec::new());
    let queries = way.queries();
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= queries {
            return (latencies, errors);
        }
        let begin = Instant::now();
        match way.query(nth).await {
            Ok(()) => latencies.push(begin.elapsed()),
            Err(error) => errors.push(error),
        }
    }
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that `percent` of a hundred queries did not exceed.
    fn percentile(&self, percent: usize) -> String {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        let latency = self.latencies.get(rank.saturating_sub(1));
        latency.map_or("n/a".to_owned(), |latency| format!("{} us", latency.as_micros()))
    }
}

fn print(outcomes: &[Outcome; 6]) {
    let row = |cells: [String; 7]| {
        let [way, queries, dials, took, rate, p50, p99] = cells;
        println!("{way:<14} {queries:>8} {dials:>6} {took:>9} {rate:>10} {p50:>9} {p99:>9}");
    };
    row(["way", "queries", "dials", "time", "queries/s", "p50", "p99"].map(Into::into));
    for outcome in outcomes {
        row([
            outcome.name.to_owned(),
            outcome.latencies.len().to_string(),
            outcome.dials.to_string(),
            format!("{:.0} ms", outcome.took.as_secs_f64() * 1000.0),
            format!("{:.0}", outcome.rate()),
            outcome.percentile(50),
            outcome.percentile(99),
        ]);
    }
    println!();
    let [dialing, pooled, others @ ..] = outcomes;
    for other in [dialing].into_iter().chain(others) {
        let times = pooled.rate() / other.rate();
        println!("{}: {times:.2} times the queries per second of {}", pooled.name, other.name);
    }
}
