//! A pool against dialing each time, over real sockets on the loopback.

mod grpc;
mod http;
mod link;
mod postgres;
mod tcp;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::contestants::Kind;
use crate::form::Form;
use crate::measure::{Latencies, Rounds, progress};
use crate::table::{Better, Part, Row};
use link::Link;

/// What a server sends, or sends back.
const BODY: [u8; 64] = [b'w'; 64];
/// Tasks, and the most connections.
const TASKS: usize = 16;
/// What is added in each direction, in milliseconds.
const DELAYS: [u64; 3] = [0, 1, 10];

/// Requests in a second, both ways.
#[derive(Clone, Debug)]
pub struct Saving {
    pub(crate) name: String,
    pub(crate) dialing: f64,
    pub(crate) pooled: f64,
}

/// Something to ask over a connection of one's own, or a pool's.
trait Protocol: Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// Starts the server for as long as what comes back is kept. `None` where there is none to
    /// start.
    fn serve() -> impl Future<Output = Option<(SocketAddr, Box<dyn Send>)>> + Send;

    /// Asks there.
    fn at(address: SocketAddr) -> Self;

    fn dial_and_ask(&self) -> impl Future<Output = ()> + Send;

    fn ask_through_pool(&self) -> impl Future<Output = ()> + Send;

    /// The dials of the pool.
    fn dials(&self) -> u64;
}

/// Measures it: a part for each protocol and delay.
///
/// # Panics
///
/// When a request fails.
pub fn run(form: Form) -> (Vec<Part>, Vec<Saving>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (mut parts, mut savings) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        measure::<tcp::Tcp>(form, &mut parts, &mut savings).await;
        measure::<tls::Tls>(form, &mut parts, &mut savings).await;
        measure::<http::Http>(form, &mut parts, &mut savings).await;
        measure::<grpc::Grpc>(form, &mut parts, &mut savings).await;
        measure::<postgres::Postgres>(form, &mut parts, &mut savings).await;
    });
    (parts, savings)
}

async fn measure<P: Protocol>(form: Form, parts: &mut Vec<Part>, savings: &mut Vec<Saving>) {
    for delay in DELAYS {
        let Some((server, _running)) = P::serve().await else {
            eprintln!("{}: left out, its programs are not here", P::NAME);
            return;
        };
        let link = Link::new(server, Duration::from_millis(delay)).await;
        let (part, saving) = compare::<P>(&link, delay, form).await;
        parts.push(part);
        savings.push(saving);
    }
}

async fn compare<P: Protocol>(link: &Link, delay: u64, form: Form) -> (Part, Saving) {
    let title = format!("dialing: {}, {delay} ms added each way", P::NAME);
    let includes =
        "16 tasks, up to 16 connections; getting a connection, one small request, letting go";
    let mut part = Part::new(&title, includes, vec!["per second", "p50 us", "p99 us"]);
    let protocol = Arc::new(P::at(link.address()));
    let time = Duration::from_millis(form.either(300, 1000) + 30 * delay);
    let rounds = form.either(3, 7);
    let (mut rates, mut waits) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..rounds {
        for nth in [round % 2, (round + 1) % 2] {
            let (rate, times) = work(&protocol, nth == 1, time).await;
            rates[nth].push(rate);
            waits[nth].extend(times);
        }
        progress(&title, round + 1, rounds);
    }
    let rounds = Rounds::of(rates.into());
    let names = [("dial each time", Kind::Peer), ("wharf", Kind::Wharf)];
    for (nth, ((name, kind), times)) in names.into_iter().zip(waits).enumerate() {
        let times = Latencies::new(times);
        let percentiles = [500_000, 990_000].map(|per_million| times.percentile(per_million));
        let figures = [rounds.median(nth)].into_iter().chain(percentiles).collect();
        part.rows.push(Row::new(name, kind, figures));
    }
    part.compare(&rounds, Better::More);
    if protocol.dials() > TASKS as u64 {
        part.add_fault(Some(format!("wharf dialed {} times, for {TASKS} tasks", protocol.dials())));
    }
    let name = format!("{}, +{delay} ms", P::NAME);
    (part, Saving { name, dialing: rounds.median(0), pooled: rounds.median(1) })
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
