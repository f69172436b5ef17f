//! What a pool of HTTP connections saves: the same requests to the same servers, once with a new
//! connection for each, once through wharf's client, and once through that of hyper-util.
//!
//! ```text
//! cargo run --release -p example-http
//! cargo run --release -p example-http -- https://example.com http://example.com
//! ```
//!
//! Without arguments it starts four servers inside this process. 32 tasks send 20,000 requests in
//! all, to each server in turn, and read the answers of 1,000 bytes; over HTTP/1.1, then over HTTP/2.
//! wharf's client may have 8 connections to each server; hyper-util's may keep 8 idle ones, and has
//! no limit on others.
//!
//! While it runs it shows progress on the standard error. Then it prints a table: for each way the
//! requests answered, the connections that the servers accepted, the requests per second, and the
//! latency of one request at two percentiles; and then the connections that 64 requests at once to a
//! server nobody is connected to have cost each client. It fails if any request did.
//!
//! Given URLs, it fetches each twice and prints the status, the version of HTTP, the bytes of the
//! body and the time.

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use wharf::SharedPool;
use wharf_http::{Client, Protocol};

const SERVERS: usize = 4;
const TASKS: usize = 32;
/// Few enough for the ports that a system has: each dial leaves one unusable for a minute.
const REQUESTS: usize = 20_000;
const MAX_PER_HOST: usize = 8;
const COLD_REQUESTS: usize = 64;
const ANSWER: [u8; 1000] = [b'w'; 1000];

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    if !urls.is_empty() {
        return fetch_all(&urls).await;
    }
    println!(
        "{:<22} {:>8} {:>11} {:>10} {:>9} {:>9}",
        "way", "requests", "connections", "requests/s", "p50", "p99"
    );
    let mut failed = 0;
    for (name, protocol, way) in ways()? {
        let outcome = run(name, &way, &Hosts::start(protocol).await?).await;
        outcome.print(name);
        failed += outcome.failed;
    }
    println!("\n{COLD_REQUESTS} requests at once to a server nobody is connected to:");
    for (name, protocol, way) in ways()?.into_iter().skip(1) {
        let hosts = Hosts::start(protocol).await?;
        failed += rush(&way, &hosts).await;
        println!("{name:<22} {:>3} connections", hosts.accepted());
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How a request gets its connection.
#[derive(Clone)]
enum Way {
    DialEachTime,
    Wharf(Client),
    HyperUtil(Box<legacy::Client<HttpConnector, Empty<Bytes>>>),
}

fn ways() -> Result<[(&'static str, Protocol, Way); 5], Failure> {
    let wharf = |protocol| {
        let pool = SharedPool::builder().max_per_host(MAX_PER_HOST);
        Client::builder().pool(pool).protocol(protocol).build().map(Way::Wharf)
    };
    let hyper_util = |http2| {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(MAX_PER_HOST).http2_only(http2);
        Way::HyperUtil(Box::new(builder.build(connector)))
    };
    Ok([
        ("dial each time", Protocol::Http1, Way::DialEachTime),
        ("wharf, HTTP/1.1", Protocol::Http1, wharf(Protocol::Http1)?),
        ("hyper-util, HTTP/1.1", Protocol::Http1, hyper_util(false)),
        ("wharf, HTTP/2", Protocol::Http2, wharf(Protocol::Http2)?),
        ("hyper-util, HTTP/2", Protocol::Http2, hyper_util(true)),
    ])
}

impl Way {
    async fn request(&self, host: SocketAddr) -> Result<(), Failure> {
        let request = Request::get(format!("http://{host}/")).body(Empty::new())?;
        let body = match self {
            Way::DialEachTime => dial_and_ask(host, request).await?,
            Way::Wharf(client) => {
                client.request(request).await?.into_body().collect().await?.to_bytes()
            }
            Way::HyperUtil(client) => {
                client.request(request).await?.into_body().collect().await?.to_bytes()
            }
        };
        if body == ANSWER[..] { Ok(()) } else { Err("the server did not answer in full".into()) }
    }
}

async fn dial_and_ask(host: SocketAddr, request: Request<Empty<Bytes>>) -> Result<Bytes, Failure> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

/// The servers, and the connections that they have accepted.
struct Hosts {
    addresses: Vec<SocketAddr>,
    accepted: Arc<AtomicUsize>,
}

impl Hosts {
    async fn start(protocol: Protocol) -> Result<Arc<Self>, Failure> {
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut addresses = Vec::new();
        for _ in 0..SERVERS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push(listener.local_addr()?);
            tokio::spawn(serve(listener, protocol, accepted.clone()));
        }
        Ok(Arc::new(Hosts { addresses, accepted }))
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, protocol: Protocol, accepted: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
        let (io, service) = (TokioIo::new(stream), service_fn(answer));
        // A connection that breaks shows at the client, as a request that fails.
        if protocol == Protocol::Http2 {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(io, service));
        } else {
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(builder.serve_connection(io, service));
        }
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(&ANSWER))))
}

