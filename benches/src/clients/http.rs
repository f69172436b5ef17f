//! GETs over HTTP/1.1 and HTTP/2, compared with hyper-util's legacy client.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use wharf::SharedPool;
use wharf_http::{Client, Protocol};

use super::server::SMALL;
use super::{Asks, Driver, PROCESSOR, RATE, SWITCHES, Scene};
use crate::table::Bound;

/// Each task has a connection.
pub(super) fn one(server: SocketAddr, answer: usize, tasks: usize) -> Scene {
    let aims = vec![(RATE, Bound::AtLeast(1.0)), (PROCESSOR, Bound::AtMost(1.0))];
    Scene { aims, ..scene(Protocol::Http1, "HTTP/1.1", server, answer, tasks) }
}

/// All tasks share a connection.
pub(super) fn two(server: SocketAddr, answer: usize, tasks: usize) -> Scene {
    let aims = vec![(PROCESSOR, Bound::AtMost(1.0)), (SWITCHES, Bound::AtMost(1.1))];
    Scene { aims, ..scene(Protocol::Http2, "HTTP/2", server, answer, tasks) }
}

fn scene(
    protocol: Protocol,
    version: &str,
    server: SocketAddr,
    answer: usize,
    tasks: usize,
) -> Scene {
    let path = if answer == SMALL { "" } else { "large" };
    let asked = Asked { uri: format!("http://{server}/{path}").parse().expect("a URI"), answer };
    let name = format!("{version}, {tasks} tasks, answers of {answer} bytes");
    let wharf = Driver::pinned(Wharf { client: wharf(protocol), asked: asked.clone() });
    let peer = HyperUtil { client: hyper_util(protocol), asked };
    let peer = ("hyper-util, legacy client", Driver::pinned(peer));
    Scene { name, tasks, wharf, peer, is_pinned: true, aims: Vec::new() }
}

#[derive(Clone)]
struct Asked {
    uri: Uri,
    /// The length of the answer.
    answer: usize,
}

impl Asked {
    fn request(&self) -> Request<Empty<Bytes>> {
        Request::get(self.uri.clone()).body(Empty::new()).expect("a request")
    }

    fn check(&self, answer: &Bytes) {
        assert_eq!(answer.len(), self.answer);
    }
}

struct Wharf {
    client: Client,
    asked: Asked,
}

fn wharf(protocol: Protocol) -> Client {
    let pool = SharedPool::builder().max_per_host(64);
    Client::builder().pool(pool).protocol(protocol).build().expect("good settings")
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

fn hyper_util(protocol: Protocol) -> Legacy {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.http2_only(protocol == Protocol::Http2).build(connector)
}

impl Asks for HyperUtil {
    async fn ask(&self) {
        let response = self.client.request(self.asked.request()).await.expect("an answer");
        let answer = response.into_body().collect().await.expect("all of it");
        self.asked.check(&answer.to_bytes());
    }
}
