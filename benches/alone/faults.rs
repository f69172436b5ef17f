//! What faults cost: real sockets through a proxy that refuses, cuts, freezes and comes back, all in
//! this process. Each figure says what is in it. The time of a fault is read from the system's clock
//! around it; a runtime's timer may add up to two milliseconds to every time-out.
//!
//! Run: `cargo bench -p wharf-benches-alone --bench faults`, with `-- --seed 7` for the random faults of
//! another run.
//!
//! Scenes from outages, played by other pools, too, in simulated time, are in `scenes`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wharf::async_trait;
use wharf::tcp::TcpConnector;
use wharf::{AcquireError, Backoff, Builder, Connector, HealthCheck, Pool, PooledConnection};

use proxy::{Fault, Proxy, echo_server};
use request::{TcpPool, echo, request};
use storm::Storm;

#[path = "../../tests/faults/census.rs"]
mod census;
#[path = "../../tests/faults/proxy.rs"]
mod proxy;
#[path = "../../tests/faults/request.rs"]
mod request;
#[path = "../../tests/faults/storm.rs"]
mod storm;

const ROUNDS: usize = 20;

fn main() {
    let seed = seed();
    one_thread(silent_death());
    one_thread(loss_of_all());
    one_thread(refusal());
    threads(absence());
    neighbour();
    threads(random_faults(Storm { seed, faults: 10_000 }));
}

/// The seed of the random faults: `--seed N`, or any.
fn seed() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seed");
    match (arguments.next(), arguments.next()) {
        (Some(_), Some(seed)) => seed.parse().expect("--seed must be a whole number"),
        (Some(_), None) => panic!("--seed needs a number"),
        _ => fastrand::u64(..),
    }
}

fn one_thread(figure: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(figure);
}

fn threads(figure: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(figure);
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Rounds of one figure.
struct Rounds(Vec<f64>);

impl Rounds {
    fn new(mut figures: Vec<f64>) -> Rounds {
        figures.sort_by(f64::total_cmp);
        Rounds(figures)
    }

    /// The value that `percent` in a hundred do not exceed.
    fn part(&self, percent: usize) -> f64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    fn median(&self) -> f64 {
        self.part(50)
    }

    fn max(&self) -> f64 {
        self.part(100)
    }
}

fn title(what: &str, includes: &str) {
    println!("\n{what}\n  {includes}");
}

fn line(name: &str, figure: impl std::fmt::Display) {
    println!("  {name:<46}{figure}");
}

fn median_and_max(name: &str, rounds: &Rounds, unit: &str) {
    line(name, format_args!("{:.2} {unit}, at most {:.2}", rounds.median(), rounds.max()));
}

/// A proxy before an echo server, which ends with it.
struct Stage {
    proxy: Proxy,
    _server: Arc<JoinSet<()>>,
}

impl Stage {
    async fn new() -> Stage {
        let (server, tasks) = echo_server().await;
        Stage { proxy: Proxy::start(server).await, _server: tasks }
    }

    fn host(&self) -> SocketAddr {
        self.proxy.address()
    }
}

fn pool(set: impl FnOnce(Builder) -> Builder) -> TcpPool {
    let options = TcpConnector::builder().ping("ping", "ping");
    set(Pool::builder()).build(options.build().unwrap()).unwrap()
}

/// `n` loans, each of which has answered.
async fn take<C>(pool: &Pool<C>, host: SocketAddr, n: usize) -> Vec<PooledConnection<C>>
where
    C: Connector<Key = SocketAddr, Connection = TcpStream, Error = io::Error>,
{
    let mut loans = Vec::new();
    for _ in 0..n {
        let mut loan = pool.acquire(&host).await.unwrap();
        echo(&mut loan).await.unwrap();
        loans.push(loan);
    }
    loans
}

async fn silent_death() {
    title(
        "10 idle connections silently dead, a healthy host, every loan begins with a ping",
        "one acquire at the cap: the ping of the first, its time-out, a dial; the others are pinged meanwhile",
    );
    let ping_timeout = ms(200);
    let stage = Stage::new().await;
    let (mut times, mut beyond, mut dials) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let pool = pool(|b| b.health_check(HealthCheck::Always).ping_timeout(ping_timeout));
        drop(take(&pool, stage.host(), 10).await);
        assert_eq!(stage.proxy.freeze(), 10);
        let dialed = pool.status().dials;
        let began = Instant::now();
        let mut loan = pool.acquire(&stage.host()).await.unwrap();
        let took = began.elapsed();
        echo(&mut loan).await.unwrap();
        times.push(took.div_duration_f64(ping_timeout));
        beyond.push(in_ms(took) - in_ms(ping_timeout));
        dials.push((pool.status().dials - dialed) as f64);
        drop(loan);
        pool.close().await;
        while stage.proxy.open() > 0 {
            tokio::time::sleep(ms(1)).await;
        }
    }
    median_and_max("time of the acquire", &Rounds::new(times), "ping time-outs");
    median_and_max("beyond one ping time-out", &Rounds::new(beyond), "ms");
    median_and_max("dials", &Rounds::new(dials), "each");
}

