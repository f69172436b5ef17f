//! Unary calls, compared with one tonic channel that all callers clone.

use std::net::SocketAddr;

use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::SharedPool;
use wharf_grpc::{GrpcConnector, PooledChannel};

use super::{Asks, Driver, PROCESSOR, RATE, Scene};
use crate::table::Bound;

pub(super) fn scene(server: SocketAddr, tasks: usize) -> Scene {
    let uri: Uri = format!("http://{server}").parse().expect("a URI");
    let pool = SharedPool::new(GrpcConnector::new());
    let wharf = Driver::on_two(Wharf { channel: PooledChannel::new(pool.host(&uri)) });
    let peer = ("tonic, one channel", Driver::on_two(Lazy::new(uri)));
    let name = format!("gRPC, {tasks} tasks, unary calls");
    let aims = vec![(RATE, Bound::AtLeast(1.3)), (PROCESSOR, Bound::AtMost(1.0))];
    Scene { name, tasks, wharf, peer, is_pinned: false, aims }
}

struct Wharf {
    channel: PooledChannel,
}

impl Asks for Wharf {
    async fn ask(&self) {
        let mut client = HealthClient::new(self.channel.clone());
        client.check(HealthCheckRequest::default()).await.expect("an answer");
    }
}

/// A channel that is made in the runtime where it is first used.
struct Lazy {
    endpoint: Endpoint,
    channel: std::sync::OnceLock<Channel>,
}

impl Lazy {
    fn new(uri: Uri) -> Self {
        Lazy { endpoint: Endpoint::from(uri), channel: std::sync::OnceLock::new() }
    }
}

impl Asks for Lazy {
    async fn ask(&self) {
        let channel = self.channel.get_or_init(|| self.endpoint.connect_lazy()).clone();
        let mut client = HealthClient::new(channel);
        client.check(HealthCheckRequest::default()).await.expect("an answer");
    }
}
