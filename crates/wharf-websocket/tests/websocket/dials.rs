//! The steps of a dial, and what each says when it fails.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{accept_async, accept_hdr_async};
use wharf::{AcquireError, Connector, Pool};
use wharf_websocket::http::header::{
    AUTHORIZATION, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL,
};
use wharf_websocket::http::{HeaderMap, StatusCode};
use wharf_websocket::{
    Error, Message, WebSocketBuilder, WebSocketConfig, WebSocketConnector, WebSocketHeartbeat,
    tls::rustls,
};

use crate::server::{Server, WebSocketPool, soon};

fn pool(options: WebSocketBuilder) -> WebSocketPool {
    Pool::new(options.build().unwrap())
}

fn dial_error(error: &AcquireError<Error>) -> &Error {
    error.source().expect("a source").downcast_ref().expect("the connector's error")
}

fn is_retryable(error: &Error) -> bool {
    WebSocketConnector::new().is_retryable(error)
}

// The upgrade.

/// Accepts one upgrade, with this subprotocol, and gives the request's path and headers.
#[allow(clippy::result_large_err)] // It is tungstenite's own.
async fn accept_as(server: &Server, subprotocol: Option<&'static str>) -> (String, HeaderMap) {
    let mut seen = None;
    let look = |request: &Request, mut response: Response| {
        seen = Some((request.uri().to_string(), request.headers().clone()));
        if let Some(name) = subprotocol {
            let value = HeaderValue::from_static(name);
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        Ok::<_, ErrorResponse>(response)
    };
    let _ = accept_hdr_async(server.accept_tcp().await, look).await;
    seen.unwrap()
}

#[tokio::test]
async fn the_path_the_headers_and_the_subprotocols_are_sent_and_one_is_chosen() {
    let server = Server::start().await;
    let options = WebSocketConnector::builder()
        .subprotocols(["v2.chat", "v1.chat"])
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer of news"))
        .header(HeaderName::from_static("x-one"), HeaderValue::from_static("1"))
        .header(HeaderName::from_static("x-one"), HeaderValue::from_static("2"));
    assert!(!format!("{options:?}").contains("news"), "the value of a header is shown");
    let pool = pool(options);
    let url = format!("ws://{}/room?a=b", server.address());

    let accepting = accept_as(&server, Some("v1.chat"));
    let (loan, (path, headers)) = soon(async { tokio::join!(pool.acquire(&url), accepting) }).await;

    assert_eq!(path, "/room?a=b");
    assert_eq!(headers[AUTHORIZATION], "Bearer of news");
    assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "v2.chat, v1.chat");
    let ones: Vec<_> = headers.get_all("x-one").iter().collect();
    assert_eq!(ones, ["1", "2"]);
    let loan = loan.unwrap();
    assert_eq!(loan.subprotocol(), Some("v1.chat"));
    assert_eq!(loan.response().status(), StatusCode::SWITCHING_PROTOCOLS);
}

#[tokio::test]
async fn a_subprotocol_that_was_not_offered_fails_the_dial() {
    let server = Server::start().await;
    for (offered, chosen) in
        [(&["v2.chat"][..], None), (&["v2.chat"], Some("v1.chat")), (&[], Some("v1.chat"))]
    {
        let pool = pool(WebSocketConnector::builder().subprotocols(offered.iter().copied()));
        let url = server.url();
        let accepting = accept_as(&server, chosen);
        let (outcome, _) = soon(async { tokio::join!(pool.acquire(&url), accepting) }).await;
        let error = outcome.unwrap_err();
        let error = dial_error(&error);
        assert!(matches!(error, Error::Handshake(_)), "{error}");
        assert!(error.to_string().starts_with("the upgrade to a WebSocket failed: "), "{error}");
        assert_eq!(error.status(), None);
    }
}

