//! Servers that speak TLS.

use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::{fmt, io};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wharf::{AcquireError, Backoff, Connector, Pool};
use wharf_postgres::tls::Tls;
use wharf_postgres::tokio_postgres::config::SslMode;
use wharf_postgres::tokio_postgres::tls::{MakeTlsConnect, NoTlsStream, TlsConnect};
use wharf_postgres::tokio_postgres::{Config, Socket};
use wharf_postgres::{Error, PostgresConnector, PostgresTls};

use crate::support::{
    SLEEPING, assert_nothing_leaked, in_full, needs_server, session, until, within_a_minute,
};
use servers::Server;

fn certify(name: &str) -> CertifiedKey<KeyPair> {
    generate_simple_self_signed([name.to_owned()]).unwrap()
}

/// A server with a certificate of its own for this name, which it gives to everybody who asks for TLS.
fn server(name: &str) -> (Server, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = certify(name);
    let files = [("server.crt", &*cert.pem()), ("server.key", &*signing_key.serialize_pem())];
    (Server::start_with(&["ssl=on"], &files), cert.der().clone())
}

/// TLS by rustls, with this authority.
fn trust(authority: CertificateDer<'static>) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
        .into()
}

/// Sessions that are encrypted or not there.
fn config(server: &Server) -> Config {
    let mut config: Config = server.url().parse().unwrap();
    config.ssl_mode(SslMode::Require).application_name("a pool");
    config
}

type TlsPool = Pool<PostgresConnector<PostgresTls>>;

fn pool(connector: PostgresConnector<PostgresTls>) -> TlsPool {
    Pool::builder().max_per_host(1).retry(Backoff::default()).build(connector).unwrap()
}

#[tokio::test]
async fn sessions_are_encrypted_and_cancelled_by_the_same_means() {
    needs_server!();
    let (server, certificate) = server("127.0.0.1");
    let looker = session(server.url().parse().unwrap()).await;
    let pool =
        pool(PostgresConnector::builder(config(&server)).tls(trust(certificate)).build().unwrap());
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
    // The same connection: the server has said that it has cancelled the query.
    drop(within_a_minute(pool.acquire(&())).await.unwrap());
    assert_eq!(pool.status().dials, 1);
    until(&looker, SLEEPING, 0).await;
    assert_nothing_leaked(&pool, &looker).await;
}

/// What a caller is told at once of a server with this certificate, although the pool would dial again.
async fn refusal(server: &Server, tls: Tls) -> String {
    let pool = pool(PostgresConnector::builder(config(server)).tls(tls).build().unwrap());
    let error = within_a_minute(pool.acquire(&())).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error:?}");
    assert_eq!(pool.status().dials, 1);
    in_full(&error)
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told_at_once() {
    needs_server!();
    let (server, _) = server("127.0.0.1");
    let error = refusal(&server, trust(certify("127.0.0.1").cert.der().clone())).await;
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told_at_once() {
    needs_server!();
    let (server, certificate) = server("db.example");
    let error = refusal(&server, trust(certificate)).await;
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn where_the_server_has_no_tls_a_query_that_was_cut_off_costs_the_connection() {
    needs_server!();
    let server = Server::start(&[]);
    let looker = session(server.url().parse().unwrap()).await;
    let mut config = config(&server);
    config.ssl_mode(SslMode::Prefer);
    let tls = trust(certify("127.0.0.1").cert.der().clone());
    let pool = pool(PostgresConnector::builder(config).tls(tls).build().unwrap());
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
    // Nobody knows when the server gets round to the cancellation.
    drop(within_a_minute(pool.acquire(&())).await.unwrap());
    assert_eq!(pool.status().dials, 2);
    until(&looker, SLEEPING, 0).await;
    assert_nothing_leaked(&pool, &looker).await;
}

#[tokio::test]
async fn a_connector_without_tls_says_so_before_it_dials_where_tls_is_required() {
    let dialed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = dialed.local_addr().unwrap().port();
    let config: Config =
        format!("host=127.0.0.1 port={port} user=app sslmode=require").parse().unwrap();
    let by_key = config.clone();
    let by_key =
        PostgresConnector::builder_by_key(move |(): ()| ready(Ok::<_, Failure>(by_key.clone())));
    for builder in [PostgresConnector::builder(config), by_key] {
        let pool = Pool::builder().retry(Backoff::default()).build(builder.build().unwrap());
        let error = within_a_minute(pool.unwrap().acquire(&())).await.unwrap_err();
        assert!(matches!(&error, AcquireError::Connect(cause) if matches!(**cause, Error::NoTls)));
        assert!(error.to_string().contains("feature `tls` of wharf-postgres"), "{error}");
    }
    dialed.set_nonblocking(true).unwrap();
    assert_eq!(dialed.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
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
    type Stream = NoTlsStream;
    type TlsConnect = Self;
    type Error = Failure;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Failure> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Failing {
    type Stream = NoTlsStream;
    type Error = Failure;
    type Future = Ready<Result<NoTlsStream, Failure>>;

    fn connect(self, _: Socket) -> Self::Future {
        ready(Err(Failure(self.0.into())))
    }
}

#[tokio::test]
async fn a_handshake_that_the_network_broke_is_tried_again() {
    needs_server!();
    let (server, _) = server("127.0.0.1");
    for (kind, is_retryable) in
        [(io::ErrorKind::ConnectionReset, true), (io::ErrorKind::InvalidData, false)]
    {
        let connector = PostgresConnector::builder(config(&server)).tls_by(Failing(kind));
        let connector = connector.build().unwrap();
        let error = connector.connect(&()).await.unwrap_err();
        assert!(in_full(&error).contains("the handshake failed"), "{}", in_full(&error));
        assert_eq!(connector.is_retryable(&error), is_retryable, "{kind}");
    }
}
