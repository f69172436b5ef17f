//! Servers that speak TLS.

use std::error::Error as StdError;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as RustlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wharf::postgres::PostgresConnector;
use wharf::postgres::tokio_postgres::config::SslMode;
use wharf::postgres::tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use wharf::postgres::tokio_postgres::{Config, Socket};
use wharf::{AcquireError, Backoff, Connector, Pool};

use crate::server::Server;
use crate::support::{
    SLEEPING, assert_nothing_leaked, in_full, needs_server, session, until, within_a_minute,
};

fn certify() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

/// A server with a certificate of its own, which it gives to whoever asks for TLS.
fn server() -> (Server, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = certify();
    let files = [("server.crt", &*cert.pem()), ("server.key", &*signing_key.serialize_pem())];
    (Server::start_with(&["ssl=on"], &files), cert.der().clone())
}

/// TLS by rustls, with these authorities.
#[derive(Clone)]
struct Tls(Arc<ClientConfig>);

fn trust(authorities: impl IntoIterator<Item = CertificateDer<'static>>) -> Tls {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Tls(Arc::new(config))
}

type Connecting<S, E> = Pin<Box<dyn Future<Output = Result<S, E>> + Send>>;

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = To;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<To, io::Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(To(self.0.clone().into(), name))
    }
}

struct To(TlsConnector, ServerName<'static>);

impl TlsConnect<Socket> for To {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Connecting<Encrypted, io::Error>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { self.0.connect(self.1, socket).await.map(Encrypted) })
    }
}

struct Encrypted(RustlsStream<Socket>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Sessions that are encrypted or not there.
fn config(server: &Server) -> Config {
    let mut config: Config = server.url().parse().unwrap();
    config.ssl_mode(SslMode::Require).application_name("a pool");
    config
}

fn pool(connector: PostgresConnector<Tls>) -> Pool<PostgresConnector<Tls>> {
    Pool::builder().max_per_host(1).retry(Backoff::default()).build(connector).unwrap()
}

#[tokio::test]
async fn sessions_are_encrypted_and_cancelled_by_the_same_means() {
    needs_server!();
    let (server, certificate) = server();
    let looker = session(server.url().parse().unwrap()).await;
    let pool = pool(PostgresConnector::new(config(&server)).tls(trust([certificate])));
    let is_encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(!looker.query_one(is_encrypted, &[]).await.unwrap().get::<_, bool>(0));
    for _ in 0..2 {
        let loan = within_a_minute(pool.acquire(&())).await.unwrap();
        assert!(loan.query_one_cached(is_encrypted, &[]).await.unwrap().get::<_, bool>(0));
    }
    assert_eq!(pool.status().dials, 1);

    let loan = within_a_minute(pool.acquire(&())).await.unwrap();
    {
        let mut query = pin!(loan.query("SELECT pg_sleep(600)", &[]));
        within_a_minute(async {
            tokio::select! {
                _ = &mut query => panic!("it should sleep"),
                () = until(&looker, SLEEPING, 1) => {}
            }
        })
        .await;
    }
    drop(loan);
    until(&looker, SLEEPING, 0).await;
    assert_nothing_leaked(&pool, &looker).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told_at_once() {
    needs_server!();
    let (server, _) = server();
    let other = certify().cert.der().clone();
    let pool = pool(PostgresConnector::new(config(&server)).tls(trust([other])));
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error:?}");
    assert!(in_full(&error).contains("certificate"), "{}", in_full(&error));
    assert_eq!(pool.status().dials, 1);
}

/// A library whose handshakes fail, and which has errors of its own, as native-tls does.
#[derive(Clone)]
struct Failing(io::ErrorKind);

#[derive(Debug)]
struct Failure(io::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handshake failed")
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl MakeTlsConnect<Socket> for Failing {
    type Stream = Encrypted;
    type TlsConnect = Self;
    type Error = Failure;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Failure> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Failing {
    type Stream = Encrypted;
    type Error = Failure;
    type Future = Connecting<Encrypted, Failure>;

    fn connect(self, _: Socket) -> Self::Future {
        Box::pin(async move { Err(Failure(self.0.into())) })
    }
}

#[tokio::test]
async fn a_handshake_that_the_network_broke_is_tried_again() {
    needs_server!();
    let (server, _) = server();
    for (kind, is_retryable) in
        [(io::ErrorKind::ConnectionReset, true), (io::ErrorKind::InvalidData, false)]
    {
        let connector = PostgresConnector::new(config(&server)).tls(Failing(kind));
        let error = connector.connect(&()).await.unwrap_err();
        assert!(in_full(&error).contains("the handshake failed"), "{}", in_full(&error));
        assert_eq!(connector.is_retryable(&error), is_retryable, "{kind}");
    }
}
