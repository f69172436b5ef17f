//! An address that takes connections, and behind which nobody answers: a program that hangs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wharf::SharedPool;
use wharf_grpc::GrpcConnector;
use wharf_http::{Client, Protocol};

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

/// A server of HTTP that answers with nothing.
async fn answering(is_http2: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(String::new())) });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server = if is_http2 { server.http2_only() } else { server.http1_only() };
            tokio::spawn(async move {
                let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_request_that_was_given_up_is_not_the_first_of_many() {
    let (_listener, hung) = server().await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let address = answering(protocol == Protocol::Http2).await;
        let client = Client::builder().protocol(protocol).timeout(Duration::from_secs(2));
        let transport = Names::of("shop", &[hung, address]).transport();
        let client = client.transport(transport).build().unwrap();
        let mut failed = 0;
        for _ in 0..10 {
            let request = Request::get("http://shop/").body(String::new()).unwrap();
            failed += usize::from(within_a_minute(client.request(request)).await.is_err());
        }
        assert!(failed <= 1, "{failed} of 10 with {protocol:?}");
    }
}
