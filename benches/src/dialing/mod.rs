//! A pool against dialing each time, over real sockets on the loopback.

mod grpc;
mod http;
mod link;
mod postgres;
mod tcp;
mod tls;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::contestants::Kind;
use crate::form::Form;
use crate::measure::{Latencies, median, progress};
use crate::table::{Part, Row, quotient};
use link::Link;
pub(crate) use postgres::Postgres;
pub(crate) use tcp::Tcp;
pub(crate) use websocket::WebSocket;

/// What a server sends, or sends back.
const BODY: [u8; 64] = [b'w'; 64];
/// Tasks, and the most connections.
const TASKS: usize = 16;
/// What is added in each direction, in milliseconds.
const DELAYS: [u64; 3] = [0, 1, 10];

/// A server in this process, and where it is. It stops when the last part is dropped.
pub(crate) type Serving = Option<(SocketAddr, Box<dyn Send>)>;

/// Serves each connection by a task.
async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Serving
where
    F: Future<Output: Send> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
    let address = listener.local_addr().ok()?;
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            connections.spawn(serve(stream));
            while connections.try_join_next().is_some() {}
        }
    });
    Some((address, Box::new(listening)))
}

/// Something to ask over a connection of one's own, or a pool's.
pub(crate) trait Protocol: Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// Starts the server for as long as what comes back is kept. `None` where there is none to
    /// start.
    fn serve() -> impl Future<Output = Serving> + Send;

    /// Asks there.
    fn at(address: SocketAddr) -> Self;

    fn dial_and_ask(&self) -> impl Future<Output = ()> + Send;

    fn ask_through_pool(&self) -> impl Future<Output = ()> + Send;

    /// The dials of the pool.
    fn dials(&self) -> u64;
}

/// Measures it: a part for each delay, with a row for each protocol.
///
/// # Panics
///
/// When a request fails.
pub fn run(form: Form) -> Vec<Part> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let mut parts = DELAYS.map(part);
    runtime.expect("a runtime").block_on(async {
        measure::<Tcp>(form, &mut parts).await;
        measure::<tls::Tls>(form, &mut parts).await;
        measure::<http::Http<false>>(form, &mut parts).await;
        measure::<http::Http<true>>(form, &mut parts).await;
        measure::<grpc::Grpc>(form, &mut parts).await;
        measure::<WebSocket>(form, &mut parts).await;
        measure::<Postgres>(form, &mut parts).await;
    });
    parts.into()
}

fn part(delay: u64) -> Part {
    Part::new(
        format!("Pool against dialing: {delay} ms added each way"),
        "16 tasks, up to 16 connections; getting a connection, one small request, letting go. Times are the medians and \
         99th percentiles of a request",
        vec![
            "dialing, per s",
            "pool, per s",
            "pool / dialing",
            "dialing, p50 ms",
            "pool, p50 ms",
            "dialing, p99 ms",
            "pool, p99 ms",
        ],
    )
}

async fn measure<P: Protocol>(form: Form, parts: &mut [Part]) {
    let Some((server, _running)) = P::serve().await else {
        parts[0].notes.push(format!("{} was left out: its server is not installed", P::NAME));
        return;
    };
    for (delay, part) in DELAYS.into_iter().zip(parts) {
        let link = Link::new(server, Duration::from_millis(delay)).await;
        compare::<P>(&link, delay, form, part).await;
    }
}

async fn compare<P: Protocol>(link: &Link, delay: u64, form: Form, part: &mut Part) {
    let protocol = Arc::new(P::at(link.address()));
    let time = Duration::from_millis(150 + 30 * delay);
    let rounds = form.either(5, 20);
    let (mut rates, mut waits) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..rounds {
        for nth in [round % 2, (round + 1) % 2] {
            let (rate, times) = work(&protocol, nth == 1, time).await;
            rates[nth].push(rate);
            waits[nth].extend(times);
        }
        progress(&format!("dialing: {}, {delay} ms", P::NAME), round + 1, rounds);
    }
    let [dialing, pooled] = rates.map(median);
    let [dialing_times, pooled_times] = waits.map(Latencies::new);
    let mut figures = vec![dialing, pooled, quotient(pooled, dialing)];
    for per_million in [500_000, 990_000] {
        figures.push(dialing_times.percentile(per_million));
        figures.push(pooled_times.percentile(per_million));
    }
    part.rows.push(Row::new(P::NAME, Kind::Wharf, figures));
    let dials = protocol.dials();
    let too_many = dials > TASKS as u64;
    part.add_fault(too_many.then(|| format!("{}: {dials} dials for {TASKS} tasks", P::NAME)));
}

/// Requests in a second, and how long each took.
async fn work<P: Protocol>(
    protocol: &Arc<P>,
    pooled: bool,
    time: Duration,
) -> (f64, Vec<Duration>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for _ in 0..TASKS {
        let (protocol, is_over) = (protocol.clone(), is_over.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            while !is_over.load(Relaxed) {
                let began = Instant::now();
                if pooled {
                    protocol.ask_through_pool().await;
                } else {
                    protocol.dial_and_ask().await;
                }
                times.push(began.elapsed());
            }
            times
        });
    }
    tokio::time::sleep(time).await;
    is_over.store(true, Relaxed);
    let times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    (times.len() as f64 / begin.elapsed().as_secs_f64(), times)
}
