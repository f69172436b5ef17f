//! The upstreams: one that works, and six that do not.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
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
            ("reset", raw("", End::Close).await?),
            ("silent", raw("", End::Stall).await?),
            ("coded", raw(CODED, End::Stall).await?),
            ("cut", raw(CUT, End::Close).await?),
            ("stuck", raw(CUT, End::Stall).await?),
        ];
        let mut uris = HashMap::new();
        for (name, address) in addresses {
            uris.insert(name, format!("http://{address}/").parse()?);
        }
        Ok(Upstreams { uris, _dead: dead })
    }
}

const CODED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this";

/// What comes after an answer.
#[derive(Clone, Copy)]
enum End {
    Close,
    Stall,
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
        "/good/save" => {
            let _ = request.into_body().collect().await;
            Response::new(Either::Left(Full::default()))
        }
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

/// Answers the first request on each connection with this text.
async fn raw(answer: &'static str, end: End) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let (stream, _) = accept(&listener).await;
            tokio::spawn(answer_raw(stream, answer, end));
        }
    });
    Ok(address)
}

async fn answer_raw(mut stream: TcpStream, answer: &str, end: End) -> io::Result<()> {
    let mut request = [0; 4096];
    if stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    stream.write_all(answer.as_bytes()).await?;
    match end {
        End::Close => Ok(()),
        End::Stall => while_open(stream).await,
    }
}

/// Waits until the other side closes the connection.
async fn while_open(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}