/// Its closes never end by themselves.
struct Lingering(TcpConnector);

#[async_trait]
impl Connector for Lingering {
    type Key = SocketAddr;
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self, peer: &SocketAddr) -> io::Result<TcpStream> {
        self.0.connect(peer).await
    }

    fn is_open(&self, stream: &mut TcpStream) -> bool {
        self.0.is_open(stream)
    }

    async fn close(&self, stream: TcpStream) {
        let _stream = stream;
        std::future::pending::<()>().await;
    }
}

async fn loss_of_all() {
    title(
        "all 10 connections in use die and are dropped; close_timeout is 1 s",
        "from the first drop until 10 have been acquired, one after the other, and have answered",
    );
    let plain = TcpConnector::new;
    loss("closes that end at once", plain).await;
    loss("closes that never end by themselves", || Lingering(plain())).await;
}

async fn loss<C>(name: &str, connector: impl Fn() -> C)
where
    C: Connector<Key = SocketAddr, Connection = TcpStream, Error = io::Error>,
{
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let stage = Stage::new().await;
        let pool = Pool::builder().close_timeout(ms(1000)).build(connector()).unwrap();
        let mut loans = take(&pool, stage.host(), 10).await;
        assert_eq!(stage.proxy.cut(), 10);
        for loan in &mut loans {
            assert!(echo(loan).await.is_err());
        }
        let began = Instant::now();
        drop(loans);
        let again = take(&pool, stage.host(), 10).await;
        times.push(in_ms(began.elapsed()));
        drop(again);
    }
    median_and_max(name, &Rounds::new(times), "ms");
}

async fn refusal() {
    title(
        "a host that refuses, 100 callers, a cap of 10",
        "from the first caller's error until the last has the system's own error",
    );
    let stage = Stage::new().await;
    stage.proxy.set(Fault::Refuse).await;
    let (mut times, mut dials) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let pool = pool(|b| b.max_per_host(10));
        let mut callers = JoinSet::new();
        for _ in 0..100 {
            callers.spawn(refused(pool.clone(), stage.host()));
        }
        let ends = callers.join_all().await;
        let spread = *ends.iter().max().unwrap() - *ends.iter().min().unwrap();
        times.push(in_ms(spread));
        dials.push(pool.status().dials as f64);
    }
    median_and_max("until all 100 have it", &Rounds::new(times), "ms");
    median_and_max("dials", &Rounds::new(dials), "each");
}

