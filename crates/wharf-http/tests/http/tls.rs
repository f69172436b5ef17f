//! TLS, and what ALPN chooses.

use std::sync::Arc;

use hyper::Version;
use tokio::task::JoinSet;
use wharf::AcquireError;
use wharf_http::tls::rustls::ClientConfig;
use wharf_http::{Client, ConnectError, Error, Protocol};

use crate::support::*;

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

async fn server(alpn: &[&[u8]]) -> (Server, Arc<ClientConfig>) {
    let (server, client) = certificate(alpn);
    (Server::start(Kind { tls: Some(server), ..HTTP1 }).await, client)
}

fn trusting(config: Arc<ClientConfig>, protocol: Protocol) -> Client {
    client(8, |builder| builder.tls(config).protocol(protocol))
}

fn dial_error(error: &Error) -> &ConnectError {
    match error {
        Error::Acquire { source: AcquireError::Connect(error), .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_server_chooses_the_version() {
    for (alpn, protocol, version) in [
        (BOTH, Protocol::Negotiated, Version::HTTP_2),
        (BOTH, Protocol::Http1, Version::HTTP_11),
        (BOTH, Protocol::Http2, Version::HTTP_2),
        (&[b"http/1.1"], Protocol::Negotiated, Version::HTTP_11),
        (&[], Protocol::Negotiated, Version::HTTP_11),
    ] {
        let (server, config) = server(alpn).await;
        let client = trusting(config, protocol);
        for _ in 0..3 {
            let fetched = fetch(&client, &server.url("/bytes/20000")).await.unwrap();
            assert_eq!((fetched.version, fetched.body.len()), (version, 20_000));
        }
        assert_eq!((server.connections(), settled(&client).await.idle), (1, 1));
    }
}

#[tokio::test]
async fn a_server_without_http_2_is_refused_where_it_must_have_it() {
    for alpn in [&[&b"http/1.1"[..]][..], &[]] {
        let (server, config) = server(alpn).await;
        let error = fetch(&trusting(config, Protocol::Http2), &server.url("/")).await.unwrap_err();
        let cause = dial_error(&error);
        // Some servers end the handshake, others choose nothing.
        assert!(matches!(cause, ConnectError::NoHttp2 | ConnectError::Tls(_)), "{cause:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_host_of_unknown_version_gets_what_it_needs() {
    for (alpn, connections) in [(BOTH, 1), (&[&b"http/1.1"[..]][..], 8)] {
        let (server, config) = server(alpn).await;
        let client = trusting(config, Protocol::Negotiated);
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let (client, url) = (client.clone(), server.url("/wait"));
            tasks.spawn(async move { fetch(&client, &url).await.unwrap() });
        }
        let at_once = if connections == 1 { 64 } else { 8 };
        until(|| server.waiting() == at_once).await;
        server.log.gate.add_permits(64);
        assert_eq!(within_a_minute(tasks.join_all()).await.len(), 64);
        assert_eq!((server.connections(), server.requests()), (connections, 64));
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let (server, _) = server(BOTH).await;
    let error = fetch(&plain(1), &server.url("/")).await.unwrap_err();
    assert!(matches!(dial_error(&error), ConnectError::Tls(_)));
    let text = chain(&error);
    assert!(text.contains(&server.address.to_string()), "{text}");
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (server, config) = server(BOTH).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let error = fetch(&trusting(config, Protocol::Negotiated), &url).await.unwrap_err();
    assert!(chain(&error).contains("not valid for name"), "{}", chain(&error));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let server = Server::start(HTTP1).await;
    let url = server.url("/").replace("http:", "https:");
    let error = fetch(&plain(1), &url).await.unwrap_err();
    assert!(matches!(dial_error(&error), ConnectError::Tls(_)));
}
