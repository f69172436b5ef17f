//! The servers, each on threads of its own for as long as the program runs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::health_reporter;

use crate::cores;

/// What is asked for, by the bytes of the answer.
pub(super) const SMALL: usize = 64;
pub(super) const LARGE: usize = 16 * 1024;

static ANSWER: [u8; LARGE] = [b'w'; LARGE];

/// Speaks HTTP/1.1 and HTTP/2, to each peer what it begins with, on one thread with a core of its own where there are two.
/// It listens on this many ports, which are hosts of their own for its clients.
pub(super) fn http(hosts: usize) -> Vec<SocketAddr> {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(1).on_thread_start(|| cores::pin(1));
    start(runtime, hosts, |listener| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let serve = async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            };
            tokio::spawn(serve);
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let length = if request.uri().path() == "/large" { LARGE } else { SMALL };
    Ok(Response::new(Full::new(Bytes::from_static(&ANSWER[..length]))))
}

/// Serves the standard health service, on two threads.
pub(super) fn grpc() -> SocketAddr {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(2);
    let addresses = start(runtime, 1, |listener| async move {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(health_reporter().1);
        server.serve_with_incoming(incoming).await.expect("a server");
    });
    addresses[0]
}

fn start<F: Future<Output = ()> + Send + 'static>(
    mut runtime: Builder,
    ports: usize,
    serve: impl Fn(TcpListener) -> F + Send + 'static,
) -> Vec<SocketAddr> {
    let (tell, told) = mpsc::channel();
    let run = move || {
        runtime.enable_all().build().expect("a runtime").block_on(async move {
            let mut serving = JoinSet::new();
            for _ in 0..ports {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
                serving.spawn(serve(listener));
            }
            drop(tell);
            serving.join_all().await;
        });
    };
    thread::Builder::new().name("server".to_owned()).spawn(run).expect("a thread");
    told.into_iter().collect()
}
