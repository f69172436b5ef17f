//! Every client on servers in memory: nothing is dialed past the transport.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tonic::transport::server::Connected;
use wharf::transport::{Place, Stream, StreamConnector, Transport};
use wharf::{AcquireError, Backoff, Connector, Pool, SharedPool, async_trait};
use wharf_grpc::GrpcConnector;
use wharf_http::{Client, Protocol};
use wharf_tls::TlsTransport;
use wharf_tls::rustls::{ClientConfig, RootCertStore};
use wharf_websocket::{Message, WebSocketConnector};

use crate::support::{SECOND, chain};

/// Leads to servers in memory, and notes where it was asked to lead.
#[derive(Clone)]
struct InMemory {
    serve: fn(DuplexStream),
    asked: Arc<Mutex<Vec<String>>>,
}

impl InMemory {
    fn new(serve: fn(DuplexStream)) -> Self {
        InMemory { serve, asked: Arc::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for InMemory {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        self.asked.lock().unwrap().push(match to {
            Place::Host(host) => format!("{} {}", host.name, host.port),
            Place::Unix(path) => path.to_owned(),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        });
        let (client, server) = duplex(1 << 16);
        (self.serve)(server);
        Ok(Stream::new(client))
    }
}

/// What a server speaks on.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for S {}

/// Sends each byte back, and hangs up after a zero.
fn echo(mut server: DuplexStream) {
    tokio::spawn(async move {
        while let Ok(byte @ 1..) = server.read_u8().await {
            server.write_u8(byte).await.unwrap();
        }
    });
}

/// HTTP/1.1 and HTTP/2: says which one, and for which host.
pub(crate) fn web(server: impl Duplex) {
    let greet = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
        let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        let host = host.or_else(|| request.uri().authority().map(ToString::to_string));
        let text = format!("{:?} for {}", request.version(), host.unwrap());
        Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(text))))
    });
    tokio::spawn(async move {
        let server = TokioIo::new(server);
        auto::Builder::new(TokioExecutor::new()).serve_connection(server, greet).await
    });
}

pub(crate) fn health(server: impl Duplex + Connected) {
    tokio::spawn(async move {
        let (_, service) = tonic_health::server::health_reporter();
        let only = stream::iter([Ok::<_, io::Error>(server)]).chain(stream::pending());
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(only).await
    });
}

