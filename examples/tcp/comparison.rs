//! The same requests with a new connection for each, and through a pool.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wharf::tcp::TcpConnector;
use wharf::{Host, Pool};

use crate::request::request;
use crate::screen::show_progress;
use crate::server::Server;
use crate::units::{bar, count, time};
use crate::{Failure, MAX_PER_HOST, TASKS};

/// How many times each way sends requests, and how many each task sends then. In all few enough for the ports that a system
/// has: each dial leaves one unusable for a while.
const ROUNDS: usize = 10;
const REQUESTS: usize = 50;
/// The columns of the longest bar.
const WIDTH: usize = 48;

/// How a request gets its connection.
#[derive(Clone)]
enum Way {
    Dialing(SocketAddr),
    Pool(Host<TcpConnector>),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Way::Dialing(_) => "dialing",
            Way::Pool(_) => "pool",
        }
    }

    async fn request(&self) -> Result<(), Failure> {
        match self {
            Way::Dialing(server) => {
                let mut stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                request(&mut stream).await?;
            }
            Way::Pool(host) => {
                host.acquire().await?.exchange(async |stream| request(stream).await).await?;
            }
        }
        Ok(())
    }
}

pub(crate) struct Comparison {
    dialing: Measured,
    pool: Measured,
}

impl Comparison {
    /// In turns, so that both ways have the same share of a machine that does other things, too. Each has a server of
    /// its own, so that what one leaves behind does not slow the other.
    pub(crate) async fn run() -> Result<Self, Failure> {
        let servers = [Server::start()?, Server::start()?];
        let pool = Pool::builder().max_per_host(MAX_PER_HOST).build(TcpConnector::new())?;
        let mut dialing = Measured::of(Way::Dialing(servers[0].address()));
        let mut pooling = Measured::of(Way::Pool(pool.host(&servers[1].address())));
        for round in 1..=ROUNDS {
            show_progress(&format!("comparing, round {round} of {ROUNDS}"));
            dialing.measure().await?;
            pooling.measure().await?;
        }
        show_progress("");
        dialing.finish(&servers[0]);
        pooling.finish(&servers[1]);
        Ok(Comparison { dialing, pool: pooling })
    }

    pub(crate) fn print_table(&self) {
        println!("way     requests connections requests_per_s p50_us p99_us");
        for measured in [&self.dialing, &self.pool] {
            println!(
                "{:<7} {:>8} {:>11} {:>14.0} {:>6} {:>6}",
                measured.way.name(),
                measured.times.len(),
                measured.connections,
                measured.rate(),
                measured.percentile(50).as_micros(),
                measured.percentile(99).as_micros(),
            );
        }
    }

    pub(crate) fn print_bars(&self) {
        println!(
            "{} requests from {TASKS} tasks to an echo server: dialing makes a connection for each of them,\n\
             the pool has at most {MAX_PER_HOST}.\n",
            count(self.pool.times.len())
        );
        self.print_pair("time of a request", |way| {
            let median = way.percentile(50);
            (median.as_secs_f64(), time(median))
        });
        self.print_pair("requests a second", |way| (way.rate(), count(way.rate())));
        self.print_pair("connections made", |way| (way.connections as f64, count(way.connections)));
        println!(
            "\nThe pool answers {:.1} times as many requests, over {} connections instead of {}. The time is the\n\
             median, from asking for a connection to giving it up. The server is in this process: a real\n\
             network adds a round trip to each dial.",
            self.pool.rate() / self.dialing.rate(),
            self.pool.connections,
            count(self.dialing.connections)
        );
    }

    /// Two bars, of the figure that a way has, and that figure as text.
    fn print_pair(&self, title: &str, figure: impl Fn(&Measured) -> (f64, String)) {
        let ways = [&self.dialing, &self.pool];
        let most = ways.map(|way| figure(way).0).into_iter().fold(0.0, f64::max);
        for (way, title) in ways.into_iter().zip([title, ""]) {
            let (value, text) = figure(way);
            println!("{title:<18} {:<8} {} {text}", way.way.name(), bar(value, most, WIDTH));
        }
    }
}

/// What one way came to.
struct Measured {
    way: Way,
    /// As the server counted them.
    connections: usize,
    took: Duration,
    /// In order, from the shortest, once it is finished.
    times: Vec<Duration>,
}

impl Measured {
    fn of(way: Way) -> Self {
        Measured { way, connections: 0, took: Duration::ZERO, times: Vec::new() }
    }

    /// Sends a round of requests, from all tasks at once.
    async fn measure(&mut self) -> Result<(), Failure> {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(send(self.way.clone()));
        }
        for times in tasks.join_all().await {
            self.times.extend(times?);
        }
        self.took += begin.elapsed();
        Ok(())
    }

    fn finish(&mut self, server: &Server) {
        self.connections = server.accepted();
        self.times.sort_unstable();
    }

    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// The time that `percent` of a hundred requests did not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() * percent).div_ceil(100) - 1]
    }
}

/// One task in one round. Returns how long each request took.
async fn send(way: Way) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let begin = Instant::now();
        way.request().await?;
        times.push(begin.elapsed());
    }
    Ok(times)
}