async fn refused(pool: TcpPool, host: SocketAddr) -> Instant {
    let Err(AcquireError::Connect(error)) = pool.acquire(&host).await else {
        panic!("not refused");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    Instant::now()
}

/// When a request began and ended, and whether it was answered.
type Request = (Instant, Instant, bool);

async fn absence() {
    title(
        "a host that goes away for 300 ms under the load of 50 tasks, and comes back",
        "retried with a backoff of 10 ms, at most 40 ms; from before it listens until an answer",
    );
    let stage = Stage::new().await;
    let (mut times, mut errors, mut after) = (Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        let backoff = Backoff::default().initial(ms(10)).max(ms(40));
        let pool = pool(|b| b.max_per_host(50).retry(backoff));
        let is_over = Arc::new(AtomicBool::new(false));
        let mut load = JoinSet::new();
        for _ in 0..50 {
            load.spawn(ask_on(pool.clone(), stage.host(), is_over.clone()));
        }
        tokio::time::sleep(ms(200)).await;
        stage.proxy.set(Fault::Refuse).await;
        stage.proxy.cut();
        tokio::time::sleep(ms(300)).await;
        let back = Instant::now();
        stage.proxy.set(Fault::Healthy).await;
        tokio::time::sleep(ms(200)).await;
        is_over.store(true, Relaxed);
        let requests: Vec<Request> = load.join_all().await.into_iter().flatten().collect();
        let answers = requests.iter().filter(|(_, end, answered)| *answered && *end >= back);
        let first = answers.map(|(_, end, _)| *end).min().unwrap();
        times.push(in_ms(first - back));
        let later = requests.iter().filter(|(began, ..)| *began >= first);
        after += later.clone().count();
        errors += later.filter(|(.., answered)| !answered).count();
    }
    median_and_max("until the first answer", &Rounds::new(times), "ms");
    line("errors of requests begun after it", format_args!("{errors} of {after}"));
}

async fn ask_on(pool: TcpPool, host: SocketAddr, is_over: Arc<AtomicBool>) -> Vec<Request> {
    let mut requests = Vec::new();
    while !is_over.load(Relaxed) {
        let began = Instant::now();
        let answered = request(&pool, host).await.is_ok();
        requests.push((began, Instant::now(), answered));
    }
    requests
}

/// Many short rounds: what else the machine does hits a round and the next one alike.
const NEIGHBOUR_ROUNDS: usize = 150;
const NEIGHBOUR_TASKS: usize = 4;
const NEIGHBOUR_REQUESTS: usize = 250;

fn neighbour() {
    title(
        "two hosts, one a black hole: what 1,000 waiters there cost the other's requests",
        "p99 of a request (acquire, echo, return) of 4 tasks; 10 loans of the black hole are stuck",
    );
    neighbours("no cap across hosts", pool(|b| b));
    neighbours("hosts under one cap (max_total)", pool(|b| b.max_total(20)));
}

/// The pool has a thread of its own, so that what is waited for is not the other tasks of the proxy.
fn neighbours(name: &str, pool: TcpPool) {
    let mut servers = tokio::runtime::Builder::new_multi_thread();
    let servers = servers.worker_threads(1).enable_all().build().unwrap();
    let healthy = servers.block_on(servers.spawn(Stage::new())).unwrap();
    let black = servers.block_on(servers.spawn(Stage::new())).unwrap();
    one_thread(compare(name, pool, &healthy, &black));
}

async fn compare(name: &str, pool: TcpPool, healthy: &Stage, black: &Stage) {
    black.proxy.set(Fault::BlackHole).await;
    let mut stuck = JoinSet::new();
    for _ in 0..10 {
        stuck.spawn(wait_for_ever(pool.clone(), black.host()));
    }
    let mut p99s: [Vec<f64>; 3] = Default::default();
    for round in 0..NEIGHBOUR_ROUNDS {
        for turn in 0..3 {
            let kind = (round + turn) % 3;
            let mut waiters = JoinSet::new();
            for _ in 0..[0, 1000, 0][kind] {
                waiters.spawn(wait_for_ever(pool.clone(), black.host()));
            }
            let waiting = waiters.len();
            while pool.status().waiting != waiting {
                tokio::time::sleep(ms(1)).await;
            }
            // The first requests after the waiters came or went are not measured.
            p99(&pool, healthy.host(), NEIGHBOUR_REQUESTS / 10).await;
            p99s[kind].push(p99(&pool, healthy.host(), NEIGHBOUR_REQUESTS).await);
            assert_eq!((pool.status().waiting, pool.status().in_use), (waiting, 10));
            waiters.shutdown().await;
        }
    }
    let ratio = |kind: usize| {
        let pairs = p99s[kind].iter().zip(&p99s[0]);
        Rounds::new(pairs.map(|(with, without)| with / without).collect())
    };
    let [waited_for, control] = [ratio(1), ratio(2)];
    let [without, with, _] = p99s.each_ref().map(|rounds| Rounds::new(rounds.clone()).median());
    line(name, format_args!("{without:.1} us without, {with:.1} us with"));
    for (name, ratio) in [("with / without", waited_for), ("without / without: the noise", control)]
    {
        let [low, middle, high] = [25, 50, 75].map(|percent| ratio.part(percent));
        line(name, format_args!("{middle:.3}, half of the rounds from {low:.3} to {high:.3}"));
    }
}

/// Waits for a connection, and then for an answer on it.
async fn wait_for_ever(pool: TcpPool, host: SocketAddr) {
    let _ = request(&pool, host).await;
}

/// The latency that one request in a hundred is above, in microseconds.
async fn p99(pool: &TcpPool, host: SocketAddr, requests: usize) -> f64 {
    let mut tasks = JoinSet::new();
    for _ in 0..NEIGHBOUR_TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut times = Vec::with_capacity(requests);
            for _ in 0..requests {
                let began = Instant::now();
                request(&pool, host).await.unwrap();
                times.push(in_ms(began.elapsed()) * 1e3);
            }
            times
        });
    }
    Rounds::new(tasks.join_all().await.into_iter().flatten().collect()).part(99)
}

async fn random_faults(storm: Storm) {
    title(
        "random faults while 64 tasks work, 4 hosts, caps of 8 each and 24 in all",
        "time-outs of 1 to 250 ms; lateness counts from the call, with the timer's and the machine's",
    );
    line("--seed", storm.seed);
    let (report, end) = storm.run().await;
    print!("{report}{end}");
    report.check(storm);
    end.check(storm.seed);
}
