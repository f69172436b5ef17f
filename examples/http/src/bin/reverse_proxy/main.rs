//! A reverse proxy: it passes requests on to upstreams, streams their answers back, and says why an upstream has none.
//!
//! Run: `cargo run -p example-http --bin reverse_proxy`. The upstreams are in this process: one that works, and six that do
//! not. So is the client that asks for each. `forward.rs` is the
//! part to copy. It prints
//!
//! ```text
//! GET /good/hello -> 200
//!   sent:     connection, keep-alive, proxy-authorization, te, x-hop, x-real-ip, x-request-id, x_forwarded_for
//!   arrived:  host, via, x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-request-id
//!   answered: connection, keep-alive, x-own-hop
//!   returned: content-length, date, via
//! POST /good/echo -> 200, and each piece came back before the next was sent
//! GET /dead/ -> 502, dead: Connection refused (os error 111)
//! GET /reset/ -> 502, reset: connection closed before message completed
//! GET /silent/ -> 504, silent: no answer in time
//! GET /coded/ -> 502, coded: its transfer coding is not known
//! POST /good/hello, gzip and chunked -> 501
//! 3 x GET /good/slow -> 200, 200, 503 (retry-after: 1), good: all connections are in use
//! GET /cut/ -> 200, and the answer broke off
//! GET /stuck/ -> 200, and the answer broke off
//! 3 clients stall, GET /good/slow -> 503 (retry-after: 1), good: all connections are in use
//! 2s later, GET /good/slow -> 200
//!   the stalled uploads, 100000 bytes and 1 -> 408, 408
//! ```
//!
//! On the standard error it says more of each failure, such as the address, the limit, and who has the connections.

use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forward::{Answer, MAX_STALL, forward, refusal};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_io_timeout::TimeoutStream;
use upstreams::Upstreams;
use wharf_http::Client;

mod client;
mod forward;
mod upstreams;

/// How long a client may take for a request's head, and be silent between two requests.
const MAX_HEAD: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let proxy = Proxy { client: upstream_client()?, upstreams: Upstreams::start().await? };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(Arc::new(proxy).serve(listener));
    client::ask_for_everything(address).await
}

/// The client towards the upstreams. Its limits are short, so that the example does not take long.
fn upstream_client() -> Result<Client, wharf::BuildError> {
    Client::builder()
        .max_per_host(2)
        .acquire_timeout(Duration::from_millis(250))
        .connect_timeout(Duration::from_secs(1))
        // Not `timeout`, which would cut off a long download.
        .response_header_timeout(Duration::from_millis(1500))
        .build()
}

/// Accepts the next connection. An error, such as that too many files are open, passes.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                eprintln!("cannot accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A proxy: the first part of a path is the name of an upstream.
struct Proxy {
    client: Client,
    upstreams: Upstreams,
}

impl Proxy {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, client) = accept(&listener).await;
            let proxy = self.clone();
            let answer = service_fn(move |request| proxy.clone().answer(client.ip(), request));
            let mut stream = Box::pin(TimeoutStream::new(stream));
            stream.as_mut().set_write_timeout_pinned(Some(MAX_STALL));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    }

    async fn answer(
        self: Arc<Self>,
        client: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        let Some((name, uri)) = self.upstreams.uris.get_key_value(name) else {
            return Ok(refusal(StatusCode::NOT_FOUND, "no such upstream"));
        };
        Ok(forward(&self.client, (name, uri), client, request).await)
    }
}
