//! gRPC: credentials in the URI, in metadata, and the client's key.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tonic::transport::Uri;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use wharf::{Pool, SharedPool};
use wharf_grpc::GrpcConnector;

use crate::told::Told;
use crate::{SECRET, refusing, server, tls_with_a_key};

#[tokio::test]
async fn uris_that_are_refused_or_cannot_be_reached() {
    let (_held, refused) = refusing();
    for uri in [
        format!("https://app:{SECRET}@{refused}"),
        format!("http://app:{SECRET}@{refused}/"),
        format!("ftp://app:{SECRET}@{refused}"),
        format!("http://{refused}/?token={SECRET}"),
    ] {
        let mut told = Told::listen();
        let pool = told.talkative(Pool::builder()).build(GrpcConnector::new()).unwrap();
        told.acquire(&pool, &uri.parse::<Uri>().unwrap()).await;
        told.holds_no_secret(&refused.to_string(), &[]);
    }
}

#[tokio::test]
async fn the_key_of_the_clients_certificate() {
    let (config, key) = tls_with_a_key();
    let talks_no_tls = server(|mut stream| async move { stream.write_all(b"what?").await }).await;
    let mut told = Told::listen();
    let options = GrpcConnector::builder().tls(config);
    told.debug(&options);
    let connector = options.build().unwrap();
    told.debug(&connector);
    let pool = told.talkative(Pool::builder()).build(connector).unwrap();
    told.acquire(&pool, &format!("https://{talks_no_tls}").parse().unwrap()).await;
    told.holds_no_secret(&talks_no_tls.to_string(), &key);
}

#[tokio::test]
async fn metadata_of_a_call_that_fails() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_service(health_reporter().1);
    let server = tokio::spawn(server.serve_with_incoming(incoming));
    let mut told = Told::listen();
    let pool = told.talkative(SharedPool::builder()).build(GrpcConnector::new()).unwrap();
    let uri: Uri = format!("http://{address}").parse().unwrap();
    let lease = pool.acquire(&uri).await.unwrap();
    told.debug(&lease);
    told.debug(&*lease);
    let mut client = HealthClient::new(lease.clone());
    let mut request = tonic::Request::new(HealthCheckRequest { service: "unknown".to_owned() });
    let token = format!("Bearer {SECRET}").parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    request.set_timeout(Duration::from_secs(60));
    told.error(&client.check(request).await.unwrap_err());
    told.debug(&pool.host(&uri));
    drop((lease, client));
    told.debug(&pool.close().await);
    server.abort();
    told.holds_no_secret(&address.to_string(), &[]);
}
