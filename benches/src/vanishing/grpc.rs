//! The clients of gRPC. Each call is a `Check` of the health service.

use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::SharedPool;
use wharf_grpc::{GrpcConnector, PooledChannel};

use super::client::{Asks, start};
use super::{Ends, Target};

#[derive(Clone)]
pub(super) struct WharfGrpc(PooledChannel);

impl WharfGrpc {
    pub(super) fn start(target: &Target, ends: &Ends, cap: usize) -> JoinSet<()> {
        let pool = SharedPool::builder().max_per_host(cap).build(GrpcConnector::new());
        let host = pool.expect("good settings").host(&uri(target));
        start(&WharfGrpc(PooledChannel::new(host)), target, ends)
    }
}

impl Asks for WharfGrpc {
    async fn ask(&self, _: &str) -> bool {
        HealthClient::new(self.0.clone()).check(HealthCheckRequest::default()).await.is_ok()
    }
}

#[derive(Clone)]
pub(super) struct Tonic(Channel);

impl Tonic {
    pub(super) fn start(target: &Target, ends: &Ends) -> JoinSet<()> {
        start(&Tonic(Endpoint::from(uri(target)).connect_lazy()), target, ends)
    }
}

impl Asks for Tonic {
    async fn ask(&self, _: &str) -> bool {
        HealthClient::new(self.0.clone()).check(HealthCheckRequest::default()).await.is_ok()
    }
}

fn uri(target: &Target) -> Uri {
    format!("http://{}", target.authority).parse().expect("a URI")
}
