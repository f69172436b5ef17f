//! A reverse proxy that used hyper-util's client, before and after.
//!
//! ```text
//! cargo run -p example-migrate --bin from_hyper_util
//! ```
//!
//! Eight clients ask each proxy at once, which passes them on to a server in this process: as what concerns one
//! connection only is stripped, a client's `connection: close` ends none of the server's. Then the server goes away.
//! It prints:
//!
//! ```text
//! hyper-util: 8 answers over 8 connections
//! hyper-util: 502 Bad Gateway: client error (Connect)
//! wharf: 8 answers over 2 connections
//! wharf: 502 Bad Gateway: no connection to http://127.0.0.1:…: the host could not be reached: …
//! ```

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderName};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;
/// What a client is told: a status and a text.
type Answer = (StatusCode, String);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    before::run().await?;
    after::run().await
}

mod before {
    use super::{Answer, Failure, Upstream, inbound, passed_on};
    use bytes::Bytes;
    use http::{Request, StatusCode};
    use http_body_util::{BodyExt, Full};
    use hyper_util::client::legacy::{self, connect::HttpConnector};
    use hyper_util::rt::{TokioExecutor, TokioTimer};
    use std::time::Duration;

    type Client = legacy::Client<HttpConnector, Full<Bytes>>;

    pub(super) async fn run() -> Result<(), Failure> {
        let upstream = Upstream::start().await?;
        let client: Client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .build_http();

        let uri = upstream.uri();
        let ask = || forward(client.clone(), uri.clone(), inbound());
        super::eight_clients("hyper-util", &upstream, ask).await?;
        upstream.stop().await;
        let (status, text) = ask().await?;
        println!("hyper-util: {status}: {text}");
        Ok(())
    }

    async fn forward(
        client: Client,
        upstream: String,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Failure> {
        let response = match client.request(passed_on(request, &upstream)?).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Ok((StatusCode::BAD_GATEWAY, error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(text.into())?))
    }
}

mod after {
    use super::{Answer, Failure, Upstream, inbound, passed_on};
    use bytes::Bytes;
    use http::{Request, StatusCode};
    use http_body_util::{BodyExt, Full};
    use std::time::Duration;
    use wharf::AcquireError;
    use wharf_http::{Client, Error};

    pub(super) async fn run() -> Result<(), Failure> {
        let upstream = Upstream::start().await?;
        let client = Client::builder()
            .max_per_host(2) // The others wait for their turn.
            .idle_timeout(Duration::from_secs(60))
            .build()?;

        let uri = upstream.uri();
        let ask = || forward(client.clone(), uri.clone(), inbound());
        super::eight_clients("wharf", &upstream, ask).await?;
        upstream.stop().await;
        let (status, text) = ask().await?;
        println!("wharf: {status}: {text}");
        Ok(())
    }

    async fn forward(
        client: Client,
        upstream: String,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Failure> {
        use AcquireError::{Connect, ConnectTimeout};
        let response = match client.request(passed_on(request, &upstream)?).await {
            Ok(response) => response,
            Err(error @ Error::Acquire { source: Connect(_) | ConnectTimeout(_), .. }) => {
                return Ok((StatusCode::BAD_GATEWAY, error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(text.into())?))
    }
}

// What is the same in both: the clients, the headers, and the server.

/// A request as a client sends it to the proxy.
fn inbound() -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from("which orders?"));
    request.headers_mut().insert(HOST, "shop.example".parse().expect("a name"));
    request.headers_mut().insert(CONNECTION, "close".parse().expect("a word"));
    request
}

/// A request as the proxy sends it to the server.
fn passed_on(
    mut request: Request<Full<Bytes>>,
    upstream: &str,
) -> Result<Request<Full<Bytes>>, Failure> {
    let asked = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
    let uri: Uri = format!("{upstream}{asked}").parse()?;
    *request.uri_mut() = uri;
    strip(request.headers_mut());
    request.headers_mut().remove(HOST); // The server sees its own name.
    Ok(request)
}

/// Headers that are about one connection, and not about the request.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|names| names.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

async fn eight_clients<F>(
    name: &str,
    upstream: &Upstream,
    ask: impl Fn() -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<Answer, Failure>> + Send + 'static,
{
    let clients: JoinSet<_> = (0..8).map(|_| ask()).collect();
    for answer in clients.join_all().await {
        let (status, text) = answer?;
        if (status, &*text) != (StatusCode::OK, "these") {
            return Err(format!("{name} answered {status}: {text}").into());
        }
    }
    let connections = upstream.accepted.load(Ordering::Relaxed);
    println!("{name}: 8 answers over {connections} connections");
    Ok(())
}

/// A server that counts its connections.
struct Upstream {
    address: String,
    accepted: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Upstream {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let accepted = Arc::new(AtomicU32::new(0));
        let task = tokio::spawn(accept(listener, accepted.clone()));
        Ok(Upstream { address, accepted, task })
    }

    fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends its connections, too, and waits until the clients have noticed.
    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn accept(listener: TcpListener, accepted: Arc<AtomicU32>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
        }
        stream.read_exact(&mut [0; "which orders?".len()]).await?;
        // Long enough that the others come meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthese").await?;
    }
}
