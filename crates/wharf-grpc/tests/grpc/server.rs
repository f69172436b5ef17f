//! A tonic server in the process, and calls to it.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time;
use tonic::transport::Uri;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Status, Streaming, transport};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, health_reporter};
use wharf::{Builder, Lease, Shared, SharedPool};
use wharf_grpc::{GrpcBuilder, GrpcChannel, GrpcConnector};

pub(crate) type GrpcPool = SharedPool<GrpcConnector>;
pub(crate) type GrpcLease = Lease<GrpcConnector>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn pool(set: impl FnOnce(Builder<Shared>) -> Builder<Shared>) -> GrpcPool {
    pool_with(GrpcConnector::builder(), set)
}

pub(crate) fn pool_with(
    options: GrpcBuilder,
    set: impl FnOnce(Builder<Shared>) -> Builder<Shared>,
) -> GrpcPool {
    set(SharedPool::builder()).build(options.build().unwrap()).unwrap()
}

pub(crate) fn uri(address: SocketAddr) -> Uri {
    format!("http://{address}").parse().unwrap()
}

pub(crate) async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    time::timeout(60 * SECOND, future).await.expect("this should not hang")
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    within_a_minute(async {
        while !condition() {
            time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A server of the health service.
pub(crate) struct Server {
    listener: std::net::TcpListener,
    /// Sets what the service answers; running watches are told.
    pub(crate) reporter: HealthReporter,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::start_with(|server| server)
    }

    pub(crate) fn start_with(set: impl FnOnce(transport::Server) -> transport::Server) -> Server {
        Server::listen(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), set)
    }

    fn listen(
        listener: std::net::TcpListener,
        set: impl FnOnce(transport::Server) -> transport::Server,
    ) -> Server {
        let (reporter, service) = health_reporter();
        let router = set(transport::Server::builder()).add_service(service);
        let stop = Some(serve(&listener, router));
        Server { listener, reporter, stop }
    }

    /// Says GOAWAY on every connection, and leaves the address to a new server.
    pub(crate) fn replace(&mut self) -> Server {
        drop(self.stop.take());
        Server::listen(self.listener.try_clone().unwrap(), |server| server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn uri(&self) -> Uri {
        uri(self.address())
    }

    pub(crate) async fn set(&self, status: ServingStatus) {
        self.reporter.set_service_status("", status).await;
    }
}

/// Serves until the sender is dropped.
pub(crate) fn serve(listener: &std::net::TcpListener, router: Router) -> oneshot::Sender<()> {
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(router.serve_with_incoming_shutdown(incoming, async {
        let _: Result<(), _> = stopped.await;
    }));
    stop
}

/// A short call.
pub(crate) async fn check(lease: &GrpcLease) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(GrpcChannel::clone(lease));
    client.check(HealthCheckRequest::default()).await.map(|answer| status_of(answer.into_inner()))
}

/// A call that runs until it is dropped, on a lease of its own.
pub(crate) struct Watch {
    pub(crate) lease: GrpcLease,
    changes: Streaming<HealthCheckResponse>,
}

impl Watch {
    /// Acquires a lease, begins the call, and waits until it runs.
    pub(crate) async fn begin(pool: &GrpcPool, server: &Uri) -> Watch {
        let lease = within_a_minute(pool.acquire(server)).await.unwrap();
        let mut client = HealthClient::new(lease.clone());
        let call = client.watch(HealthCheckRequest::default());
        let changes = within_a_minute(call).await.unwrap().into_inner();
        let mut watch = Watch { lease, changes };
        assert_eq!(watch.next().await.unwrap(), ServingStatus::Serving);
        watch
    }

    /// The next status that the server tells.
    pub(crate) async fn next(&mut self) -> Result<ServingStatus, Status> {
        let change = within_a_minute(self.changes.message()).await?;
        Ok(status_of(change.expect("a watch does not end by itself")))
    }

    pub(crate) fn connection(&self) -> u64 {
        Lease::info(&self.lease).id
    }
}

pub(crate) fn status_of(answer: HealthCheckResponse) -> ServingStatus {
    match answer.status {
        1 => ServingStatus::Serving,
        2 => ServingStatus::NotServing,
        _ => ServingStatus::Unknown,
    }
}

/// What an error says, with its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
