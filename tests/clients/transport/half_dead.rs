//! An address that takes connections, and behind which nobody answers: a program that hangs.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Uri;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wharf::SharedPool;
use wharf_grpc::GrpcConnector;

use crate::support::*;

/// A server that greets with HTTP/2's empty settings.
async fn greeting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            held.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn an_address_whose_server_does_not_greet_is_tried_last() {
    // The system takes its connections.
    let (_listener, hung) = server().await;
    let address = greeting().await;
    let options =
        GrpcConnector::builder().transport(Names::of("orders", &[hung, address]).transport());
    let connector = options.build().unwrap();
    let builder = SharedPool::builder().connect_timeout(Duration::from_millis(500));
    let pool = builder.build(connector).unwrap();
    let uri = Uri::from_static("http://orders");

    pool.acquire(&uri).await.unwrap_err();
    let lease = pool.acquire(&uri).await.unwrap();

    assert_eq!(lease.peer_addr(), Some(address));
}
