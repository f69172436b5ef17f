//! No secret that a client was given shows in what it tells: errors with their sources, `Debug`, what an observer is
//! told, and logs at every level. The host does.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

mod databases;
mod grpc;
mod http;
mod tcp;
mod told;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use wharf_http::tls::rustls::pki_types::PrivateKeyDer;
use wharf_http::tls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// What is looked for. No character of it needs escapes in a URL.
const SECRET: &str = "xyzzy-Plugh2";

/// An address that refuses connections, for as long as the socket is held.
fn refusing() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A server that takes connections, and does with each what it is told.
async fn server<F>(serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// TLS with a certificate of the client's own, and the key to it in the forms in which it might show.
fn tls_with_a_key() -> (Arc<ClientConfig>, [String; 2]) {
    let signed = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let key = signed.signing_key.serialize_der();
    // The secret number of a key on P-256 is at byte 36.
    let number = &key[36..52];
    let decimal: Vec<String> = number.iter().map(u8::to_string).collect();
    let hex: Vec<String> = number.iter().map(|byte| format!("{byte:02x}")).collect();
    let forms = [decimal.join(", "), hex.concat()];
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(
            vec![signed.cert.der().clone()],
            PrivateKeyDer::try_from(key).unwrap(),
        )
        .unwrap();
    (Arc::new(config), forms)
}
