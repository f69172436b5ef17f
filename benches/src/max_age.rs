//! A gRPC server that ends each connection at an age of 100 ms, as one does behind a balancer that balances connections.
//!
//! Each call has a number of its own, by which the server counts how often it was run. What is printed: the calls, how
//! many failed, how many were run more than once, and how many connections the server accepted. A task without an answer
//! is told.
//!
//! It says nothing of speed: the clients work one after the other, and not in bursts that alternate.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use wharf::SharedPool;
use wharf_grpc::{GrpcConnector, PooledChannel};

use crate::form::Form;
use crate::machine;

const TASKS: usize = 32;
const AGE: Duration = Duration::from_millis(100);
/// The metadata that a call's number is in.
const NUMBER: &str = "number";

/// Prints it.
///
/// # Panics
///
/// When a call was answered that the server has not run.
pub fn run(form: Form) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(all(form.either(5, 20)));
}

async fn all(seconds: u64) {
    println!("{}", machine::describe(machine::load()));
    println!(
        "{TASKS} tasks make unary calls for {seconds} s; a connection ends at {AGE:?}. Clients and server share the cores."
    );
    for cap in [4, 1] {
        let name = format!("wharf, up to {cap} connections");
        show(&name, seconds, |uri| {
            let pool = SharedPool::builder().max_per_host(cap).build(GrpcConnector::new());
            Way::Wharf(PooledChannel::new(pool.expect("good settings").host(uri)))
        })
        .await;
    }
    show("tonic, one channel", seconds, |uri| {
        Way::Tonic(Endpoint::from(uri.clone()).connect_lazy())
    })
    .await;
    println!("  grpc-go is ABSENT from this comparison: it is not in Go's standard library");
}

async fn show(name: &str, seconds: u64, way: impl FnOnce(&Uri) -> Way) {
    let server = Server::start().await;
    let uri = format!("http://{}", server.address).parse().expect("a URI");
    let (way, next) = (way(&uri), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let tasks: JoinSet<Outcome> =
        (0..TASKS).map(|_| work(way.clone(), next.clone(), is_over.clone())).collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    is_over.store(true, Relaxed);
    let outcomes = tasks.join_all().await;

    let answered: usize = outcomes.iter().map(|outcome| outcome.answered).sum();
    let failed: usize = outcomes.iter().map(|outcome| outcome.failed).sum();
    let starved = outcomes.iter().filter(|outcome| outcome.answered == 0).count();
    let runs = server.runs.0.lock();
    assert!(runs.len() >= answered, "{name}: answers to what was never run");
    let twice = runs.values().filter(|&&times| times > 1).count();
    println!(
        "  {name:<28} {:>6} calls, {failed:>4} failed, {twice} run twice; {:>4} connections{}",
        answered + failed,
        server.accepted.load(Relaxed),
        if starved > 0 { format!(", {starved} TASKS WITHOUT AN ANSWER") } else { String::new() },
    );
    if let Some(error) = outcomes.into_iter().find_map(|outcome| outcome.error) {
        println!("    such as: {error}");
    }
}

/// What one task has come to.
#[derive(Default)]
struct Outcome {
    answered: usize,
    failed: usize,
    error: Option<Status>,
}

async fn work(way: Way, next: Arc<AtomicUsize>, is_over: Arc<AtomicBool>) -> Outcome {
    let mut outcome = Outcome::default();
    while !is_over.load(Relaxed) {
        match way.call(next.fetch_add(1, Relaxed)).await {
            Ok(()) => outcome.answered += 1,
            Err(error) => {
                outcome.failed += 1;
                outcome.error = Some(error);
            }
        }
    }
    outcome
}

/// How calls are made.
#[derive(Clone)]
enum Way {
    Wharf(PooledChannel),
    Tonic(Channel),
}

impl Way {
    async fn call(&self, number: usize) -> Result<(), Status> {
        let mut request = Request::new(HealthCheckRequest::default());
        request.metadata_mut().insert(NUMBER, number.into());
        match self {
            Way::Wharf(channel) => HealthClient::new(channel.clone()).check(request).await,
            Way::Tonic(channel) => HealthClient::new(channel.clone()).check(request).await,
        }
        .map(drop)
    }
}

/// How often each call was run, by its number.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<HashMap<String, usize>>>);

impl Runs {
    fn note(&self, request: &Request<()>) {
        let number = request.metadata().get(NUMBER).expect("each call has one");
        let number = number.to_str().expect("a number").to_owned();
        *self.0.lock().entry(number).or_default() += 1;
    }
}

/// Until it is dropped.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    runs: Runs,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (accepted, runs) = (Arc::new(AtomicUsize::new(0)), Runs::default());
        let (count, noted) = (accepted.clone(), runs.clone());
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).map(move |stream| {
            count.fetch_add(1, Relaxed);
            stream
        });
        let service = InterceptedService::new(health_reporter().1, move |request: Request<()>| {
            noted.note(&request);
            Ok(request)
        });
        let router =
            tonic::transport::Server::builder().max_connection_age(AGE).add_service(service);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(router.serve_with_incoming(incoming).await) });
        Server { address, accepted, runs, _tasks: tasks }
    }
}