pub(crate) fn chat(server: impl Duplex) {
    tokio::spawn(async move {
        let mut socket = tokio_tungstenite::accept_async(server).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn plain_streams_are_pooled_and_an_ended_one_is_replaced() {
    let transport = InMemory::new(echo);
    let pool = Pool::builder().build(StreamConnector::new(transport.clone())).unwrap();
    for _ in 0..3 {
        let mut stream = pool.acquire("cache.example:6379").await.unwrap();
        stream.write_u8(7).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }
    assert_eq!(transport.asked(), ["cache.example 6379"]);

    let mut stream = pool.acquire("cache.example:6379").await.unwrap();
    stream.write_u8(0).await.unwrap();
    drop(stream);
    tokio::time::sleep(SECOND).await;
    let mut stream = pool.acquire("cache.example:6379").await.unwrap();
    stream.write_u8(7).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 7);
    let status = pool.status();
    assert_eq!((transport.asked().len(), status.dials, status.closed), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_an_unread_answer_is_not_lent() {
    let transport = InMemory::new(echo);
    let pool = Pool::builder().build(StreamConnector::new(transport)).unwrap();
    let mut stream = pool.acquire("cache.example:6379").await.unwrap();
    stream.write_u8(7).await.unwrap();
    drop(stream);
    tokio::time::sleep(SECOND).await;
    let mut stream = pool.acquire("cache.example:6379").await.unwrap();
    stream.write_u8(8).await.unwrap();
    assert_eq!((stream.read_u8().await.unwrap(), pool.status().dials), (8, 2));
}

#[tokio::test(start_paused = true)]
async fn keys_of_streams_lead_to_their_places_and_bad_ones_are_told_at_once() {
    let transport = InMemory::new(echo);
    let connector = StreamConnector::new(transport.clone());
    for key in ["[::1]:80", "unix:/run/cache.sock", "cache.example.:80"] {
        connector.connect(&key.to_owned()).await.unwrap();
    }
    assert_eq!(transport.asked(), ["[::1] 80", "/run/cache.sock", "cache.example. 80"]);

    let pool = Pool::builder().retry(Backoff::default()).build(connector).unwrap();
    for key in [
        "",
        "cache",
        "cache:",
        ":80",
        "::1",
        "::1:80",
        "[::1:80",
        "[]:1",
        "[[::1]]:80",
        "a:1:2",
        "a:+80",
        "a/b:80",
        "cache:70000",
        "unix:cache.sock",
    ] {
        let began = Instant::now();
        let error = pool.acquire(key).await.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{key}: {error}");
        assert!(chain(&error).contains(&format!("{key:?}")), "{key}: {}", chain(&error));
        assert_eq!(began.elapsed().as_millis(), 0, "{key}");
    }
    assert_eq!(transport.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_for_http_speaks_both_versions() {
    for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2.0")] {
        let transport = InMemory::new(web);
        let client = Client::builder().protocol(protocol).transport(transport.clone());
        let client = client.build().unwrap();
        for _ in 0..3 {
            let request = http::Request::get("http://shop.example/").body(String::new()).unwrap();
            let body = client.request(request).await.unwrap().into_body();
            let text = body.collect().await.unwrap().to_bytes();
            assert_eq!(text, format!("{version} for shop.example"));
        }
        assert_eq!(transport.asked(), ["shop.example 80"]);
        assert_eq!(client.pool().status().dials, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_for_grpc_is_made_and_pinged() {
    let transport = InMemory::new(health);
    let connector = GrpcConnector::builder().transport(transport.clone()).build().unwrap();
    let pool = SharedPool::builder().build(connector.clone()).unwrap();
    let uri = http::Uri::from_static("http://orders.example:50051");
    let channel = pool.acquire(&uri).await.unwrap();
    connector.ping(&mut channel.clone()).await.unwrap();
    assert_eq!(transport.asked(), ["orders.example 50051"]);
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_has_its_own_answers() {
    let transport = InMemory::new(chat);
    let connector = WebSocketConnector::builder().transport(transport.clone()).build().unwrap();
    let pool = Pool::builder().build(connector).unwrap();
    for word in ["one", "two"] {
        let mut socket = pool.acquire("ws://chat.example/room").await.unwrap();
        let answer = socket.request(Message::text(word)).await.unwrap();
        assert_eq!(answer, Message::text(word));
    }
    assert_eq!(transport.asked(), ["chat.example 80"]);
    assert_eq!(pool.status().dials, 1);
}

/// A transport whose dials fail so, or hang.
struct Failing(Option<io::ErrorKind>);

#[async_trait]
impl Transport for Failing {
    async fn connect(&self, _: Place<'_>) -> io::Result<Stream> {
        match self.0 {
            Some(kind) => Err(io::Error::new(kind, "the transport's own words")),
            None => std::future::pending().await,
        }
    }
}

/// Whether a pool that retries asks this transport again, and what it says.
async fn is_asked_again(transport: Failing) -> (bool, AcquireError<io::Error>) {
    let pool = Pool::builder().retry(Backoff::default()).connect_timeout(SECOND);
    let pool = pool.acquire_timeout(10 * SECOND).build(StreamConnector::new(transport)).unwrap();
    let error = pool.acquire("cache.example:6379").await.unwrap_err();
    (pool.status().dials > 1, error)
}

#[tokio::test(start_paused = true)]
async fn the_kind_of_a_transports_error_says_whether_another_dial_may_help() {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, TimedOut, Unsupported};
    for (kind, may_help) in
        [(ConnectionRefused, true), (TimedOut, true), (InvalidInput, false), (Unsupported, false)]
    {
        let (again, error) = is_asked_again(Failing(Some(kind))).await;
        assert_eq!(again, may_help, "{kind}");
        assert!(chain(&error).contains("the transport's own words"), "{}", chain(&error));
    }
    assert!(is_asked_again(Failing(None)).await.0, "a hang is cut off by connect_timeout");
}

/// Tells whether its servers have passed their trials.
struct Judged(Arc<Mutex<Vec<bool>>>);

#[async_trait]
impl Transport for Judged {
    async fn connect(&self, _: Place<'_>) -> io::Result<Stream> {
        let (client, server) = duplex(64);
        echo(server);
        let verdicts = self.0.clone();
        Ok(Stream::new(client).on_trial(move |passed| verdicts.lock().unwrap().push(passed)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_stream_is_pooled_has_passed_its_trial() {
    let verdicts = Arc::default();
    let connector = StreamConnector::new(Judged(Arc::clone(&verdicts)));
    let stream = connector.connect(&"cache.example:6379".to_owned()).await.unwrap();
    assert_eq!(*verdicts.lock().unwrap(), [true]);
    drop(stream);
    assert_eq!(verdicts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_no_tls_is_not_dialed_again() {
    fn plain(mut server: DuplexStream) {
        tokio::spawn(async move {
            let _ = server.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = server.read(&mut [0; 1024]).await;
        });
    }
    let transport = InMemory::new(plain);
    let trusting_nobody = RootCertStore::empty();
    let provider = Arc::new(wharf_tls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusting_nobody)
        .with_no_client_auth();
    let connector = StreamConnector::new(TlsTransport::new(transport.clone(), config));
    let pool = Pool::builder().retry(Backoff::default()).build(connector).unwrap();
    let error = pool.acquire("cache.example:6380").await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{}", chain(&error));
    assert_eq!(transport.asked().len(), 1);
}
