//! Servers that count what reaches them, and a few words to ask them with.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Channel, Empty, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time;
use tokio_rustls::TlsAcceptor;
use wharf::{PoolStatus, SharedPool};
use wharf_http::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use wharf_http::{Client, ClientBuilder, Error, PooledBody};

/// What a server is like.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) http2: bool,
    /// Streams that an HTTP/2 connection may have.
    pub(crate) max_streams: Option<u32>,
}

pub(crate) const HTTP1: Kind = Kind { tls: None, http2: false, max_streams: None };
pub(crate) const HTTP2: Kind = Kind { tls: None, http2: true, max_streams: None };

/// A server that answers by the path:
///
/// - `/bytes/N` and `/chunked/N` with this many bytes, of a length told or not
/// - `/stall/N` with this many bytes and no end
/// - `/echo` with the body of the request
/// - `/wait` when its gate gives a permit
/// - `/close` with `Connection: close`
/// - `/status/N` with that status and no body
/// - `/trailers` with trailers
/// - anything else with the method and the path
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Log>,
    tls: bool,
}

pub(crate) struct Log {
    pub(crate) connections: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    /// Requests that wait for the gate.
    pub(crate) waiting: AtomicUsize,
    pub(crate) gate: Semaphore,
    /// Raised once for each time that the connections there are to end gracefully.
    leave: watch::Sender<u32>,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Log {
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            leave: watch::Sender::new(0),
        })
    }
}

/// Counts one as long as it lives.
struct Counted(Arc<Log>, fn(&Log) -> &AtomicUsize);

impl Counted {
    fn new(log: &Arc<Log>, what: fn(&Log) -> &AtomicUsize) -> Self {
        what(log).fetch_add(1, Ordering::SeqCst);
        Counted(log.clone(), what)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> Self {
        let tls = kind.tls.is_some();
        let serve = move |log, stream| serve(kind.clone(), log, stream);
        Server { tls, ..Server::raw(serve).await }
    }

    /// A server that does this with each connection.
    pub(crate) async fn raw<F, R>(serve: F) -> Self
    where
        F: Fn(Arc<Log>, TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::new();
        let of_task = log.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                of_task.connections.fetch_add(1, Ordering::SeqCst);
                let open = Counted::new(&of_task, |log| &log.open);
                let serve = serve(of_task.clone(), stream);
                tokio::spawn(async move {
                    serve.await;
                    drop(open);
                });
            }
        });
        Server { address, log, tls: false }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.tls { "https" } else { "http" }, self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.log.requests.load(Ordering::SeqCst)
    }

    /// Requests that wait for the gate.
    pub(crate) fn waiting(&self) -> usize {
        self.log.waiting.load(Ordering::SeqCst)
    }

    /// The connections that are open now take no more requests.
    pub(crate) fn leave(&self) {
        self.log.leave.send_modify(|times| *times += 1);
    }
}

async fn serve(kind: Kind, log: Arc<Log>, stream: TcpStream) {
    match kind.tls.clone() {
        None => speak(&kind, log, TokioIo::new(stream), kind.http2).await,
        Some(config) => {
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            speak(&kind, log, TokioIo::new(stream), http2).await;
        }
    }
}

