//! Calls to one name behind which there are three servers. One of them is stopped, and comes back.
//!
//! Run: `cargo run -p example-grpc --bin balance`. The servers are tonic's, in this process, and so is the resolver that
//! finds them. 12 tasks make calls all the time. It takes about 12 seconds, and prints which part of the calls each
//! server has answered:
//!
//! ```text
//!                         server 1  server 2  server 3  failed calls
//! all up                      33 %      33 %      33 %             0
//! while server 2 stops        50 %      16 %      34 %             0
//! server 2 is stopped         67 %       0 %      33 %             0
//! until its first answer      67 %       0 %      33 %             0
//! server 2 is back            33 %      33 %      33 %             0
//! It answered 7.0 s after its return.
//! ```
//!
//! It fails if a call did, or if the server that came back has not answered within a minute.
//!
//! # How calls get to several servers
//!
//! The key of the pool is the name. Each dial resolves it, and goes to the address with the fewest connections: with
//! three connections, each server has one (`max_per_host`, `min_idle_per_host`). `Spread::LeastLoaded` then gives each call to
//! the connection with the fewest calls; by default, the first connection would get them all until it is full.
//!
//! - A server that stops says so on its connection (GOAWAY). Its calls finish, new ones go to the others, and the
//!   pool dials a third connection at once: to one of the two servers that are left, which then has two.
//! - The address of the server that refused is tried last for ten seconds. After that, one of the two connections to the
//!   same server makes room for one to the server that has none: connections look every ten seconds whether they should.
//!   Nothing else tells the pool that a server is back.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, Uri};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use wharf::tcp::{Resolve, TcpTransport};
use wharf::{SharedPool, Spread, async_trait};
use wharf_grpc::{GrpcConnector, PooledChannel};

const SERVERS: usize = 3;
const TASKS: usize = 12;
const PHASE: Duration = Duration::from_secs(1);
/// How long a server may take to get calls again.
const LIMIT: Duration = Duration::from_secs(60);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (one, two, three) = (Running::new(0)?, Running::new(1)?, Running::new(2)?);
    let channel = connect(vec![one.address, two.address, three.address]).await?;

    println!("{:<22}  server 1  server 2  server 3  failed calls", "");
    let mut failed = print("all up", &measure(&channel, PHASE).await);
    let (shares, socket) = tokio::join!(measure(&channel, PHASE), two.stop_after(PHASE / 2));
    failed += print("while server 2 stops", &shares);
    failed += print("server 2 is stopped", &measure(&channel, PHASE).await);

    let _two = Running::on(socket?, 1)?;
    let back = Instant::now();
    let shares = measure_until_answered_by(1, &channel, back + LIMIT).await;
    let took = back.elapsed();
    failed += print("until its first answer", &shares);
    failed += print("server 2 is back", &measure(&channel, PHASE).await);
    println!("It answered {:.1} s after its return.", took.as_secs_f64());
    if failed == 0 && took < LIMIT { Ok(()) } else { Err("a call failed, or came too late".into()) }
}

/// A channel with a connection to each server.
async fn connect(addresses: Vec<SocketAddr>) -> Result<PooledChannel, Failure> {
    let transport = TcpTransport::builder().resolver(Names(addresses)).build()?;
    let connector = GrpcConnector::builder().transport(transport).build()?;
    let pool = SharedPool::builder()
        .max_per_host(SERVERS)
        .min_idle_per_host(SERVERS)
        .spread(Spread::LeastLoaded)
        .build(connector)?;
    let orders = pool.host(&Uri::from_static("http://orders.example:50051"));
    orders.warm(SERVERS).await?;
    Ok(PooledChannel::new(orders).timeout(Duration::from_secs(5)))
}

/// Stands for the DNS. It names all three addresses at all times, whether their servers run or not. In a program of your own
/// the system's resolver does this: leave out the transport.
struct Names(Vec<SocketAddr>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.clone())
    }
}

/// How many calls each server has answered, and how many failed.
#[derive(Default)]
struct Shares {
    answered: [usize; SERVERS],
    failed: usize,
}

/// Makes calls for this long.
async fn measure(channel: &PooledChannel, time: Duration) -> Shares {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(make_calls(channel.clone(), end));
    }
    tasks.join_all().await.iter().fold(Shares::default(), Shares::plus)
}

async fn measure_until_answered_by(server: usize, channel: &PooledChannel, end: Instant) -> Shares {
    let mut shares = Shares::default();
    loop {
        let next = measure(channel, PHASE / 20).await;
        if next.answered[server] > 0 || Instant::now() >= end {
            return shares;
        }
        shares = shares.plus(&next);
    }
}

async fn make_calls(channel: PooledChannel, end: Instant) -> Shares {
    let mut client = HealthClient::new(channel);
    let mut shares = Shares::default();
    while Instant::now() < end {
        match client.check(HealthCheckRequest::default()).await {
            Ok(answer) => shares.answered[answered_by(&answer)] += 1,
            Err(status) => {
                shares.failed += 1;
                eprintln!("{status}");
            }
        }
    }
    shares
}

/// The server says in its answer who it is.
fn answered_by(answer: &Response<HealthCheckResponse>) -> usize {
    let said = answer.metadata().get("server").and_then(|server| server.to_str().ok());
    said.and_then(|server| server.parse().ok()).expect("each server says its number")
}

impl Shares {
    fn plus(mut self, other: &Shares) -> Shares {
        for (sum, n) in self.answered.iter_mut().zip(other.answered) {
            *sum += n;
        }
        self.failed += other.failed;
        self
    }

    /// Of the calls that were answered, in percent.
    fn percent(&self) -> [String; SERVERS] {
        let all = self.answered.iter().sum::<usize>().max(1);
        self.answered.map(|n| format!("{:.0} %", 100.0 * n as f64 / all as f64))
    }
}

/// Prints a line of the table, and returns how many calls failed.
fn print(phase: &str, shares: &Shares) -> usize {
    let [one, two, three] = shares.percent();
    println!("{phase:<22}  {one:>8}  {two:>8}  {three:>8}  {:>12}", shares.failed);
    shares.failed
}

/// The service: it answers after two milliseconds, with its number.
struct Orders(usize);

#[async_trait]
impl Health for Orders {
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        sleep(Duration::from_millis(2)).await;
        let mut answer = Response::new(HealthCheckResponse::default());
        answer.metadata_mut().insert("server", self.0.into());
        Ok(answer)
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}

/// A server that runs.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Running {
    fn new(number: usize) -> io::Result<Running> {
        Running::on(bound(([127, 0, 0, 1], 0).into())?, number)
    }

    fn on(socket: TcpSocket, number: usize) -> io::Result<Running> {
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = Server::builder().add_service(HealthServer::new(Orders(number)));
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = tokio::spawn(serving.serve_with_incoming_shutdown(incoming, async {
            let _ = stopped.await;
        }));
        Ok(Running { address, stop, serving })
    }

    /// Lets calls finish, as a server does that is replaced. Keeps its port, where nobody listens then.
    async fn stop_after(self, time: Duration) -> io::Result<TcpSocket> {
        sleep(time).await;
        let _ = self.stop.send(());
        let _ = self.serving.await;
        bound(self.address)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
