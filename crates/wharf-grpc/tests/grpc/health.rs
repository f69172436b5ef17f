//! Pings: what the health service says.

use std::net::TcpListener;
use std::time::Duration;

use tokio::time;
use tonic::service::Routes;
use tonic::{Code, transport};
use tonic_health::ServingStatus;
use wharf::{Connector, HealthCheck, Lease};
use wharf_grpc::{Error, GrpcConnector};

use crate::server::{Server, check, pool, serve, uri};

async fn ping(server: &transport::Uri, service: &str) -> Result<(), Error> {
    let options = GrpcConnector::builder().health_service(service);
    let connector = options.build().unwrap();
    let mut channel = connector.connect(server).await.unwrap();
    connector.ping(&mut channel).await
}

#[tokio::test]
async fn a_server_is_well_when_it_says_that_it_serves() {
    let server = Server::start();
    server.reporter.set_service_status("shop.Orders", ServingStatus::NotServing).await;
    ping(&server.uri(), "").await.unwrap();

    let error = ping(&server.uri(), "shop.Orders").await.unwrap_err();
    assert_eq!(error.to_string(), "the server says that shop.Orders does not serve");
    server.reporter.set_service_status("shop.Orders", ServingStatus::Serving).await;
    ping(&server.uri(), "shop.Orders").await.unwrap();
}

#[tokio::test]
async fn a_service_that_the_server_does_not_know_is_an_error() {
    let server = Server::start();
    let error = ping(&server.uri(), "shop.Oders").await.unwrap_err();
    assert!(matches!(error, Error::Check(status) if status.code() == Code::NotFound));
}

#[tokio::test]
async fn a_server_without_the_health_service_is_well_when_it_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let router = transport::Server::builder().add_routes(Routes::default());
    let _running = serve(&listener, router);
    let server = uri(listener.local_addr().unwrap());
    ping(&server, "").await.unwrap();
}

#[tokio::test]
async fn a_connection_whose_server_does_not_serve_is_closed_and_another_dialed() {
    let server = Server::start();
    let pool = pool(|b| b.health_check(HealthCheck::Always));
    let first = Lease::info(&pool.acquire(&server.uri()).await.unwrap()).id;
    let lease = pool.acquire(&server.uri()).await.unwrap();
    assert_eq!(Lease::info(&lease).id, first);
    drop(lease);

    // The pool's clock is coarse: for so long, what has just come back may not count as idle.
    time::sleep(Duration::from_millis(30)).await;
    server.set(ServingStatus::NotServing).await;
    let lease = pool.acquire(&server.uri()).await.unwrap();
    assert_ne!(Lease::info(&lease).id, first);
    assert_eq!(check(&lease).await.unwrap(), ServingStatus::NotServing);
    let status = pool.status();
    assert_eq!((status.dials, status.failed_pings, status.closed), (2, 1, 1));
}
