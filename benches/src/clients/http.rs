//! GETs over HTTP/1.1 and HTTP/2, compared with hyper-util's legacy client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;
use wharf::SharedPool;
use wharf_http::{Client, Protocol};

use super::deadpool::Deadpool;
use super::server::SMALL;
use super::{Asks, Driver, Drives, PROCESSOR, Peer, RATE, SWITCHES, Scene};
use crate::table::Bound;

/// Connections of a crowd.
const FEW: usize = 64;
const PEER: &str = "hyper-util, legacy client";

/// Each task has a connection.
pub(super) fn one(server: SocketAddr, answer: usize, tasks: usize) -> Scene {
    let name = format!("HTTP/1.1, {tasks} tasks, answers of {answer} bytes");
    let asked = Asked::of(&[server], answer);
    let peers = vec![hyper_util(Protocol::Http1, &asked)];
    scene(name, tasks, wharf(Protocol::Http1, tasks, &asked), peers)
}

/// All tasks share a connection.
pub(super) fn two(server: SocketAddr, answer: usize, tasks: usize) -> Scene {
    let name = format!("HTTP/2, {tasks} tasks, answers of {answer} bytes");
    let asked = Asked::of(&[server], answer);
    let peers = vec![hyper_util(Protocol::Http2, &asked)];
    let mut scene = scene(name, tasks, wharf(Protocol::Http2, tasks, &asked), peers);
    scene.aims.push((SWITCHES, Bound::AtMost(1.1)));
    scene
}

/// Many idle connections: each request is to a host chosen at random.
pub(super) fn many(servers: &[SocketAddr]) -> Scene {
    let tasks = 8;
    let hosts = servers.len();
    let name = format!("HTTP/1.1, {tasks} tasks, any of {hosts} hosts, answers of {SMALL} bytes");
    let asked = Asked::of(servers, SMALL);
    let peers = vec![hyper_util(Protocol::Http1, &asked)];
    let note = "A connection is open to each host, and a second one to those that two tasks once chose at a time";
    Scene { note, ..scene(name, tasks, wharf(Protocol::Http1, tasks, &asked), peers) }
}

/// More callers than connections.
pub(super) fn crowd(server: SocketAddr) -> Scene {
    let tasks = 512;
    let name = format!("HTTP/1.1, {tasks} tasks, {FEW} connections, answers of {SMALL} bytes");
    let asked = Asked::of(&[server], SMALL);
    let capped =
        Capped { client: HyperUtil::new(Protocol::Http1, &asked), permits: Semaphore::new(FEW) };
    let peers: Vec<Peer> = vec![
        ("hyper-util, behind a semaphore", Driver::pinned(capped)),
        ("deadpool, of hyper's connections", Driver::pinned(Deadpool::new(server, FEW, SMALL))),
    ];
    let note = "hyper-util's client has no cap, so that its callers take a permit of a semaphore, as wide as the others' \
                pools; deadpool, without time-out, keeps connections that hyper makes";
    Scene { note, ..scene(name, tasks, wharf(Protocol::Http1, FEW, &asked), peers) }
}

fn scene(name: String, tasks: usize, wharf: Box<dyn Drives>, peers: Vec<Peer>) -> Scene {
    let aims = vec![(RATE, Bound::AtLeast(1.0)), (PROCESSOR, Bound::AtMost(1.0))];
    Scene { name, tasks, wharf, peers, is_pinned: true, aims, note: "" }
}

#[derive(Clone)]
struct Asked {
    uris: Arc<[Uri]>,
    /// The length of the answer.
    answer: usize,
}

impl Asked {
    fn of(servers: &[SocketAddr], answer: usize) -> Asked {
        let path = if answer == SMALL { "" } else { "large" };
        let uri = |server| format!("http://{server}/{path}").parse().expect("a URI");
        Asked { uris: servers.iter().map(uri).collect(), answer }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let uri = match &self.uris[..] {
            [only] => only,
            any => &any[fastrand::usize(..any.len())],
        };
        Request::get(uri.clone()).body(Empty::new()).expect("a request")
    }

    fn check(&self, answer: &Bytes) {
        assert_eq!(answer.len(), self.answer);
    }
}

struct Wharf {
    client: Client,
    asked: Asked,
}

fn wharf(protocol: Protocol, cap: usize, asked: &Asked) -> Box<dyn Drives> {
    let pool = SharedPool::builder().max_per_host(cap);
    let client = Client::builder().pool(pool).protocol(protocol).build().expect("good settings");
    Driver::pinned(Wharf { client, asked: asked.clone() })
}

impl Asks for Wharf {
    async fn ask(&self) {
        let response = self.client.request(self.asked.request()).await.expect("an answer");
        let answer = response.into_body().collect().await.expect("all of it");
        self.asked.check(&answer.to_bytes());
    }
}

type Legacy = legacy::Client<HttpConnector, Empty<Bytes>>;

struct HyperUtil {
    client: Legacy,
    asked: Asked,
}

fn hyper_util(protocol: Protocol, asked: &Asked) -> Peer {
    (PEER, Driver::pinned(HyperUtil::new(protocol, asked)))
}

impl HyperUtil {
    fn new(protocol: Protocol, asked: &Asked) -> HyperUtil {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        let client = builder.http2_only(protocol == Protocol::Http2).build(connector);
        HyperUtil { client, asked: asked.clone() }
    }
}

impl Asks for HyperUtil {
    async fn ask(&self) {
        let response = self.client.request(self.asked.request()).await.expect("an answer");
        let answer = response.into_body().collect().await.expect("all of it");
        self.asked.check(&answer.to_bytes());
    }
}

/// The same client with a cap that its callers keep.
struct Capped {
    client: HyperUtil,
    permits: Semaphore,
}

impl Asks for Capped {
    async fn ask(&self) {
        let _permit = self.permits.acquire().await.expect("it is not closed");
        self.client.ask().await;
    }
}
