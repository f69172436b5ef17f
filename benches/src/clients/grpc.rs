//! Unary calls, compared with tonic's channels.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::{SharedPool, Spread};
use wharf_grpc::{GrpcConnector, PooledChannel};

use super::{Asks, Driver, Drives, PROCESSOR, RATE, Scene};
use crate::table::Bound;

const CALLS: [usize; 4] = [1, 8, 64, 1000];
const TEN: usize = 10;

pub(super) fn scenes(server: SocketAddr) -> Vec<Scene> {
    let uri: Uri = format!("http://{server}").parse().expect("a URI");
    let one = CALLS.map(|calls| one(&uri, calls)).into_iter();
    let ten = CALLS.map(|calls| ten(&uri, calls));
    one.chain(ten).chain([by_default(&uri)]).collect()
}

/// One connection against one.
fn one(uri: &Uri, calls: usize) -> Scene {
    let pool = SharedPool::builder().max_per_host(1);
    // The server allows fewer, which counts for both.
    let connector = GrpcConnector::builder().max_leases(1000).build().expect("good settings");
    let pool = pool.build(connector).expect("valid settings");
    Scene {
        name: format!("gRPC, {calls} calls at once, one connection"),
        tasks: calls,
        wharf: wharf(&pool, uri, 1),
        peers: vec![("tonic, one channel", in_turn(uri, 1))],
        is_pinned: false,
        aims: vec![(RATE, Bound::AtLeast(1.0))],
        note: "One connection on either side, which carries as many calls at once as the server allows",
    }
}

/// Ten connections against ten.
fn ten(uri: &Uri, calls: usize) -> Scene {
    let pool = SharedPool::builder().max_per_host(TEN).spread(Spread::LeastLoaded);
    let pool = pool.build(GrpcConnector::new()).expect("valid settings");
    Scene {
        name: format!("gRPC, {calls} calls at once, ten connections"),
        tasks: calls,
        wharf: wharf(&pool, uri, TEN),
        peers: vec![
            ("tonic, ten channels in turn", in_turn(uri, TEN)),
            ("tonic, ten balanced", Driver::on_two(Balanced::new(uri))),
        ],
        is_pinned: false,
        aims: vec![(RATE, Bound::AtLeast(1.0))],
        note: "Ten connections on either side, made before: the pool spreads calls by `Spread::LeastLoaded`; tonic's \
               callers take ten channels in turn, or one that balances ten endpoints",
    }
}

/// As many connections as the pool makes by its default settings, against one channel, which is what tonic makes.
fn by_default(uri: &Uri) -> Scene {
    let calls = 1000;
    Scene {
        name: format!("gRPC, {calls} tasks, unary calls"),
        tasks: calls,
        wharf: wharf(&SharedPool::new(GrpcConnector::new()), uri, 0),
        peers: vec![("tonic, one channel", in_turn(uri, 1))],
        is_pinned: false,
        aims: vec![(RATE, Bound::AtLeast(1.3)), (PROCESSOR, Bound::AtMost(1.0))],
        note: "Both by their defaults: the pool makes as many connections as calls need, with 100 leases each, and a channel is \
               one connection",
    }
}

struct Wharf {
    channel: PooledChannel,
    /// How many connections are made before.
    warm: usize,
}

fn wharf(pool: &SharedPool<GrpcConnector>, uri: &Uri, warm: usize) -> Box<dyn Drives> {
    Driver::on_two(Wharf { channel: PooledChannel::new(pool.host(uri)), warm })
}

impl Asks for Wharf {
    async fn prepare(&self) {
        self.channel.host().warm(self.warm).await.expect("connections");
    }

    async fn ask(&self) {
        check(HealthClient::new(self.channel.clone())).await;
    }
}

/// Channels of one connection each, which callers take in turn.
struct InTurn {
    endpoint: Endpoint,
    several: usize,
    channels: OnceLock<Vec<Channel>>,
    next: AtomicUsize,
}

fn in_turn(uri: &Uri, several: usize) -> Box<dyn Drives> {
    let endpoint = Endpoint::from(uri.clone());
    let (channels, next) = (OnceLock::new(), AtomicUsize::new(0));
    Driver::on_two(InTurn { endpoint, several, channels, next })
}

impl Asks for InTurn {
    async fn prepare(&self) {
        let mut channels = Vec::new();
        for _ in 0..self.several {
            channels.push(self.endpoint.connect().await.expect("a connection"));
        }
        assert!(self.channels.set(channels).is_ok(), "it is prepared once");
    }

    async fn ask(&self) {
        let channel = match &self.channels.get().expect("it is prepared")[..] {
            [only] => only,
            several => &several[self.next.fetch_add(1, Relaxed) % several.len()],
        };
        check(HealthClient::new(channel.clone())).await;
    }
}

/// A channel of ten endpoints, each of which is the server.
struct Balanced {
    endpoint: Endpoint,
    channel: OnceLock<Channel>,
}

impl Balanced {
    fn new(uri: &Uri) -> Balanced {
        Balanced { endpoint: Endpoint::from(uri.clone()), channel: OnceLock::new() }
    }
}

impl Asks for Balanced {
    async fn prepare(&self) {
        // By number: a list of endpoints would be one, since their URIs are the same.
        let (channel, changes) = Channel::balance_channel(TEN);
        for nth in 0..TEN {
            let insert = Change::Insert(nth, self.endpoint.clone());
            changes.send(insert).await.expect("the channel is there");
        }
        assert!(self.channel.set(channel).is_ok(), "it is prepared once");
    }

    async fn ask(&self) {
        let channel = self.channel.get().expect("it is prepared");
        check(HealthClient::new(channel.clone())).await;
    }
}

async fn check<T>(mut client: HealthClient<T>)
where
    T: tonic::client::GrpcService<
            tonic::body::Body,
            ResponseBody = tonic::body::Body,
            Error: Into<tonic::codegen::StdError>,
        >,
{
    client.check(HealthCheckRequest::default()).await.expect("an answer");
}