#[tokio::test]
async fn a_refused_upgrade_gives_the_status_which_says_whether_a_retry_makes_sense() {
    for (line, status, may_mend) in [
        ("401 Unauthorized", StatusCode::UNAUTHORIZED, false),
        ("404 Not Found", StatusCode::NOT_FOUND, false),
        ("301 Moved Permanently", StatusCode::MOVED_PERMANENTLY, false),
        ("429 Too Many Requests", StatusCode::TOO_MANY_REQUESTS, true),
        ("503 Service Unavailable", StatusCode::SERVICE_UNAVAILABLE, true),
    ] {
        let server = Server::start().await;
        let pool = pool(WebSocketConnector::builder());
        let url = server.url();
        let answering = async {
            let mut stream = server.accept_tcp().await;
            let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream
        };
        let (outcome, _stream) = soon(async { tokio::join!(pool.acquire(&url), answering) }).await;
        let error = outcome.unwrap_err();
        let error = dial_error(&error);
        assert_eq!(error.status(), Some(status));
        let expected = format!("the server refused the upgrade with status {line}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(is_retryable(error), may_mend);
    }
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_apart() {
    let server = Server::start().await;
    let pool = pool(WebSocketConnector::builder());
    let url = server.url();
    let answering = async {
        let mut stream = server.accept_tcp().await;
        stream.write_all(b"220 mail.example ESMTP\r\n\r\n").await.unwrap();
        stream
    };
    let (outcome, _stream) = soon(async { tokio::join!(pool.acquire(&url), answering) }).await;
    let error = outcome.unwrap_err();
    assert!(matches!(dial_error(&error), Error::Handshake(_)));
}

// TCP and the URL.

#[tokio::test]
async fn a_server_that_refuses_gives_the_error_of_the_system() {
    let server = Server::start().await;
    let url = server.url();
    drop(server);
    let error = pool(WebSocketConnector::builder()).acquire(&url).await.unwrap_err();
    let error = dial_error(&error);
    let Error::Connect(cause) = error else { panic!("{error}") };
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    assert!(is_retryable(error));
}

#[tokio::test]
async fn a_bad_url_is_named_with_the_reason() {
    let pool = pool(WebSocketConnector::builder());
    let error = pool.acquire("http://example.com/").await.unwrap_err();
    let error = dial_error(&error);
    let expected = "\"http://example.com/\" cannot be dialed: it must begin with ws:// or wss://";
    assert_eq!(error.to_string(), expected);
    assert!(!is_retryable(error));
}

#[tokio::test]
async fn a_host_name_is_resolved() {
    let server = Server::start().await;
    let pool = pool(WebSocketConnector::builder());
    let url = format!("ws://localhost:{}", server.address().port());
    let (loan, _peer) = soon(async { tokio::join!(pool.acquire(&url), server.accept()) }).await;
    assert!(loan.unwrap().is_open());
}

// Options.

#[test]
fn an_option_that_cannot_be_meant_is_refused_by_name() {
    let options = WebSocketConnector::builder;
    let beat = WebSocketHeartbeat::default;
    let latin = HeaderValue::from_bytes(b"caf\xe9").unwrap();
    let config = WebSocketConfig::default().write_buffer_size(100).max_write_buffer_size(100);
    let zero = std::time::Duration::ZERO;
    for (options, message) in [
        (
            options().header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat")),
            "header is sec-websocket-protocol: it is set by the upgrade itself",
        ),
        (
            options().header(AUTHORIZATION, latin),
            "header is authorization: it must have a value in visible ASCII",
        ),
        (
            options().subprotocols(["chat", "two words"]),
            "subprotocols is a name of 9 characters: it must be letters, digits and the signs of an HTTP \
             token",
        ),
        (
            options().subprotocols([""]),
            "subprotocols is a name of 0 characters: it must be letters, digits and the signs of an HTTP token",
        ),
        (
            options().config(config),
            "max_write_buffer_size is 100: it must be larger than write_buffer_size, 100",
        ),
        (options().max_unread(0), "max_unread is 0: it must be at least 1"),
        (
            options().heartbeat(WebSocketHeartbeat::every(zero)),
            "heartbeat every is 0ns: it must be longer than zero",
        ),
        (
            options().heartbeat(beat().timeout(zero)),
            "heartbeat timeout is 0ns: it must be longer than zero",
        ),
        (
            options().heartbeat(beat().max_missed(0)),
            "heartbeat max_missed is 0: it must be at least 1",
        ),
    ] {
        let error = options.build().unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

// TLS.

/// What a server with a certificate of its own needs, and a client that trusts it.
fn self_signed() -> (TlsAcceptor, Arc<ClientConfig>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(ring.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
}

#[tokio::test]
async fn messages_go_through_tls_and_its_end_is_a_proper_one() {
    let server = Server::start().await;
    let (acceptor, config) = self_signed();
    let pool = pool(WebSocketConnector::builder().tls(config));
    let url = format!("wss://localhost:{}/", server.address().port());
    let serving = Box::pin(async {
        let stream = acceptor.accept(server.accept_tcp().await).await.unwrap();
        let mut peer = accept_async(stream).await.unwrap();
        let question = peer.next().await.unwrap().unwrap();
        peer.send(question).await.unwrap();
        assert!(matches!(peer.next().await, Some(Ok(Message::Close(Some(_))))));
        assert!(peer.next().await.is_none());
        // Ended by TLS's own close_notify: without it this is an error.
        assert_eq!(peer.get_mut().read(&mut [0; 1]).await.unwrap(), 0);
    });
    let asking = Box::pin(async {
        let mut loan = pool.acquire(&url).await.unwrap();
        let question = Message::binary(vec![7; 200_000]);
        assert_eq!(loan.request(question.clone()).await.unwrap(), question);
        drop(loan);
        pool.close().await;
    });
    soon(async { tokio::join!(asking, serving) }).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_fails_the_dial_for_good() {
    let server = Server::start().await;
    let (acceptor, _) = self_signed();
    let pool = pool(WebSocketConnector::builder());
    let url = format!("wss://localhost:{}/", server.address().port());
    let serving = async { acceptor.accept(server.accept_tcp().await).await };
    let (outcome, refused) = soon(async { tokio::join!(pool.acquire(&url), serving) }).await;
    assert!(refused.is_err());
    let error = outcome.unwrap_err();
    let error = dial_error(&error);
    assert!(matches!(error, Error::Tls(_)), "{error}");
    assert!(!is_retryable(error));
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("UnknownIssuer"), "{cause}");
}

#[tokio::test]
async fn a_certificate_for_another_name_fails_the_dial() {
    let server = Server::start().await;
    let (acceptor, config) = self_signed();
    let pool = pool(WebSocketConnector::builder().tls(config));
    let url = format!("wss://127.0.0.1:{}/", server.address().port());
    let serving = async { acceptor.accept(server.accept_tcp().await).await };
    let (outcome, _) = soon(async { tokio::join!(pool.acquire(&url), serving) }).await;
    assert!(matches!(dial_error(&outcome.unwrap_err()), Error::Tls(_)));
}

#[tokio::test]
async fn a_server_without_tls_gives_an_error_of_tls() {
    let server = Server::start().await;
    let pool = pool(WebSocketConnector::builder());
    let url = format!("wss://localhost:{}/", server.address().port());
    let answering = async {
        let mut stream = server.accept_tcp().await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (outcome, _stream) = soon(async { tokio::join!(pool.acquire(&url), answering) }).await;
    assert!(matches!(dial_error(&outcome.unwrap_err()), Error::Tls(_)));
}
