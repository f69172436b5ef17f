//! The upstreams: one that works, and four that do not.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::{Failure, accept};

/// Where each upstream is.
pub(crate) struct Upstreams {
    pub(crate) uris: HashMap<&'static str, Uri>,
    /// Keeps a port where nobody listens.
    _dead: TcpSocket,
}

impl Upstreams {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let dead = TcpSocket::new_v4()?;
        dead.bind(([127, 0, 0, 1], 0).into())?;
        let addresses = [
            ("good", good().await?),
            ("dead", dead.local_addr()?),
            ("silent", raw(None).await?),
            ("reset", raw(Some(b"")).await?),
            ("cut", raw(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")).await?),
        ];
        let mut uris = HashMap::new();
        for (name, address) in addresses {
            uris.insert(name, format!("http://{address}/").parse()?);
        }
        Ok(Upstreams { uris, _dead: dead })
    }
}

async fn good() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let (stream, _) = accept(&listener).await;
            let connection = http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    Ok(address)
}

/// More bytes than all buffers on the way hold.
const LARGE: usize = 64 << 20;

type Answer = Response<Either<Full<Bytes>, Incoming>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    Ok(match request.uri().path() {
        "/good/echo" => Response::new(Either::Right(request.into_body())),
        "/good/slow" => {
            sleep(Duration::from_millis(800)).await;
            Response::new(Either::Left(Full::default()))
        }
        "/good/large" => Response::new(Either::Left(Full::from(vec![0; LARGE]))),
        _ => hello(request.headers()),
    })
}

/// Headers of the upstream's own connection, which the proxy should strip.
pub(crate) const OWN: [(&str, &str); 3] =
    [("connection", "x-own-hop"), ("keep-alive", "timeout=5"), ("x-own-hop", "1")];

/// Answers with the names of the headers that have arrived.
fn hello(arrived: &HeaderMap) -> Answer {
    let mut response = Response::new(Either::Left(Full::from(names(arrived))));
    for (name, value) in OWN {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(crate) fn names(headers: &HeaderMap) -> String {
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names.join(", ")
}

/// Answers each request with these bytes and ends the connection, or never answers.
async fn raw(answer: Option<&'static [u8]>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let (stream, _) = accept(&listener).await;
            tokio::spawn(answer_raw(stream, answer));
        }
    });
    Ok(address)
}

async fn answer_raw(mut stream: TcpStream, answer: Option<&'static [u8]>) -> io::Result<()> {
    let mut request = [0; 4096];
    while stream.read(&mut request).await? > 0 {
        if let Some(answer) = answer {
            return stream.write_all(answer).await;
        }
    }
    Ok(())
}