async fn speak<T>(kind: &Kind, log: Arc<Log>, io: T, http2: bool)
where
    T: Read + Write + Unpin + Send + 'static,
{
    let mut leave = log.leave.subscribe();
    leave.mark_unchanged();
    let service = service_fn(move |request| answer(log.clone(), request));
    // What a connection failed of is not the server's to tell: the tests look at the client.
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(kind.max_streams);
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = &mut connection => return,
            _ = leave.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        let connection = builder.serve_connection(io, service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = &mut connection => return,
            _ = leave.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

async fn answer(log: Arc<Log>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    log.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let (head, number) = path.rsplit_once('/').unwrap();
    let number = number.parse().unwrap_or(0);
    let bytes = || Bytes::from(vec![b'x'; number]);
    if request.method() == Method::HEAD {
        // hyper's HTTP/2 server would send the body.
        let mut response = Response::new(empty());
        response.headers_mut().insert(CONTENT_LENGTH, number.into());
        return Ok(response);
    }
    Ok(match if number > 0 { head } else { &path } {
        "/bytes" => Response::new(full(bytes())),
        "/chunked" => Response::new(chunked(bytes(), true)),
        "/stall" => Response::new(chunked(bytes(), false)),
        "/echo" => Response::new(request.into_body().boxed_unsync()),
        "/wait" => {
            let waiting = Counted::new(&log, |log| &log.waiting);
            log.gate.acquire().await.unwrap().forget();
            drop(waiting);
            Response::new(full("waited"))
        }
        "/authority" => {
            let host =
                request.headers().get("host").map_or("no host", |host| host.to_str().unwrap());
            Response::new(full(format!("{}, {host}", request.uri().authority().unwrap())))
        }
        "/close" => {
            let mut response = Response::new(full("closing"));
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
        "/status" => {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::from_u16(u16::try_from(number).unwrap()).unwrap();
            response
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("42"));
            let body = chunked("body".into(), true);
            let body = body.with_trailers(async { Some(Ok(trailers)) });
            let mut response = Response::new(body.boxed_unsync());
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
            response
        }
        _ => Response::new(full(format!("{} {path}", request.method()))),
    })
}

fn never(never: Infallible) -> hyper::Error {
    match never {}
}

fn full(data: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, hyper::Error> {
    Full::new(data.into()).map_err(never).boxed_unsync()
}

fn empty() -> UnsyncBoxBody<Bytes, hyper::Error> {
    Empty::new().map_err(never).boxed_unsync()
}

fn chunked(data: Bytes, ends: bool) -> UnsyncBoxBody<Bytes, hyper::Error> {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        for chunk in data.chunks(16 * 1024) {
            let chunk = Bytes::copy_from_slice(chunk);
            if sender.send(Frame::data(chunk)).await.is_err() {
                return;
            }
        }
        if !ends {
            std::future::pending::<()>().await;
        }
    });
    body.map_err(never).boxed_unsync()
}

/// A certificate for 127.0.0.1: for a server that chooses from these protocols, and for clients.
pub(crate) fn certificate(alpn: &[&[u8]]) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (chain, key) = (vec![signed.cert.der().clone()], signed.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let provider = Arc::new(wharf_http::tls::rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.try_into().unwrap())
        .unwrap();
    server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

pub(crate) fn get(url: &str) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).unwrap()
}

pub(crate) fn post(url: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::new(body.into())).unwrap()
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) body: Bytes,
}

pub(crate) async fn read(response: Response<PooledBody>) -> Result<Fetched, Error> {
    let (status, version) = (response.status(), response.version());
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Fetched { status, version, body })
}

/// Asks, and reads the answer to its end.
pub(crate) async fn fetch(client: &Client, url: &str) -> Result<Fetched, Error> {
    read(client.request(get(url)).await?).await
}

/// A client with the settings given, on a pool with a cap for each host.
pub(crate) fn client(cap: usize, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let builder = Client::builder().pool(SharedPool::builder().max_per_host(cap));
    set(builder).build().unwrap()
}

pub(crate) fn plain(cap: usize) -> Client {
    client(cap, |builder| builder)
}

pub(crate) async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    time::timeout(Duration::from_secs(60), future).await.expect("this should not hang")
}

/// Waits until it is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    within_a_minute(async {
        while !is_so() {
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Waits until nothing is lent, and returns how things are then.
pub(crate) async fn settled(client: &Client) -> PoolStatus {
    until(|| {
        let status = client.pool().status();
        status.in_use + status.dialing + status.closing == 0
    })
    .await;
    client.pool().status()
}

/// Every error in the chain, the outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
