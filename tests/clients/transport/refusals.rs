//! Certificates that every client refuses, and one that they take, in real handshakes.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls};
use wharf::{AcquireError, Connector};
use wharf_grpc::GrpcConnector;
use wharf_http::{Client, ConnectError, Origin};
use wharf_websocket::WebSocketConnector;

use crate::support::*;

/// A certificate for `orders` that has this name in it, signed by itself.
pub(crate) fn certificate(
    name: &str,
    set: impl FnOnce(&mut CertificateParams),
) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    set(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap(), key)
}

pub(crate) fn trusting(certificate: &rcgen::Certificate) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Speaks TLS with this certificate, and offers both versions of HTTP.
pub(crate) fn acceptor(certificate: &rcgen::Certificate, key: &KeyPair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A server with this certificate, which says how each handshake ended by ending it.
async fn serve(certificate: &rcgen::Certificate, key: &KeyPair) -> Names {
    let acceptor = acceptor(certificate, key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let names = Names::of("orders", &[listener.local_addr().unwrap()]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Ended at once where it was accepted: the protocols are tested elsewhere.
            let _ = acceptor.accept(stream).await;
        }
    });
    names
}

/// What each client's handshake failed of: `None` where the certificate was taken.
async fn verdicts(names: &Names, trust: &Arc<ClientConfig>) -> [Option<CertificateError>; 3] {
    let tcp = || names.transport();
    let http = Client::builder().transport(tcp()).tls(trust.clone()).build().unwrap();
    let origin: Origin = "https://orders:80".parse().unwrap();
    let http = http.pool().acquire(&origin).await.err().and_then(|error| match error {
        AcquireError::Connect(error) => match &*error {
            ConnectError::Tls(error) => Some(verdict(error)),
            _ => None,
        },
        _ => None,
    });
    let grpc = GrpcConnector::builder().transport(tcp()).tls(trust.clone());
    let grpc = grpc.build().unwrap();
    let grpc = match grpc.connect(&"https://orders:80".parse().unwrap()).await {
        Err(wharf_grpc::Error::Connect(ConnectError::Tls(error))) => Some(verdict(&error)),
        _ => None,
    };
    let websocket = WebSocketConnector::builder().transport(tcp()).tls(trust.clone());
    let websocket = websocket.build().unwrap();
    let websocket = match websocket.connect(&"wss://orders:80".to_owned()).await {
        Err(wharf_websocket::Error::Tls(error)) => Some(verdict(&error)),
        _ => None,
    };
    [http, grpc, websocket]
}

fn verdict(error: &std::io::Error) -> CertificateError {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(reason)) => reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_for_the_name_by_a_trusted_issuer_is_taken_by_every_client() {
    let (good, key) = certificate("orders", |_| {});
    let names = serve(&good, &key).await;
    assert_eq!(within_a_minute(verdicts(&names, &trusting(&good))).await, [None, None, None]);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_by_every_client() {
    let (other, key) = certificate("invoices", |_| {});
    let names = serve(&other, &key).await;
    for verdict in within_a_minute(verdicts(&names, &trusting(&other))).await {
        let is_name = matches!(verdict, Some(CertificateError::NotValidForNameContext { .. }));
        assert!(is_name, "{verdict:?}");
    }
}

#[tokio::test]
async fn a_certificate_by_an_unknown_issuer_is_refused_by_every_client() {
    let (unknown, key) = certificate("orders", |_| {});
    let (known, _) = certificate("orders", |params| {
        params.distinguished_name.push(DnType::CommonName, "the one that is trusted");
    });
    let names = serve(&unknown, &key).await;
    for verdict in within_a_minute(verdicts(&names, &trusting(&known))).await {
        assert_eq!(verdict, Some(CertificateError::UnknownIssuer));
    }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused_by_every_client() {
    let (old, key) = certificate("orders", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let names = serve(&old, &key).await;
    for verdict in within_a_minute(verdicts(&names, &trusting(&old))).await {
        let is_expired = matches!(verdict, Some(CertificateError::ExpiredContext { .. }));
        assert!(is_expired, "{verdict:?}");
    }
}