/// What one way came to.
struct Outcome {
    took: Duration,
    connections: usize,
    /// In order, from the shortest.
    latencies: Vec<Duration>,
    failed: usize,
}

async fn run(name: &str, way: &Way, hosts: &Arc<Hosts>) -> Outcome {
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(work(way.clone(), hosts.clone(), next.clone()));
    }
    eprint!("{name} ...");
    let parts = tasks.join_all().await;
    let took = begin.elapsed();
    eprint!("\r\x1b[K");
    let mut latencies: Vec<Duration> = parts.into_iter().flatten().collect();
    latencies.sort_unstable();
    let failed = REQUESTS - latencies.len();
    Outcome { took, connections: hosts.accepted(), latencies, failed }
}

/// One task: takes requests until there are none left.
async fn work(way: Way, hosts: Arc<Hosts>, next: Arc<AtomicUsize>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= REQUESTS {
            return latencies;
        }
        let begin = Instant::now();
        match way.request(hosts.addresses[nth % SERVERS]).await {
            Ok(()) => latencies.push(begin.elapsed()),
            Err(error) => complain(&*error),
        }
    }
}

/// Sends requests all at once to one server. Returns how many failed.
async fn rush(way: &Way, hosts: &Arc<Hosts>) -> usize {
    let start = Arc::new(Barrier::new(COLD_REQUESTS));
    let mut tasks = JoinSet::new();
    for _ in 0..COLD_REQUESTS {
        let (way, host, start) = (way.clone(), hosts.addresses[0], start.clone());
        tasks.spawn(async move {
            start.wait().await;
            way.request(host).await.inspect_err(|error| complain(&**error)).is_err()
        });
    }
    tasks.join_all().await.into_iter().filter(|failed| *failed).count()
}

impl Outcome {
    fn print(&self, name: &str) {
        println!(
            "{name:<22} {:>8} {:>11} {:>10.0} {:>9} {:>9}",
            self.latencies.len(),
            self.connections,
            self.latencies.len() as f64 / self.took.as_secs_f64(),
            self.percentile(50),
            self.percentile(99),
        );
    }

    /// The latency that `percent` of a hundred requests did not exceed.
    fn percentile(&self, percent: usize) -> String {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        let latency = self.latencies.get(rank.saturating_sub(1));
        latency.map_or("n/a".to_owned(), |latency| format!("{} us", latency.as_micros()))
    }
}

async fn fetch_all(urls: &[String]) -> Result<ExitCode, Failure> {
    let client = Client::new();
    let mut code = ExitCode::SUCCESS;
    for url in urls.iter().flat_map(|url| [url, url]) {
        let begin = Instant::now();
        match fetch(&client, url).await {
            Ok(what) => println!("{url}: {what}, {} ms", begin.elapsed().as_millis()),
            Err(error) => {
                complain(&*error);
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

async fn fetch(client: &Client, url: &str) -> Result<String, Failure> {
    let request = Request::get(url).body(Empty::<Bytes>::new())?;
    let (head, body) = client.request(request).await?.into_parts();
    let bytes = body.collect().await?.to_bytes().len();
    Ok(format!("{}, {:?}, {bytes} bytes", head.status, head.version))
}

fn complain(error: &(dyn Error + 'static)) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    eprintln!("{text}");
}
