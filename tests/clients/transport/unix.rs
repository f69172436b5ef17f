//! Unix sockets, with real servers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixListener;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wharf::{Connector, Pool, SharedPool};
use wharf_grpc::{GrpcChannel, GrpcConnector};
use wharf_http::{Client, Origin, Protocol};
use wharf_websocket::{Message, WebSocketConnector};

use crate::support::*;

/// A path for a socket, which is removed in the end.
struct Socket(PathBuf);

impl Socket {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wharf-{}-{}.sock", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Socket(env::temp_dir().join(name))
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(&self.0).unwrap()
    }

    /// A URI of this form, with the path of the socket in it.
    fn uri(&self, scheme: &str, asked: &str) -> String {
        format!("{scheme}://unix:{}{asked}", self.0.display())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Answers with the host and the path that were asked for.
async fn echo(request: Request<hyper::body::Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
    let host = host.or(request.uri().authority().map(ToString::to_string)).unwrap();
    let asked = request.uri().path_and_query().unwrap();
    Ok(Response::new(Full::new(format!("{host} {asked}").into())))
}

fn serve(listener: UnixListener, protocol: Protocol) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (stream, service) = (TokioIo::new(stream), service_fn(echo));
            // What a connection failed of, its client tells.
            tokio::spawn(async move {
                if protocol == Protocol::Http2 {
                    let builder = http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(stream, service).await;
                } else {
                    let _ = http1::Builder::new().serve_connection(stream, service).await;
                }
            });
        }
    });
}

#[tokio::test]
async fn http_is_spoken_on_a_unix_socket_in_both_versions() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let socket = Socket::new();
        serve(socket.listen(), protocol);
        let client = Client::builder().protocol(protocol).build().unwrap();
        for (asked, wanted) in [
            (":/v1/info?all=1", "localhost /v1/info?all=1"),
            (":/a:b", "localhost /a:b"),
            ("", "localhost /"),
        ] {
            let request = Request::get(socket.uri("http", asked)).body(String::new()).unwrap();
            let response = within_a_minute(client.request(request)).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, wanted);
        }
        let origin: Origin = format!("unix:{}", socket.0.display()).parse().unwrap();
        let lease = client.pool().acquire(&origin).await.unwrap();
        assert_eq!((client.pool().status().dials, lease.peer_addr()), (1, None));
    }
}

#[tokio::test]
async fn a_host_header_names_the_host_also_on_a_unix_socket() {
    let socket = Socket::new();
    serve(socket.listen(), Protocol::Http1);
    let request = Request::get(socket.uri("http", ":/")).header("host", "docker");
    let response = Client::new().request(request.body(String::new()).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "docker /");
}

#[tokio::test]
async fn calls_are_made_on_a_unix_socket() {
    let socket = Socket::new();
    let incoming = stream::unfold(socket.listen(), |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let (_reporter, service) = tonic_health::server::health_reporter();
    let router = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(router.serve_with_incoming(incoming));

    let pool = SharedPool::new(GrpcConnector::new());
    let key = socket.uri("http", "").parse().unwrap();
    let lease = within_a_minute(pool.acquire(&key)).await.unwrap();
    let mut health = HealthClient::new(GrpcChannel::clone(&lease));
    let answer = within_a_minute(health.check(HealthCheckRequest::default())).await.unwrap();

    assert_eq!(answer.into_inner().status, 1);
    assert_eq!(lease.peer_addr(), None);
}

#[tokio::test]
async fn a_server_on_a_unix_socket_is_heard_when_it_answers() {
    let socket = Socket::new();
    serve(socket.listen(), Protocol::Http2);
    let connector = GrpcConnector::new();
    let key = socket.uri("http", "").parse().unwrap();
    let mut channel = within_a_minute(connector.connect(&key)).await.unwrap();
    let before = connector.last_heard(&channel).unwrap();
    // It answers, although not as a health service.
    within_a_minute(connector.ping(&mut channel)).await.unwrap_err();
    assert!(connector.last_heard(&channel).unwrap() > before);
}

#[tokio::test]
async fn messages_are_sent_on_a_unix_socket() {
    let socket = Socket::new();
    let listener = socket.listen();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
        let question = peer.next().await.unwrap().unwrap();
        peer.send(question).await.unwrap();
        peer.next().await
    });
    let pool = Pool::new(WebSocketConnector::new());
    let mut loan = within_a_minute(pool.acquire(&*socket.uri("ws", ":/room"))).await.unwrap();
    let question = Message::text("hello");
    assert_eq!(within_a_minute(loan.request(question.clone())).await.unwrap(), question);
    assert_eq!(loan.peer_addr(), None);
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named_and_dialed_again() {
    let socket = Socket::new();
    let client = Client::new();
    let ask =
        || client.request(Request::get(socket.uri("http", ":/")).body(String::new()).unwrap());
    let error = chain(&ask().await.map(drop).unwrap_err());
    let path = socket.0.display();
    assert!(error.contains(&format!("\"unix:{path}\" could not be reached")), "{error}");
    assert!(error.contains(&format!("no connection to http://unix:{path}")), "{error}");
    serve(socket.listen(), Protocol::Http1);
    assert!(within_a_minute(ask()).await.is_ok());
}
