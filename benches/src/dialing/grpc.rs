//! A unary call over gRPC. All tasks may share one connection of the pool: HTTP/2 carries many
//! calls.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use wharf::SharedPool;
use wharf_grpc::GrpcConnector;

use super::{Protocol, Serving, TASKS};

pub(crate) struct Grpc {
    uri: Uri,
    pool: SharedPool<GrpcConnector>,
}

impl Protocol for Grpc {
    const NAME: &'static str = "gRPC";

    async fn serve() -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
        let address = listener.local_addr().ok()?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(health_reporter().1);
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve_with_incoming(incoming));
        Some((address, Box::new(tasks)))
    }

    fn at(address: SocketAddr) -> Self {
        let uri = format!("http://{address}").parse().expect("a URI");
        let pool = SharedPool::builder().max_per_host(TASKS).build(GrpcConnector::new());
        Grpc { uri, pool: pool.expect("valid settings") }
    }

    async fn dial_and_ask(&self) {
        let endpoint = Endpoint::from(self.uri.clone());
        let channel = endpoint.connect().await.expect("a connection");
        let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
        answer.expect("an answer");
    }

    async fn ask_through_pool(&self) {
        let lease = self.pool.acquire(&self.uri).await.expect("a connection");
        let mut client = HealthClient::new(lease.clone());
        client.check(HealthCheckRequest::default()).await.expect("an answer");
    }

    fn dials(&self) -> u64 {
        self.pool.status().dials
    }
}
