//! TLS, with certificates made here.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tonic::transport::{Identity, ServerTlsConfig, Uri};
use tonic_health::ServingStatus;
use wharf::Connector;
use wharf_grpc::{Error, GrpcBuilder, GrpcConnector};
use wharf_http::ConnectError;

use crate::server::{Server, Watch, chain, pool_with, until, uri};

struct Certificate(CertifiedKey<rcgen::KeyPair>);

impl Certificate {
    fn of(name: &str) -> Certificate {
        Certificate(generate_simple_self_signed([name.to_owned()]).unwrap())
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(self.0.cert.pem(), self.0.signing_key.serialize_pem())
    }

    /// Options of a client that trusts nobody else.
    fn trusted(&self) -> GrpcBuilder {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        GrpcConnector::builder().tls(Arc::new(config))
    }

    fn server(&self) -> Server {
        let tls = ServerTlsConfig::new().identity(self.identity());
        Server::start_with(|s| s.max_concurrent_streams(3).tls_config(tls).unwrap())
    }
}

fn https(address: SocketAddr) -> Uri {
    format!("https://{address}").parse().unwrap()
}

async fn dial(options: GrpcBuilder, server: &Uri) -> Result<(), Error> {
    let connector = options.build().unwrap();
    connector.connect(server).await.map(drop)
}

fn is_final(error: &Error) -> bool {
    !GrpcConnector::new().is_retryable(error)
}

#[tokio::test]
async fn limits_and_go_away_are_seen_through_tls() {
    let certificate = Certificate::of("127.0.0.1");
    let mut server = certificate.server();
    let pool = pool_with(certificate.trusted(), |b| b.max_per_host(2));
    let key = https(server.address());
    let mut running = Watch::begin(&pool, &key).await;
    assert_eq!(running.lease.max_concurrent_streams(), Some(3));

    drop(server.replace());
    until(|| !running.lease.is_open()).await;
    assert!(pool.try_acquire(&key).is_none());
    server.set(ServingStatus::NotServing).await;
    assert_eq!(running.next().await.unwrap(), ServingStatus::NotServing);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_taken_when_that_name_was_set() {
    let certificate = Certificate::of("orders.example");
    let server = certificate.server();
    let key = https(server.address());

    let error = dial(certificate.trusted(), &key).await.unwrap_err();
    assert!(matches!(error, Error::Connect(ConnectError::Tls(_))), "{}", chain(&error));
    assert!(is_final(&error));
    dial(certificate.trusted().tls_server_name("orders.example"), &key).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_the_dial_once_for_all() {
    let server = Certificate::of("127.0.0.1").server();
    let key = https(server.address());
    for options in [GrpcConnector::builder(), Certificate::of("127.0.0.1").trusted()] {
        let error = dial(options, &key).await.unwrap_err();
        assert!(matches!(error, Error::Connect(ConnectError::Tls(_))), "{}", chain(&error));
        assert!(is_final(&error));
    }
}

#[tokio::test]
async fn a_server_that_does_not_offer_http2_is_refused() {
    let certificate = Certificate::of("127.0.0.1");
    let key = PrivateKeyDer::try_from(certificate.0.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.0.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = https(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = dial(certificate.trusted(), &server).await.unwrap_err();
    assert!(matches!(error, Error::Connect(ConnectError::NoHttp2)), "{}", chain(&error));
    assert!(is_final(&error));
}

#[tokio::test]
async fn plain_text_to_a_server_that_expects_tls_fails_as_a_dial() {
    let server = Certificate::of("127.0.0.1").server();
    let error = dial(GrpcConnector::builder(), &uri(server.address())).await.unwrap_err();
    assert!(matches!(error, Error::Connect(ConnectError::NoSettings)), "{}", chain(&error));
}
