//! Dials that fail, and why.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tonic::transport::Uri;
use wharf::{AcquireError, Connector};
use wharf_grpc::{Error, GrpcConnector};
use wharf_http::ConnectError;

use crate::server::{Server, chain, check, pool, pool_with, uri};

async fn dial(uri: &Uri) -> Error {
    GrpcConnector::new().connect(uri).await.unwrap_err()
}

#[tokio::test]
async fn nobody_listening_is_the_systems_own_error() {
    // A port that refuses, and that nobody else is given meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = dial(&uri(socket.local_addr().unwrap())).await;
    assert!(matches!(error, Error::Connect(_)));
    assert!(chain(&error).contains("refused"), "{}", chain(&error));
    assert!(GrpcConnector::new().is_retryable(&error));
}

#[tokio::test]
async fn a_uri_that_cannot_be_dialed_is_refused_once_for_all() {
    let pool = pool(|b| b.retry(wharf::Backoff::default()));
    let uri = Uri::from_static("orders.example:443");
    let error = pool.acquire(&uri).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no connection to orders.example:443: the URI orders.example:443 must begin with http:// or https://"
    );
    assert_eq!(pool.status().dials, 1);
}

#[tokio::test]
async fn a_server_that_does_not_speak_http2_is_found_by_the_dial() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = uri(listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        let Error::Connect(error) = dial(&server).await else { panic!("it was not connected") };
        // One that answers in another protocol does so the next time, too.
        let is_told = if answer.is_empty() {
            matches!(error, ConnectError::NoSettings)
        } else {
            matches!(error, ConnectError::NoHttp2)
        };
        assert!(is_told, "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_costs_the_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = uri(listener.local_addr().unwrap());
    let pool = pool(|b| b.connect_timeout(Duration::from_millis(50)));
    let error = pool.acquire(&server).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout { .. }), "{error}");
}

#[tokio::test]
async fn calls_name_the_program_that_makes_them() {
    let (heard, agents) = mpsc::channel();
    let heard = Mutex::new(heard);
    let server = Server::start_with(|server| {
        server.trace_fn(move |request| {
            let agent = request.headers()["user-agent"].to_str().unwrap().to_owned();
            heard.lock().unwrap().send(agent).unwrap();
            tracing::Span::none()
        })
    });
    let options = GrpcConnector::builder().user_agent("orders/2.1");
    let pool = pool_with(options, |b| b);
    check(&pool.acquire(&server.uri()).await.unwrap()).await.unwrap();
    let agent = agents.try_recv().unwrap();
    assert!(agent.starts_with("orders/2.1 grpc-rust-wharf/"), "{agent}");
}

#[test]
fn options_that_cannot_be_meant_are_refused_by_name() {
    let ten = Duration::from_secs(10);
    for (options, message) in [
        (GrpcConnector::builder().max_leases(0), "max_leases is 0: it must be at least 1"),
        (
            GrpcConnector::builder().keep_alive_interval(Duration::ZERO),
            "keep_alive_interval is 0s: it must be longer than zero",
        ),
        (
            GrpcConnector::builder().keep_alive_interval(ten).keep_alive_timeout(Duration::ZERO),
            "keep_alive_timeout is 0s: it must be longer than zero",
        ),
        (
            GrpcConnector::builder().keep_alive_interval(Duration::MAX),
            "keep_alive_interval is 18446744073709551615.999999999s: it must be at most 31536000s",
        ),
        (
            GrpcConnector::builder().keep_alive_timeout(Duration::MAX),
            "keep_alive_timeout is 18446744073709551615.999999999s: it must be at most 31536000s",
        ),
        (
            GrpcConnector::builder().user_agent("a\nb"),
            "user_agent is \"a\\nb\": it must be visible ASCII, without space at its ends",
        ),
        (
            GrpcConnector::builder().tls_server_name("not a name"),
            "tls_server_name is \"not a name\": it must be a DNS name or an IP address",
        ),
    ] {
        assert_eq!(options.build().unwrap_err().to_string(), message);
    }
    GrpcConnector::builder().keep_alive_interval(ten).user_agent("a/1").build().unwrap();
}
