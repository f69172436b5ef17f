//! A server that answers at once: HTTP/1.1 and HTTP/2, plain to those who begin so, and over TLS; or gRPC, plain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};
use tonic::transport::server::TcpIncoming;
use tonic_health::server::health_reporter;

use super::Protocol;

/// Until it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 22;

impl Server {
    pub(super) async fn start(protocol: Protocol) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        if protocol == Protocol::Grpc {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = tonic::transport::Server::builder().add_service(health_reporter().1);
            tasks.spawn(async move { drop(server.serve_with_incoming(incoming).await) });
            return Server { address, _tasks: tasks };
        }
        let acceptor = TlsAcceptor::from(Arc::new(config()));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream, acceptor.clone()));
            }
        });
        Server { address, _tasks: tasks }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) {
    let mut first = [0];
    let Ok(1) = stream.peek(&mut first).await else { return };
    if first[0] != HANDSHAKE {
        return answer(TokioIo::new(stream)).await;
    }
    if let Ok(stream) = acceptor.accept(stream).await {
        answer(TokioIo::new(stream)).await;
    }
}

async fn answer<T: Read + Write + Unpin + Send + 'static>(io: T) {
    let service = service_fn(|_: Request<hyper::body::Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"here"))))
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
}

fn config() -> ServerConfig {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let signed = signed.expect("a certificate");
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a certificate that fits");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
